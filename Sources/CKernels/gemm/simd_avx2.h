// The vector vocabulary of templates that several instruction sets share: included inside the target region of a file.
//   V, MASK                 vector and lane mask types
//   LANES
//   LOAD(p), MASKED_LOAD(p, mask), STORE(p, v), MASKED_STORE(p, mask, v)
//   LOW_LANES(n)            mask of the first n lanes
//   ZERO, SET(x), ADD, SUB, MUL, FMA(a, b, c) = a * b + c, FNMA(a, b, c) = c - a * b
//   MIN(a, b), MAX(a, b)    return b where a value is NaN
//   WHERE_NEGATIVE(x, y)    y where x < 0, x elsewhere
//   INDEX, INDEX_LOAD(p), PERMUTE(v, index)

#define V __m256
#define MASK __m256i
#define LANES 8
#define LOAD(p) _mm256_loadu_ps(p)
#define MASKED_LOAD(p, mask) _mm256_maskload_ps(p, mask)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define MASKED_STORE(p, mask, v) _mm256_maskstore_ps(p, mask, v)
#define LOW_LANES(n) _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define ZERO _mm256_setzero_ps()
#define SET(x) _mm256_set1_ps(x)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FNMA(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define MIN(a, b) _mm256_min_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define WHERE_NEGATIVE(x, y) _mm256_blendv_ps(x, y, _mm256_cmp_ps(x, ZERO, _CMP_LT_OQ))
#define INDEX __m256i
#define INDEX_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define PERMUTE(v, index) _mm256_permutevar8x32_ps(v, index)
#define UNROLL _Pragma("clang loop unroll(full)")
#define INLINE static inline __attribute__((always_inline))

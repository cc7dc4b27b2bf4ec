// The vector vocabulary of templates that several instruction sets share: included inside the target region of a file.
//   V, MASK                 vector and lane mask types
//   LANES
//   LOAD(p), MASKED_LOAD(p, mask), STORE(p, v), MASKED_STORE(p, mask, v)
//   LOW_LANES(n)            mask of the first n lanes
//   ZERO, SET(x), ADD, SUB, MUL, FMA(a, b, c) = a * b + c, FNMA(a, b, c) = c - a * b
//   MIN(a, b), MAX(a, b)    return b where a value is NaN
//   WHERE_NEGATIVE(x, y)    y where x < 0, x elsewhere
//   INDEX, INDEX_LOAD(p), PERMUTE(v, index)

#define V __m512
#define MASK __mmask16
#define LANES 16
#define LOAD(p) _mm512_loadu_ps(p)
#define MASKED_LOAD(p, mask) _mm512_maskz_loadu_ps(mask, p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define MASKED_STORE(p, mask, v) _mm512_mask_storeu_ps(p, mask, v)
#define LOW_LANES(n) ((__mmask16)((1u << (n)) - 1))
#define ZERO _mm512_setzero_ps()
#define SET(x) _mm512_set1_ps(x)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FNMA(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define WHERE_NEGATIVE(x, y) _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, ZERO, _CMP_LT_OQ), y)
#define INDEX __m512i
#define INDEX_LOAD(p) _mm512_loadu_si512(p)
#define PERMUTE(v, index) _mm512_permutexvar_ps(index, v)
#define UNROLL _Pragma("clang loop unroll(full)")
#define INLINE static inline __attribute__((always_inline))

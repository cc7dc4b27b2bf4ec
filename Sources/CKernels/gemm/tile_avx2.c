// Tiles of up to 6 rows x 16 columns: 12 accumulators, 2 vectors of B, one broadcast of A.
#include "tile.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define UNROLL _Pragma("clang loop unroll(full)")

// One depth: sum[r][v] += rows[r][k] * b[v].
#define STEP(sum, offset, depth) STEP_OF(sum, row[r] + (offset), depth)
#define STEP_OF(sum, element, depth)                                              \
  do {                                                                            \
    __m256 column[2];                                                             \
    UNROLL for (int v = 0; v < vectors; v++) column[v] = _mm256_loadu_ps((depth) + 8 * v); \
    UNROLL for (int r = 0; r < rows; r++) {                                       \
      const __m256 a = _mm256_broadcast_ss(element);                              \
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = _mm256_fmadd_ps(a, column[v], sum[r][v]); \
    }                                                                             \
  } while (0)

// `x` stands for each value in turn.
#define EACH(expression)                                       \
  UNROLL for (int r = 0; r < rows; r++) {                      \
    UNROLL for (int v = 0; v < vectors; v++) {                 \
      const __m256 x = sum[r][v];                              \
      sum[r][v] = (expression);                                \
    }                                                          \
  }

static inline __attribute__((always_inline)) __m256 load(const float *p, bool whole, __m256i mask) {
  return whole ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask);
}

static inline __attribute__((always_inline)) void run(const kiln_tile *t, const int rows, const int vectors, const bool transposed) {
  const int sets = rows == 1 ? 4 : rows * vectors < 5 ? 2 : 1;
  __m256 sums[4][6][2];
  UNROLL for (int s = 0; s < sets; s++)
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int v = 0; v < vectors; v++) sums[s][r][v] = _mm256_setzero_ps();

  const float *b = t->b, *ahead = t->ahead;
  const int64_t ldb = t->ldb;
  if (transposed) {
    const float *from = t->rows[0];
    const int64_t step = t->step;
    int64_t k = 0;
    if (sets > 1)
      for (; k + sets <= t->k; k += sets)
        UNROLL for (int s = 0; s < sets; s++, b += ldb, from += step) STEP_OF(sums[s], from + r, b);
    for (; k < t->k; k++, b += ldb, from += step) STEP_OF(sums[0], from + r, b);
  }
  for (int32_t o = 0; o < (transposed ? 0 : t->outer); o++) {
    for (int32_t i = 0; i < t->inner; i++) {
      const int64_t at = o * t->outer_stride + i * t->inner_stride;
      const float *row[6];
      UNROLL for (int r = 0; r < rows; r++) row[r] = t->rows[r] + at;
      int64_t k = 0;
      if (sets > 1) {
        for (; k + sets <= t->k; k += sets)
          UNROLL for (int s = 0; s < sets; s++, b += ldb) STEP(sums[s], k + s, b);
      }
      if (rows >= 4 && ahead) {
        for (; k < t->k; k++, b += ldb, ahead += 32) {
          _mm_prefetch((const char *)ahead, _MM_HINT_T1);
          _mm_prefetch((const char *)(ahead + 16), _MM_HINT_T1);
          STEP(sums[0], k, b);
        }
      }
      for (; k < t->k; k++, b += ldb) STEP(sums[0], k, b);
    }
  }

  __m256 sum[6][2];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      sum[r][v] = sums[0][r][v];
      UNROLL for (int s = 1; s < sets; s++) sum[r][v] = _mm256_add_ps(sum[r][v], sums[s][r][v]);
    }
  }
  const int32_t left = t->columns - 8 * (vectors - 1);  // valid lanes of the last vector
  const bool whole = left == 8;
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  if (t->bias) {
    __m256 bias[2];
    UNROLL for (int v = 0; v < vectors; v++) bias[v] = load(t->bias + 8 * v, whole || v < vectors - 1, mask);
    EACH(_mm256_add_ps(x, bias[v]))
  }
  if (t->residual) {
    const float *residual = t->residual;
    EACH(_mm256_add_ps(x, load(residual + r * t->ldr + 8 * v, whole || v < vectors - 1, mask)))
  }
  const __m256 zero = _mm256_setzero_ps();
  switch (t->finish) {
    case KILN_FINISH_NONE: break;
    case KILN_FINISH_CLIP: {
      const __m256 low = _mm256_set1_ps(t->p[0]), high = _mm256_set1_ps(t->p[1]);
      EACH(_mm256_min_ps(high, _mm256_max_ps(low, x)))  // NaN stays: it is the second operand
      break;
    }
    case KILN_FINISH_LEAKY: {
      const __m256 slope = _mm256_set1_ps(t->p[0]);
      EACH(_mm256_blendv_ps(x, _mm256_mul_ps(x, slope), _mm256_cmp_ps(x, zero, _CMP_LT_OQ)))
      break;
    }
    case KILN_FINISH_HARD_SIGMOID: {
      const __m256 scale = _mm256_set1_ps(t->p[0]), shift = _mm256_set1_ps(t->p[1]), one = _mm256_set1_ps(1);
      EACH(_mm256_min_ps(one, _mm256_max_ps(zero, _mm256_fmadd_ps(x, scale, shift))))
      break;
    }
    case KILN_FINISH_HARD_SWISH: {
      const __m256 three = _mm256_set1_ps(3), six = _mm256_set1_ps(6), sixth = _mm256_set1_ps(1.0f / 6.0f);
      EACH(_mm256_mul_ps(_mm256_mul_ps(x, _mm256_min_ps(six, _mm256_max_ps(zero, _mm256_add_ps(x, three)))), sixth))
      break;
    }
  }
  float *c = t->c;
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      if (whole || v < vectors - 1) _mm256_storeu_ps(c + r * t->ldc + 8 * v, sum[r][v]);
      else _mm256_maskstore_ps(c + r * t->ldc + 8 * v, mask, sum[r][v]);
    }
  }
}

#define TILES(rows)                                               \
  static void tile##rows##x1(const kiln_tile *t) { run(t, rows, 1, false); } \
  static void tile##rows##x2(const kiln_tile *t) { run(t, rows, 2, false); } \
  static void columns##rows##x1(const kiln_tile *t) { run(t, rows, 1, true); } \
  static void columns##rows##x2(const kiln_tile *t) { run(t, rows, 2, true); }
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)

#pragma clang attribute pop

#define ENTRIES(kind, rows) kind##rows##x1, kind##rows##x2
#define ALL(kind) ENTRIES(kind, 1), ENTRIES(kind, 2), ENTRIES(kind, 3), ENTRIES(kind, 4), ENTRIES(kind, 5), ENTRIES(kind, 6)
const kiln_tile_function kiln_tiles_avx2[] = {ALL(tile)}, kiln_transposed_avx2[] = {ALL(columns)};
const kiln_strip kiln_strips_avx2[] = {{0}, {0}};
#endif

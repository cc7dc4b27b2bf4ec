// Tiles of up to 8 rows x 48 columns: 24 accumulators, 3 vectors of B, one broadcast of A. Strips: 16 rows of one vector.
#include "tile.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)

#define UNROLL _Pragma("clang loop unroll(full)")

// One depth: sum[r][v] += rows[r][k] * b[v].
#define STEP(sum, offset, depth) STEP_OF(sum, row[r][offset], depth)
#define STEP_OF(sum, element, depth)                                              \
  do {                                                                            \
    __m512 column[3];                                                             \
    UNROLL for (int v = 0; v < vectors; v++) column[v] = _mm512_loadu_ps((depth) + 16 * v); \
    UNROLL for (int r = 0; r < rows; r++) {                                       \
      const __m512 a = _mm512_set1_ps(element);                                   \
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_fmadd_ps(a, column[v], sum[r][v]); \
    }                                                                             \
  } while (0)

// `x` stands for each value in turn.
#define EACH(expression)                                       \
  UNROLL for (int r = 0; r < rows; r++) {                      \
    UNROLL for (int v = 0; v < vectors; v++) {                 \
      const __m512 x = sum[r][v];                              \
      sum[r][v] = (expression);                                \
    }                                                          \
  }

typedef enum { APART, TRANSPOSED, EVEN } layout;  // of A's rows: pointers, columns, or equally far apart

enum { MOST_ROWS = 16 };

static inline __attribute__((always_inline)) void run(const kiln_tile *t, const int rows, const int vectors, const layout layout) {
  // Few rows leave too few independent sums to hide the latency of an FMA: they keep up to four sets, one a depth.
  const int sets = rows == 1 ? 4 : rows * vectors < 8 ? 2 : 1;
  __m512 sums[4][MOST_ROWS][3];
  UNROLL for (int s = 0; s < sets; s++)
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int v = 0; v < vectors; v++) sums[s][r][v] = _mm512_setzero_ps();

  const float *b = t->b, *ahead = t->ahead;
  const int64_t ldb = t->ldb;
  if (layout == TRANSPOSED) {
    const float *from = t->rows[0];
    const int64_t step = t->step;
    int64_t k = 0;
    if (sets > 1)
      for (; k + sets <= t->k; k += sets)
        UNROLL for (int s = 0; s < sets; s++, b += ldb, from += step) STEP_OF(sums[s], from[r], b);
    for (; k < t->k; k++, b += ldb, from += step) STEP_OF(sums[0], from[r], b);
  }
  // Few pointers stay in registers where many would not: every fourth row's, and the distances from it.
  for (int32_t o = 0; o < (layout == EVEN ? t->outer * t->inner : 0); o++) {
    const float *from = t->rows[0] + o / t->inner * t->outer_stride + o % t->inner * t->inner_stride;
    for (int64_t k = 0; k < t->k; k++, b += ldb, from++) STEP_OF(sums[0], from[r / 4 * 4 * t->step + r % 4 * t->step], b);
  }
  for (int32_t o = 0; o < (layout == APART ? t->outer : 0); o++) {
    for (int32_t i = 0; i < t->inner; i++) {
      const int64_t at = o * t->outer_stride + i * t->inner_stride;
      const float *row[8];
      UNROLL for (int r = 0; r < rows; r++) row[r] = t->rows[r] + at;
      int64_t k = 0;
      // Few rows read B once at the speed of its memory, which a prefetch raises.
      if (rows < 4 && ahead) {
        for (; k + sets <= t->k; k += sets) {
          UNROLL for (int s = 0; s < sets; s++, b += ldb) {
            UNROLL for (int v = 0; v < vectors; v++) _mm_prefetch((const char *)(b + 1024 + 16 * v), _MM_HINT_T0);
            STEP(sums[s], k + s, b);
          }
        }
      }
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

  __m512 sum[MOST_ROWS][3];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      sum[r][v] = sums[0][r][v];
      UNROLL for (int s = 1; s < sets; s++) sum[r][v] = _mm512_add_ps(sum[r][v], sums[s][r][v]);
    }
  }
  __mmask16 mask[3];
  UNROLL for (int v = 0; v < vectors; v++)
    mask[v] = v < vectors - 1 ? 0xffff : (__mmask16)((1u << (t->columns - 16 * (vectors - 1))) - 1);
  if (t->bias) {
    __m512 bias[3];
    UNROLL for (int v = 0; v < vectors; v++) bias[v] = _mm512_maskz_loadu_ps(mask[v], t->bias + 16 * v);
    EACH(_mm512_add_ps(x, bias[v]))
  }
  if (t->residual) {
    const float *residual = t->residual;
    EACH(_mm512_add_ps(x, _mm512_maskz_loadu_ps(mask[v], residual + r * t->ldr + 16 * v)))
  }
  const __m512 zero = _mm512_setzero_ps();
  switch (t->finish) {
    case KILN_FINISH_NONE: break;
    case KILN_FINISH_CLIP: {
      const __m512 low = _mm512_set1_ps(t->p[0]), high = _mm512_set1_ps(t->p[1]);
      EACH(_mm512_min_ps(high, _mm512_max_ps(low, x)))  // NaN stays: it is the second operand
      break;
    }
    case KILN_FINISH_LEAKY: {
      const __m512 slope = _mm512_set1_ps(t->p[0]);
      EACH(_mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, zero, _CMP_LT_OQ), x, slope))
      break;
    }
    case KILN_FINISH_HARD_SIGMOID: {
      const __m512 scale = _mm512_set1_ps(t->p[0]), shift = _mm512_set1_ps(t->p[1]), one = _mm512_set1_ps(1);
      EACH(_mm512_min_ps(one, _mm512_max_ps(zero, _mm512_fmadd_ps(x, scale, shift))))
      break;
    }
    case KILN_FINISH_HARD_SWISH: {
      const __m512 three = _mm512_set1_ps(3), six = _mm512_set1_ps(6), sixth = _mm512_set1_ps(1.0f / 6.0f);
      EACH(_mm512_mul_ps(_mm512_mul_ps(x, _mm512_min_ps(six, _mm512_max_ps(zero, _mm512_add_ps(x, three)))), sixth))
      break;
    }
  }
  float *c = t->c;
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors - 1; v++) _mm512_storeu_ps(c + r * t->ldc + 16 * v, sum[r][v]);
    _mm512_mask_storeu_ps(c + r * t->ldc + 16 * (vectors - 1), mask[vectors - 1], sum[r][vectors - 1]);
  }
}

#define TILES(rows)                                               \
  static void tile##rows##x1(const kiln_tile *t) { run(t, rows, 1, APART); } \
  static void tile##rows##x2(const kiln_tile *t) { run(t, rows, 2, APART); } \
  static void tile##rows##x3(const kiln_tile *t) { run(t, rows, 3, APART); } \
  static void columns##rows##x1(const kiln_tile *t) { run(t, rows, 1, TRANSPOSED); } \
  static void columns##rows##x2(const kiln_tile *t) { run(t, rows, 2, TRANSPOSED); } \
  static void columns##rows##x3(const kiln_tile *t) { run(t, rows, 3, TRANSPOSED); }
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILES(7)
TILES(8)

static void strip1(const kiln_tile *t) { run(t, 16, 1, EVEN); }

#pragma clang attribute pop

#define ENTRIES(kind, rows) kind##rows##x1, kind##rows##x2, kind##rows##x3
#define ALL(kind) ENTRIES(kind, 1), ENTRIES(kind, 2), ENTRIES(kind, 3), ENTRIES(kind, 4), ENTRIES(kind, 5), ENTRIES(kind, 6), ENTRIES(kind, 7), ENTRIES(kind, 8)
const kiln_tile_function kiln_tiles_avx512[] = {ALL(tile)}, kiln_transposed_avx512[] = {ALL(columns)};
const kiln_strip kiln_strips_avx512[] = {{16, strip1}, {0}, {0}};
#endif

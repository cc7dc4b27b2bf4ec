// One tier's code, in the vocabulary of gemm/simd_*.h and two more words: WIDE_BF16(p) and WIDE_I8(p), LANES elements as floats.
// NAME(x) is the tier's name of x.

static void NAME(add_rows)(const float *x, int64_t depth, const float *weights, int64_t stride, int64_t columns, float *sums) {
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4, weights += 4 * stride) {
    const V x0 = SET(x[k]), x1 = SET(x[k + 1]), x2 = SET(x[k + 2]), x3 = SET(x[k + 3]);
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
      const float *w = weights + j;
      const V even = FMA(x0, LOAD(w), MUL(x1, LOAD(w + stride)));
      const V odd = FMA(x2, LOAD(w + 2 * stride), MUL(x3, LOAD(w + 3 * stride)));
      STORE(sums + j, ADD(LOAD(sums + j), ADD(even, odd)));
    }
    for (; j < columns; j++)
      sums[j] += (x[k] * weights[j] + x[k + 1] * weights[j + stride]) + (x[k + 2] * weights[j + 2 * stride] + x[k + 3] * weights[j + 3 * stride]);
  }
  for (; k < depth; k++, weights += stride)
    for (int64_t j = 0; j < columns; j++) sums[j] += x[k] * weights[j];
}

// Sets of sums, one a depth, hide the latency of the additions where rows are few.
#define PRODUCTS(form, type, wide)                                                                                           \
  INLINE void NAME(form##_fixed)(const float *const *rows, const int count, int64_t depth, const type *w, const int vectors, float *out) { \
    const int sets = count == 1 ? 4 : count == 2 ? 2 : 1;                                                                    \
    V sums[4][KILN_NARROW_ROWS][3];                                                                                          \
    UNROLL for (int s = 0; s < sets; s++)                                                                                    \
      UNROLL for (int r = 0; r < count; r++)                                                                                 \
        UNROLL for (int v = 0; v < vectors; v++) sums[s][r][v] = ZERO;                                                       \
    const int64_t width = (int64_t)vectors * LANES;                                                                          \
    int64_t k = 0;                                                                                                           \
    for (; k + sets <= depth; k += sets) {                                                                                   \
      UNROLL for (int s = 0; s < sets; s++, w += width) {                                                                    \
        __builtin_prefetch((const char *)w + 2048);                                                                          \
        UNROLL for (int v = 0; v < vectors; v++) {                                                                           \
          const V column = wide(w + v * LANES);                                                                              \
          UNROLL for (int r = 0; r < count; r++) sums[s][r][v] = FMA(SET(rows[r][k + s]), column, sums[s][r][v]);            \
        }                                                                                                                    \
      }                                                                                                                      \
    }                                                                                                                        \
    for (; k < depth; k++, w += width)                                                                                       \
      UNROLL for (int v = 0; v < vectors; v++)                                                                               \
        UNROLL for (int r = 0; r < count; r++) sums[0][r][v] = FMA(SET(rows[r][k]), wide(w + v * LANES), sums[0][r][v]);     \
    UNROLL for (int r = 0; r < count; r++) {                                                                                 \
      UNROLL for (int v = 0; v < vectors; v++) {                                                                             \
        V sum = sums[0][r][v];                                                                                               \
        UNROLL for (int s = 1; s < sets; s++) sum = ADD(sum, sums[s][r][v]);                                                 \
        STORE(out + r * width + v * LANES, sum);                                                                             \
      }                                                                                                                      \
    }                                                                                                                        \
  }                                                                                                                          \
  INLINE void NAME(form##_rows)(const float *const *rows, int32_t count, int64_t depth, const void *w, const int vectors, float *out) { \
    switch (count) {                                                                                                         \
      case 1: NAME(form##_fixed)(rows, 1, depth, w, vectors, out); break;                                                    \
      case 2: NAME(form##_fixed)(rows, 2, depth, w, vectors, out); break;                                                    \
      case 3: NAME(form##_fixed)(rows, 3, depth, w, vectors, out); break;                                                    \
      default: NAME(form##_fixed)(rows, 4, depth, w, vectors, out);                                                          \
    }                                                                                                                        \
  }                                                                                                                          \
  static void NAME(form)(const float *const *rows, int32_t count, int64_t depth, const void *w, int32_t vectors, float *out) { \
    switch (vectors) {                                                                                                       \
      case 1: NAME(form##_rows)(rows, count, depth, w, 1, out); break;                                                       \
      case 2: NAME(form##_rows)(rows, count, depth, w, 2, out); break;                                                       \
      default: NAME(form##_rows)(rows, count, depth, w, 3, out);                                                             \
    }                                                                                                                        \
  }

PRODUCTS(bf16, uint16_t, WIDE_BF16)
PRODUCTS(i8, int8_t, WIDE_I8)

const kiln_weights_functions NAME(kiln_weights) = {
    NAME(add_rows), {NAME(bf16), NAME(i8)}};

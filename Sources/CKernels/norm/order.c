// Cumulative sums and products, and top-k: plain loops over four element types.
#include <math.h>
#include "kiln_norm.h"

// Rows of `inner` are combined one after the other, so that inner > 1 vectorises. U is T's type for wrapping arithmetic.
#define CUMULATIVE(NAME, T, U)                                                                                        \
  static void NAME(const kiln_cumulative_params *p, const T *x, T *y, int64_t first, int64_t last) {                  \
    for (int64_t o = first; o < last; o++) {                                                                          \
      for (int64_t c = 0; c < p->inner; c += 64) {                                                                    \
        const int64_t width = p->inner - c < 64 ? p->inner - c : 64;                                                  \
        U sum[64];                                                                                                    \
        for (int64_t k = 0; k < width; k++) sum[k] = (U)(p->product ? 1 : 0);                                         \
        for (int64_t step = 0; step < p->axis; step++) {                                                              \
          const int64_t a = p->reverse ? p->axis - 1 - step : step, at = (o * p->axis + a) * p->inner + c;            \
          for (int64_t k = 0; k < width; k++) {                                                                       \
            const U v = (U)x[at + k], next = p->product ? sum[k] * v : sum[k] + v;                                    \
            y[at + k] = (T)(p->exclusive ? sum[k] : next);                                                            \
            sum[k] = next;                                                                                            \
          }                                                                                                           \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
  }
CUMULATIVE(cumulative_f32, float, float)
CUMULATIVE(cumulative_f64, double, double)
CUMULATIVE(cumulative_i32, int32_t, uint32_t)
CUMULATIVE(cumulative_i64, int64_t, uint64_t)

void kiln_cumulative(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_cumulative_params *p = params;
  const int64_t first = p->outer * part / parts, last = p->outer * (part + 1) / parts;
  switch (p->dtype) {
    case KILN_F32: cumulative_f32(p, operands[0], operands[1], first, last); break;
    case KILN_F64: cumulative_f64(p, operands[0], operands[1], first, last); break;
    case KILN_I32: cumulative_i32(p, operands[0], operands[1], first, last); break;
    default: cumulative_i64(p, operands[0], operands[1], first, last); break;
  }
}

int32_t kiln_cumulative_parts(const kiln_cumulative_params *p, int32_t threads) {
  const double parts = (double)(p->outer * p->axis * p->inner) * 1e-3 / 4.0;
  if (p->outer < threads) threads = p->outer < 1 ? 1 : (int32_t)p->outer;
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

static void put_index(int32_t dtype, void *to, int64_t at, int64_t index) {
  if (dtype == KILN_I64) ((int64_t *)to)[at] = index;
  else ((int32_t *)to)[at] = (int32_t)index;
}
static int64_t get_index(int32_t dtype, const void *from, int64_t at) {
  return dtype == KILN_I64 ? ((const int64_t *)from)[at] : ((const int32_t *)from)[at];
}

// The two outputs of a row are a heap whose root is the element to be thrown out first; emptying it from the root
// leaves the elements in order. `a` stands before `b` in the result: larger (or smaller), NaN as the largest.
#define TOP_K(NAME, T)                                                                                                \
  static int NAME##_before(const kiln_top_k_params *p, T a, int64_t ia, T b, int64_t ib) {                            \
    const int nan_a = a != a, nan_b = b != b;                                                                         \
    if (nan_a | nan_b) return nan_a == nan_b ? ia < ib : p->smallest ? nan_b : nan_a;                                 \
    if (a == b) return ia < ib;                                                                                       \
    return p->smallest ? a < b : a > b;                                                                               \
  }                                                                                                                   \
  static void NAME##_sink(const kiln_top_k_params *p, T *v, void *index, int64_t base, int64_t n, int64_t hole, T x, int64_t ix) { \
    for (;;) {                                                                                                        \
      int64_t child = 2 * hole + 1;                                                                                   \
      if (child >= n) break;                                                                                          \
      if (child + 1 < n && NAME##_before(p, v[child], get_index(p->index_dtype, index, base + child), v[child + 1],   \
                                         get_index(p->index_dtype, index, base + child + 1))) child++;                \
      const int64_t ic = get_index(p->index_dtype, index, base + child);                                              \
      if (!NAME##_before(p, x, ix, v[child], ic)) break;                                                              \
      v[hole] = v[child];                                                                                             \
      put_index(p->index_dtype, index, base + hole, ic);                                                              \
      hole = child;                                                                                                   \
    }                                                                                                                 \
    v[hole] = x;                                                                                                      \
    put_index(p->index_dtype, index, base + hole, ix);                                                                \
  }                                                                                                                   \
  static void NAME(const kiln_top_k_params *p, const T *x, T *v, void *index, int64_t base) {                         \
    const int64_t k = p->k;                                                                                           \
    if (k == 0) return;                                                                                               \
    for (int64_t i = 0; i < k; i++) { v[i] = x[i]; put_index(p->index_dtype, index, base + i, i); }                   \
    for (int64_t i = k / 2 - 1; i >= 0; i--) NAME##_sink(p, v, index, base, k, i, v[i], get_index(p->index_dtype, index, base + i)); \
    int64_t worst = get_index(p->index_dtype, index, base);                                                           \
    for (int64_t i = k; i < p->n; i++) {                                                                              \
      if (!NAME##_before(p, x[i], i, v[0], worst)) continue;                                                          \
      NAME##_sink(p, v, index, base, k, 0, x[i], i);                                                                  \
      worst = get_index(p->index_dtype, index, base);                                                                 \
    }                                                                                                                 \
    for (int64_t n = k - 1; n > 0; n--) {                                                                             \
      const T last = v[n], root = v[0];                                                                               \
      const int64_t il = get_index(p->index_dtype, index, base + n), ir = get_index(p->index_dtype, index, base);     \
      v[n] = root;                                                                                                    \
      put_index(p->index_dtype, index, base + n, ir);                                                                 \
      NAME##_sink(p, v, index, base, n, 0, last, il);                                                                 \
    }                                                                                                                 \
  }
TOP_K(top_k_f32, float)
TOP_K(top_k_f64, double)
TOP_K(top_k_i32, int32_t)
TOP_K(top_k_i64, int64_t)

void kiln_top_k(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_top_k_params *p = params;
  for (int64_t r = p->rows * part / parts; r < p->rows * (part + 1) / parts; r++) {
    switch (p->dtype) {
      case KILN_F32: top_k_f32(p, (const float *)operands[0] + r * p->n, (float *)operands[1] + r * p->k, operands[2], r * p->k); break;
      case KILN_F64: top_k_f64(p, (const double *)operands[0] + r * p->n, (double *)operands[1] + r * p->k, operands[2], r * p->k); break;
      case KILN_I32: top_k_i32(p, (const int32_t *)operands[0] + r * p->n, (int32_t *)operands[1] + r * p->k, operands[2], r * p->k); break;
      default: top_k_i64(p, (const int64_t *)operands[0] + r * p->n, (int64_t *)operands[1] + r * p->k, operands[2], r * p->k); break;
    }
  }
}

int32_t kiln_top_k_parts(const kiln_top_k_params *p, int32_t threads) {
  const double parts = (double)(p->rows * p->n) * 1e-3 / 4.0;
  if (p->rows < threads) threads = p->rows < 1 ? 1 : (int32_t)p->rows;
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

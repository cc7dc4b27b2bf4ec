// The kernels of the normalization family: how work is shared between parts, and the path of other element types.
#include <math.h>
#include <string.h>
#include "../elementwise/registers.h"
#include "tier.h"

const kiln_norm_tier *kiln_norm_best(void) {
#if defined(__x86_64__)
  switch (kiln_cpu_tier()) {
    case KILN_TIER_AVX512: return kiln_norm_avx512();
    case KILN_TIER_AVX2: return kiln_norm_avx2();
    default: break;
  }
#endif
  return kiln_norm_scalar();
}

// Parts for `elements` of `picoseconds` each, 4 microseconds a part or more, at most `limit` of them.
static int32_t parts_for(int64_t elements, double picoseconds, int64_t limit, int32_t threads) {
  const double parts = (double)elements * picoseconds * 1e-6 / 4.0;
  if (limit < threads) threads = limit < 1 ? 1 : (int32_t)limit;
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

static int64_t share(int64_t n, int32_t part, int32_t parts) { return n * part / parts; }

// [outer, axis, inner] is shared by outer when that gives every part its own, otherwise by spans of 16 inner columns.
typedef struct {
  int64_t outer_first, outer_last, inner_first, inner_last;
} region;
static region region_of(int64_t outer, int64_t inner, int32_t part, int32_t parts) {
  region r = {0, outer, 0, inner};
  if (outer >= parts || inner == 1) {
    r.outer_first = share(outer, part, parts);
    r.outer_last = share(outer, part + 1, parts);
  } else {
    const int64_t spans = (inner + 15) / 16;
    r.inner_first = share(spans, part, parts) * 16;
    r.inner_last = share(spans, part + 1, parts) * 16;
    if (r.inner_last > inner) r.inner_last = inner;
  }
  return r;
}
static int64_t region_limit(int64_t outer, int64_t inner) { return outer > (inner + 15) / 16 ? outer : (inner + 15) / 16; }

void kiln_softmax(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_softmax_params *p = params;
  const float *x = operands[0];
  float *y = operands[1];
  const region r = region_of(p->outer, p->inner, part, parts);
  if (p->axis == 0) return;
  if (p->inner == 1) {
    const int64_t at = r.outer_first * p->axis;
    kiln_norm_best()->softmax_rows(x + at, y + at, r.outer_last - r.outer_first, p->axis, p->logarithm);
    return;
  }
  for (int64_t o = r.outer_first; o < r.outer_last; o++) {
    const int64_t at = o * p->axis * p->inner;
    kiln_norm_best()->softmax_columns(x + at, y + at, p->axis, p->inner, r.inner_first, r.inner_last, p->logarithm);
  }
}
int32_t kiln_softmax_parts(const kiln_softmax_params *p, int32_t threads) {
  return parts_for(p->outer * p->axis * p->inner, 300, region_limit(p->outer, p->inner), threads);
}

void kiln_layer_norm(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_layer_norm_params *p = params;
  const int64_t first = share(p->rows, part, parts), last = share(p->rows, part + 1, parts);
  const float *x = operands[0];
  float *y = operands[3];
  kiln_norm_best()->layer_norm(p, x + first * p->n, operands[1], operands[2], y + first * p->n, last - first);
}
int32_t kiln_layer_norm_parts(const kiln_layer_norm_params *p, int32_t threads) {
  return parts_for(p->rows * p->n, 150, p->rows, threads);
}

void kiln_affine(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_affine_params *p = params;
  const int64_t first = share(p->rows, part, parts), last = share(p->rows, part + 1, parts);
  const float *x = operands[0];
  float *y = operands[3];
  kiln_norm_best()->affine(p, x + first * p->channels, operands[1], operands[2], y + first * p->channels, last - first);
}
int32_t kiln_affine_parts(const kiln_affine_params *p, int32_t threads) {
  return parts_for(p->rows * p->channels, p->activation.function == KILN_FN_identity ? 120 : 400, p->rows, threads);
}

static int is_integral(int32_t dtype) { return dtype >= KILN_I8; }
static int is_fast(const kiln_reduce_params *p) {
  return p->dtype == KILN_F32 && p->result_dtype == KILN_F32 && p->op != KILN_REDUCE_ANY && p->op != KILN_REDUCE_ALL;
}

#define CHUNK 256
// One result in double or int64: `axis` elements, `stride` elements apart, in chunks through a register.
static void reduce_generic(const kiln_reduce_params *p, const char *x, char *y) {
  const size_t size = kiln_dtype_size(p->dtype);
  const int integral = is_integral(p->dtype) && is_integral(p->result_dtype) && p->op != KILN_REDUCE_LOGSUMEXP;
  union { double d[CHUNK]; int64_t i[CHUNK]; } v;
  double peak = -INFINITY, sum = 0, product = 1, low = INFINITY, exponentials = 0;
  int64_t isum = 0, imax = INT64_MIN, imin = INT64_MAX;
  uint64_t iproduct = 1;
  int any = 0, all = 1;
  for (int pass = 0; pass < (p->op == KILN_REDUCE_LOGSUMEXP ? 2 : 1); pass++) {
    for (int64_t a = 0; a < p->axis; a += CHUNK) {
      const size_t n = p->axis - a < CHUNK ? (size_t)(p->axis - a) : CHUNK;
      const int32_t type = integral ? KILN_REGISTER_I64 : KILN_REGISTER_F64;
      kiln_register_load(type, p->dtype, &v, x + a * p->inner * (int64_t)size, p->inner, n);
      double block = 0;
      for (size_t k = 0; k < n; k++) {
        if (integral) {
          const int64_t t = v.i[k];
          isum = (int64_t)((uint64_t)isum + (uint64_t)t);
          iproduct *= (uint64_t)t;
          imax = t > imax ? t : imax;
          imin = t < imin ? t : imin;
          any |= t != 0;
          all &= t != 0;
        } else if (pass == 0) {
          const double t = v.d[k];
          block += t;
          product *= t;
          peak = t != t || t > peak ? t : peak;
          low = t != t || t < low ? t : low;
          any |= t != 0;
          all &= t != 0;
        } else {
          exponentials += exp(v.d[k] - peak);
        }
      }
      sum += block;
    }
    if (fabs(peak) == INFINITY) break;
  }
  double f = 0;
  int64_t i = 0;
  switch (p->op) {
    case KILN_REDUCE_SUM: f = sum; i = isum; break;
    case KILN_REDUCE_MEAN: f = sum / (double)p->axis; i = p->axis ? isum / p->axis : 0; break;
    case KILN_REDUCE_MAX: f = peak; i = imax; break;
    case KILN_REDUCE_MIN: f = low; i = imin; break;
    case KILN_REDUCE_PROD: f = product; i = (int64_t)iproduct; break;
    case KILN_REDUCE_ANY: f = any; i = any; break;
    case KILN_REDUCE_ALL: f = all; i = all; break;
    default: f = fabs(peak) == INFINITY ? peak : peak + log(exponentials); break;
  }
  if (integral) kiln_register_store(KILN_REGISTER_I64, p->result_dtype, y, &i, 1);
  else kiln_register_store(KILN_REGISTER_F64, p->result_dtype, y, &f, 1);
}

void kiln_reduce(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_reduce_params *p = params;
  const region r = region_of(p->outer, p->inner, part, parts);
  if (is_fast(p)) {
    const float *x = operands[0];
    float *y = operands[1];
    if (p->inner == 1) {
      kiln_norm_best()->reduce_rows(p->op, x + r.outer_first * p->axis, y + r.outer_first, r.outer_last - r.outer_first, p->axis);
      return;
    }
    for (int64_t o = r.outer_first; o < r.outer_last; o++) {
      kiln_norm_best()->reduce_columns(p->op, x + o * p->axis * p->inner, y + o * p->inner, p->axis, p->inner, r.inner_first, r.inner_last);
    }
    return;
  }
  const size_t size = kiln_dtype_size(p->dtype), result_size = kiln_dtype_size(p->result_dtype);
  for (int64_t o = r.outer_first; o < r.outer_last; o++) {
    for (int64_t c = r.inner_first; c < r.inner_last; c++) {
      reduce_generic(p, (const char *)operands[0] + (size_t)(o * p->axis * p->inner + c) * size,
                     (char *)operands[1] + (size_t)(o * p->inner + c) * result_size);
    }
  }
}
int32_t kiln_reduce_parts(const kiln_reduce_params *p, int32_t threads) {
  const double cost = !is_fast(p) ? 2000 : p->op == KILN_REDUCE_LOGSUMEXP ? 200 : 50;
  return parts_for(p->outer * p->axis * p->inner, cost, region_limit(p->outer, p->inner), threads);
}

static void store_index(const kiln_arg_params *p, void *y, int64_t at, int64_t index) {
  if (p->index_dtype == KILN_I64) ((int64_t *)y)[at] = index;
  else ((int32_t *)y)[at] = (int32_t)index;
}

static int64_t arg_generic(const kiln_arg_params *p, const char *x) {
  const size_t size = kiln_dtype_size(p->dtype);
  const int integral = is_integral(p->dtype);
  union { double d[CHUNK]; int64_t i[CHUNK]; } v;
  double best = 0;
  int64_t ibest = 0, index = 0;
  for (int64_t a = 0; a < p->axis; a += CHUNK) {
    const size_t n = p->axis - a < CHUNK ? (size_t)(p->axis - a) : CHUNK;
    kiln_register_load(integral ? KILN_REGISTER_I64 : KILN_REGISTER_F64, p->dtype, &v, x + a * p->inner * (int64_t)size, p->inner, n);
    for (size_t k = 0; k < n; k++) {
      const int first = a == 0 && k == 0;
      if (integral) {
        if (!first && !(p->smallest ? v.i[k] < ibest : v.i[k] > ibest)) continue;
        ibest = v.i[k];
      } else {
        const double t = p->smallest ? -v.d[k] : v.d[k];
        if (!first && !(t > best || (t != t && best == best))) continue;
        best = t;
      }
      index = a + (int64_t)k;
    }
  }
  return index;
}

void kiln_arg(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_arg_params *p = params;
  const region r = region_of(p->outer, p->inner, part, parts);
  const int fast = p->dtype == KILN_F32;
  for (int64_t o = r.outer_first; o < r.outer_last; o++) {
    const char *x = (const char *)operands[0] + (size_t)(o * p->axis * p->inner) * kiln_dtype_size(p->dtype);
    if (fast && p->inner == 1) {
      store_index(p, operands[1], o, kiln_norm_best()->arg_row((const float *)(const void *)x, p->axis, p->smallest));
      continue;
    }
    for (int64_t c = r.inner_first; c < r.inner_last;) {
      const int64_t end = r.inner_last - c < 64 ? r.inner_last : c + 64;
      int32_t index[64];
      if (fast && p->axis <= INT32_MAX) {
        kiln_norm_best()->arg_columns((const float *)(const void *)x, index, p->axis, p->inner, c, end, p->smallest);
        for (int64_t k = 0; c < end; c++, k++) store_index(p, operands[1], o * p->inner + c, index[k]);
      } else {
        for (; c < end; c++) store_index(p, operands[1], o * p->inner + c, arg_generic(p, x + (size_t)c * kiln_dtype_size(p->dtype)));
      }
    }
  }
}
int32_t kiln_arg_parts(const kiln_arg_params *p, int32_t threads) {
  return parts_for(p->outer * p->axis * p->inner, p->dtype == KILN_F32 ? 80 : 1500, region_limit(p->outer, p->inner), threads);
}

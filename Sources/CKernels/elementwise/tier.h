// What one tier's code offers to the elementwise family. Internal to the target.
#ifndef KILN_ELEMENTWISE_TIER_H
#define KILN_ELEMENTWISE_TIER_H
#include "kiln_base.h"

// One operand of a register instruction: element i is at index `i & mask` (~0: a vector, 0: a scalar repeated over the
// first KILN_SPLAT elements).
#define KILN_SPLAT 16
typedef struct {
  const void *data;
  size_t mask;
} kiln_ew_source;

typedef struct {
  // dst[0..<n] = function(a, b, c) with parameters p. dst may be one of the sources' data.
  void (*f32)(int32_t function, const float *p, float *dst, kiln_ew_source a, kiln_ew_source b, kiln_ew_source c, size_t n);
  void (*rows)(int32_t function, const float *p, float *c, size_t rows, size_t columns, size_t stride);  // unary, in place
  // to[r][i] = a[r][i] * scale[i] + shift[i], then 0 where below 0 with `relu`; scale and shift may be NULL. Rows of `a` are n floats
  // apart, those of `to` `stride`, with room for whole vectors.
  void (*affine)(float *to, size_t stride, const float *a, size_t rows, const float *scale, const float *shift, bool relu, size_t n);
  // Converts n elements of `dtype` to f32, and back (truncation with saturation to integers; x != 0 to bool).
  void (*load_f32)(int32_t dtype, float *dst, const void *src, size_t n);
  void (*store_f32)(int32_t dtype, void *dst, const float *src, size_t n);
} kiln_ew_tier;

const kiln_ew_tier *kiln_ew_scalar(void);
#if defined(__x86_64__)
const kiln_ew_tier *kiln_ew_avx2(void);
const kiln_ew_tier *kiln_ew_avx512(void);
#endif
// The tier of this CPU.
const kiln_ew_tier *kiln_ew_best(void);

// The register types f64 and i64, and functions that have no vector code.
void kiln_ew_f64(int32_t function, const double *p, double *dst, kiln_ew_source a, kiln_ew_source b, kiln_ew_source c, size_t n);
void kiln_ew_i64(int32_t function, const int64_t *p, int64_t *dst, kiln_ew_source a, kiln_ew_source b, kiln_ew_source c, size_t n);
void kiln_ew_f32_libm(int32_t function, float *dst, kiln_ew_source a, kiln_ew_source b, size_t n);
#endif

// What one tier's code offers to the normalization family, each over a range of rows or columns. Internal to the target.
#ifndef KILN_NORM_TIER_H
#define KILN_NORM_TIER_H
#include "kiln_norm.h"

typedef struct {
  // `rows` rows of n.
  void (*softmax_rows)(const float *x, float *y, int64_t rows, int64_t n, int32_t logarithm);
  // Columns first ..< last of one [axis, inner] plane.
  void (*softmax_columns)(const float *x, float *y, int64_t axis, int64_t inner, int64_t first, int64_t last, int32_t logarithm);
  void (*layer_norm)(const kiln_layer_norm_params *p, const float *x, const float *gamma, const float *beta, float *y, int64_t rows);
  void (*affine)(const kiln_affine_params *p, const float *x, const float *scale, const float *shift, float *y, int64_t rows);
  // sum, mean, max, min, prod, logsumexp.
  void (*reduce_rows)(int32_t op, const float *x, float *y, int64_t rows, int64_t n);
  void (*reduce_columns)(int32_t op, const float *x, float *y, int64_t axis, int64_t inner, int64_t first, int64_t last);
  // y[i]: an index as int32.
  int64_t (*arg_row)(const float *x, int64_t n, int32_t smallest);
  void (*arg_columns)(const float *x, int32_t *y, int64_t axis, int64_t inner, int64_t first, int64_t last, int32_t smallest);
} kiln_norm_tier;

const kiln_norm_tier *kiln_norm_scalar(void);
#if defined(__x86_64__)
const kiln_norm_tier *kiln_norm_avx2(void);
const kiln_norm_tier *kiln_norm_avx512(void);
#endif
// The tier of this CPU.
const kiln_norm_tier *kiln_norm_best(void);
#endif

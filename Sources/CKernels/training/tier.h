// What one tier's code offers to training. Internal to the target.
#ifndef KILN_TRAINING_TIER_H
#define KILN_TRAINING_TIER_H
#include "kiln_training.h"

typedef struct {
  void (*update)(const kiln_update_params *p, int64_t n, float *w, float *g, const float *squares, float *s0, float *s1, float *s2);
  double (*sum_of_squares)(int64_t n, const float *x);
  void (*add_scaled)(int64_t n, float *w, const float *x, float factor);
  void (*blend)(int64_t n, float *y, const float *x, float a, float b);
  bool (*all_finite)(int64_t n, const float *x);
} kiln_training_tier;

typedef struct {
  void (*grouped_kernel)(const kiln_conv_gradient_params *p, const float *x, const float *dy, float *dw, int64_t first_row, int64_t end_row);
  void (*add)(int64_t n, float *y, const float *x);
  void (*pool)(const kiln_pool_gradient_params *p, const float *x, const float *dy, float *dx, int64_t first_image, int64_t end_image);
  // One row of one step: the cotangents of the gates' sums from those of the new state, `trace` the row's. `dh` becomes what
  // reaches the state before without the recurrent kernel. `ds`: the sums with the state (RESET_AFTER).
  void (*rnn_backward)(const kiln_rnn_gradient_params *p, const float *trace, float *dh, float *dc, float *dz, float *ds);
  // RESET_BEFORE's second half, `product` the cotangent of r h.
  void (*gru_reset)(const kiln_rnn_gradient_params *p, const float *trace, const float *product, float *dh, float *dz, float *gated);
} kiln_gradient_tier;

const kiln_gradient_tier *kiln_gradient_scalar(void);
const kiln_training_tier *kiln_training_scalar(void);
#if defined(__x86_64__)
const kiln_training_tier *kiln_training_avx2(void);
const kiln_training_tier *kiln_training_avx512(void);
const kiln_gradient_tier *kiln_gradient_avx2(void);
const kiln_gradient_tier *kiln_gradient_avx512(void);
#endif
#endif

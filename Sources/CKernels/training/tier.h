// What one tier's code offers to training. Internal to the target.
#ifndef KILN_TRAINING_TIER_H
#define KILN_TRAINING_TIER_H
#include "kiln_training.h"

typedef struct {
  void (*update)(const kiln_update_params *p, int64_t n, float *w, float *g, float *s0, float *s1, float *s2);
  double (*sum_of_squares)(int64_t n, const float *x);
  void (*add_scaled)(int64_t n, float *w, const float *x, float factor);
  void (*blend)(int64_t n, float *y, const float *x, float a, float b);
  bool (*all_finite)(int64_t n, const float *x);
} kiln_training_tier;

const kiln_training_tier *kiln_training_scalar(void);
#if defined(__x86_64__)
const kiln_training_tier *kiln_training_avx2(void);
const kiln_training_tier *kiln_training_avx512(void);
#endif
#endif

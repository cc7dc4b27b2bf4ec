// What training adds to the kernels: updates of weights by their gradients, and derivatives that have no fast composition.
#ifndef KILN_TRAINING_H
#define KILN_TRAINING_H

#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// Keras's optimizers, one element at a time: w the weight, g the gradient, s0..s2 what the optimizer keeps of it.
// First of all g = clip(g * scale, -limit, limit) where limit > 0, and w -= w * decay.
typedef enum {
  KILN_SGD = 0,        // w -= rate g
  KILN_MOMENTUM = 1,   // s0 = a s0 - rate g; w += s0
  KILN_NESTEROV = 2,   // the same s0; w += a s0 - rate g
  KILN_ADAM = 3,       // s0 += (g - s0) (1 - a); s1 += (g^2 - s1) (1 - b); w -= s0 rate / (sqrt(s1) + epsilon)
  KILN_AMSGRAD = 4,    // the same with s2 = max(s2, s1) below
  KILN_RMSPROP = 5,    // s0 = a s0 + (1 - a) g^2; w -= rate g / sqrt(s0 + epsilon); options below
  KILN_ADAGRAD = 6,    // s0 += g^2; w -= rate g / sqrt(s0 + epsilon)
  KILN_ADADELTA = 7,   // s0 = a s0 + (1 - a) g^2; d = sqrt(s1 + epsilon) g / sqrt(s0 + epsilon); s1 = a s1 + (1 - a) d^2; w -= rate d
  KILN_ADAMAX = 8,     // s0 += (g - s0) (1 - a); s1 = max(b s1, |g|); w -= rate s0 / (c (s1 + epsilon))
  KILN_NADAM = 9,      // s0, s1 as Adam; w -= (c s0 + d g) rate / (sqrt(s1 / e) + epsilon)
  KILN_FTRL = 10,      // a -learning_rate_power, b l2, c l1, d 2 * shrinkage: see update.inc.h
  KILN_LION = 11,      // w -= rate sign(a s0 + (1 - a) g); s0 = b s0 + (1 - b) g
  KILN_LAMB = 12,      // s0, s1 as Adam; g = (s0 / c) / (sqrt(s1 / e) + epsilon), for kiln_update_lamb to take
} kiln_update_rule;

typedef struct {
  int32_t rule;
  int32_t centered;    // RMSprop: s2 the mean gradient, whose square is taken off s0
  float rate, scale, limit, decay, epsilon;
  float a, b, c, d, e;
  float momentum;      // RMSprop: s1 the momentum; 0: none
} kiln_update_params;

// Updates n elements. g is written by KILN_LAMB only. States that a rule does not have may be NULL.
void kiln_update(const kiln_update_params *params, int64_t n, float *w, float *g, float *s0, float *s1, float *s2);
// The sum of squares, in double.
double kiln_sum_of_squares(int64_t n, const float *x);
// w += factor * x.
void kiln_add_scaled(int64_t n, float *w, const float *x, float factor);
// y = a * y + b * x.
void kiln_blend(int64_t n, float *y, const float *x, float a, float b);
// Whether all numbers are finite.
bool kiln_all_finite(int64_t n, const float *x);

#ifdef __cplusplus
}
#endif
#endif

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

// Updates n elements. g is written by KILN_LAMB only. States that a rule does not have may be NULL. `squares` takes the place of
// g^2 unless it is NULL: the sum of squares of what was summed up in g (KILN_ADAMAX: of absolute values, in the place of |g|).
void kiln_update(const kiln_update_params *params, int64_t n, float *w, float *g, const float *squares, float *s0, float *s1, float *s2);
// The sum of squares, in double.
double kiln_sum_of_squares(int64_t n, const float *x);
// w += factor * x.
void kiln_add_scaled(int64_t n, float *w, const float *x, float factor);
// y = a * y + b * x.
void kiln_blend(int64_t n, float *y, const float *x, float a, float b);
// Whether all numbers are finite.
bool kiln_all_finite(int64_t n, const float *x);

// The derivative of a convolution by its kernel. Operands: x [batch, in_h, in_w, in_c], the result's cotangent
// [batch, out_h, out_w, out_c], the partial sums of each part (kernel_h * kernel_w * in_c / groups * out_c floats each), scratch.
// A second step over (partial sums, result) adds the parts up: kiln_conv_gradient_sum.
typedef struct {
  int32_t batch;
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_top, pad_left;
  int32_t groups;
  int32_t shares;  // how many partial sums there are: the parts of the first step
} kiln_conv_gradient_params;

// Sets `shares` and returns how many parts are worth it.
int32_t kiln_conv_gradient_parts(kiln_conv_gradient_params *params, int32_t threads);
// Bytes of scratch, and of partial sums, for `shares` parts.
size_t kiln_conv_gradient_scratch_bytes(const kiln_conv_gradient_params *params);
size_t kiln_conv_gradient_partial_bytes(const kiln_conv_gradient_params *params);
void kiln_conv_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts);
void kiln_conv_gradient_sum(const void *params, void *const *operands, int32_t part, int32_t parts);

// The derivative of a pooling by its operand, in three spatial axes. Operands: x, the result's cotangent, the result.
typedef struct {
  int64_t batch, channels;
  int64_t input[3], output[3], window[3], stride[3], dilation[3], before[3];
  int32_t average, counts_padding;
} kiln_pool_gradient_params;

void kiln_pool_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_pool_gradient_parts(const kiln_pool_gradient_params *params, int32_t threads);

// result[index[i], :] += updates[i, :] for `rows` rows of `width`, zeros before. Operands: indices (int32 or int64), updates, result, flag
// that is set when an index is out of range. Parts share the result's columns.
typedef struct {
  int64_t count, rows, width;
  int32_t is_wide;
} kiln_scatter_add_params;
void kiln_scatter_add_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

// Backpropagation through time, from the trace that the forward pass kept (kiln_rnn.h). Operands:
//  0 trace   1 packed transposed recurrent kernel (kiln_rnn_gradient_pack)   2 mask u8 [batch, time] | NULL
//  3 the output's cotangent   4 of the final h   5 of the final c (LSTM)
//  6 cotangent of the gates' sums with the inputs [batch, time, gates * units]
//  7 of their sums with the states, the same but for the candidate (GRU_RESET_AFTER)
//  8 r h, which the candidate's recurrent kernel multiplies, [batch, time, units] (GRU_RESET_BEFORE)
//  9 cotangent of the initial h | NULL   10 of the initial c | NULL   11 scratch
typedef struct {
  int32_t cell;  // kiln_rnn_cell
  int32_t go_backwards, return_sequences, zero_masked_output;
  int64_t batch, time, units;
  kiln_activation activation, recurrent_activation;  // those whose value tells their slope: kiln_rnn_gradient_knows
} kiln_rnn_gradient_params;
bool kiln_rnn_gradient_knows(int32_t function);
void kiln_rnn_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_rnn_gradient_parts(const kiln_rnn_gradient_params *params, int32_t threads);
// Bytes of scratch for any number of parts, and of the packed recurrent kernel.
size_t kiln_rnn_gradient_scratch_bytes(const kiln_rnn_gradient_params *params);
size_t kiln_rnn_gradient_packed_bytes(const kiln_rnn_gradient_params *params);
// Operands: recurrent kernel [units, gates * units], packed.
void kiln_rnn_gradient_pack(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

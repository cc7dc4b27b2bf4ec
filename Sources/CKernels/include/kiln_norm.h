// Kernels that look along an axis: softmax, normalizations, reductions, arg-max, cumulative sums, top-k.
// Data of "axis form" is dense row-major [outer, axis, inner]; inner == 1 is the last axis. Every function of type
// kiln_kernel takes the params named beside it. `..._parts` says how many parts are worth using on `threads` threads.
// In place (output == x) is allowed for softmax, layer_norm, rms_norm, affine and cumulative.
#ifndef KILN_NORM_H
#define KILN_NORM_H
#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int64_t outer, axis, inner;
  int32_t logarithm;  // 1: log softmax
  int32_t reserved;
} kiln_softmax_params;
// exp(x - max) / sum(exp(x - max)) along the axis, or its logarithm. Operands: x, y, both f32 [outer, axis, inner].
// A row with a NaN, with +inf, or all -inf gives NaN.
void kiln_softmax(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_softmax_parts(const kiln_softmax_params *params, int32_t threads);

typedef struct {
  int64_t rows, n;
  float epsilon;
  int32_t root_mean_square;  // 1: RMS normalization: no mean is taken away (beta, when present, is still added)
} kiln_layer_norm_params;
// (x - mean) / sqrt(variance + epsilon) * gamma + beta over each row of n; the variance is taken about the mean in a
// second pass (biased, as Keras). Operands: x f32 [rows, n], gamma f32 [n] | NULL, beta f32 [n] | NULL, y f32 [rows, n].
void kiln_layer_norm(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_layer_norm_parts(const kiln_layer_norm_params *params, int32_t threads);

typedef struct {
  int64_t rows, channels;
  kiln_activation activation;
} kiln_affine_params;
// activation(x * scale + shift) by channel: batch normalization at inference. Operands: x f32 [rows, channels],
// scale f32 [channels] | NULL, shift f32 [channels] | NULL, y f32 [rows, channels].
void kiln_affine(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_affine_parts(const kiln_affine_params *params, int32_t threads);

typedef enum {
  KILN_REDUCE_SUM = 0, KILN_REDUCE_MEAN, KILN_REDUCE_MAX, KILN_REDUCE_MIN, KILN_REDUCE_PROD, KILN_REDUCE_ANY, KILN_REDUCE_ALL,
  KILN_REDUCE_LOGSUMEXP,
} kiln_reduce_op;

typedef struct {
  int64_t outer, axis, inner;
  int32_t op;                   // kiln_reduce_op
  int32_t dtype, result_dtype;  // of x and y
  int32_t reserved;
} kiln_reduce_params;
// Operands: x [outer, axis, inner], y [outer, inner]. f32 to f32 is vectorised: sums are blocked, with block sums added
// in double along the last axis. Other types accumulate in 64-bit integers (both types integral) or in double.
// max and min are NaN where any element is. An empty axis gives 0 (sum, any), 1 (prod, all), NaN (mean), -inf (max,
// logsumexp) or +inf (min); for integers the least and greatest 64-bit value.
void kiln_reduce(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_reduce_parts(const kiln_reduce_params *params, int32_t threads);

typedef struct {
  int64_t outer, axis, inner;
  int32_t smallest;            // 1: arg-min
  int32_t dtype;               // of x: any
  int32_t index_dtype;         // KILN_I32 or KILN_I64
  int32_t reserved;
} kiln_arg_params;
// The index along the axis of the largest (smallest) element; the first of equals, and the first NaN before any number.
// Operands: x [outer, axis, inner], y [outer, inner]. An empty axis gives 0.
void kiln_arg(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_arg_parts(const kiln_arg_params *params, int32_t threads);

typedef struct {
  int64_t outer, axis, inner;
  int32_t product;             // 1: cumulative product
  int32_t exclusive, reverse;  // exclusive: element k is left out of sum k
  int32_t dtype;               // KILN_F32, KILN_F64, KILN_I32 or KILN_I64; accumulated in that type
} kiln_cumulative_params;
// Operands: x, y, both [outer, axis, inner].
void kiln_cumulative(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_cumulative_parts(const kiln_cumulative_params *params, int32_t threads);

typedef struct {
  int64_t rows, n, k;          // 0 <= k <= n
  int32_t smallest;            // 1: the k smallest, ascending
  int32_t dtype;               // KILN_F32, KILN_F64, KILN_I32 or KILN_I64
  int32_t index_dtype;         // KILN_I32 or KILN_I64
  int32_t reserved;
} kiln_top_k_params;
// The k largest of each row, descending; of equals the lower index first; NaN counts as largest (smallest: as largest
// too, so last). Operands: x [rows, n], values [rows, k], indices [rows, k].
void kiln_top_k(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_top_k_parts(const kiln_top_k_params *params, int32_t threads);

#ifdef __cplusplus
}
#endif
#endif

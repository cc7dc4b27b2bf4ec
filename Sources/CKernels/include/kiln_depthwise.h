// Depthwise convolution, float32, channels last (NHWC).
#ifndef KILN_DEPTHWISE_H
#define KILN_DEPTHWISE_H

#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// output[b, y, x, c * m + j] = activation(bias[c * m + j] + residual[b, y, x, c * m + j]
//   + sum over ky, kx of input[b, y * stride_h - pad_top + ky * dilation_h, x * stride_w - pad_left + kx * dilation_w, c] * w[ky, kx, c * m + j])
// with m = multiplier. Input outside the image is 0; the output size implies the bottom and right padding. All tensors
// are dense. `residual` may be the output itself. A 1-D convolution has heights of 1. Weights need no packing:
// [kernel_h, kernel_w, channels * multiplier], which is also the memory order of Keras' [kh, kw, channels, multiplier].
typedef struct {
  int32_t batch;
  int32_t in_h, in_w, channels, multiplier;
  int32_t out_h, out_w;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_top, pad_left;
  kiln_activation activation;
  int32_t split;  // 0: output pixels, 1: channels; kiln_depthwise_parts sets it
} kiln_depthwise_params;

// Sets `split` and returns how many parts are worth it.
int32_t kiln_depthwise_parts(kiln_depthwise_params *params, int32_t threads);
// Operands: input, weights, bias or NULL, residual or NULL, output.
void kiln_depthwise_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

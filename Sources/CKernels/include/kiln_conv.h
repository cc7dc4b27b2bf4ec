// Convolutions and transposed convolutions, float32, channels last (NHWC). A 1-D convolution has heights of 1.
#ifndef KILN_CONV_H
#define KILN_CONV_H

#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  KILN_CONV_DIRECT = 0,     // any convolution: products over the windows in place, no im2col
  KILN_CONV_WINOGRAD2 = 1,  // F(2x2, 3x3): 3x3, stride 1, dilation 1, one group
  KILN_CONV_WINOGRAD4 = 2,  // F(4x4, 3x3): the same
  KILN_CONV_LINE = 3,       // F(m, r) along one axis, the other kernel axis 1: stride 1, one group
} kiln_conv_algorithm;

// The points of Winograd's F(4x4, 3x3) are 0, a, -a, b, -b and infinity. Smaller ones than the usual 1 and 2, and not a power of two apart,
// keep the rounding error several times lower; all constants that the transforms make of them are exact.
#define KILN_WINOGRAD_A 0.625f
#define KILN_WINOGRAD_B 1.5f

typedef enum {
  KILN_CONV_SPLIT_PIXELS = 0,
  KILN_CONV_SPLIT_CHANNELS = 1,  // output channels, for small maps
} kiln_conv_split;

// output[b, y, x, o] = activation(bias[o] + residual[b, y, x, o]
//   + sum over ky, kx, c of input[b, y * stride_h - pad_top + ky * dilation_h, x * stride_w - pad_left + kx * dilation_w, c] * w[ky, kx, c, o])
// Input outside the image is 0; only the top and left padding are given (negative ones crop), the output size implies the rest.
// With groups, in_c and out_c are divisible by `groups`, and output channels of group g see only its input channels.
// All tensors are dense. `residual` may be the output itself.
typedef struct {
  int32_t batch;
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_top, pad_left;
  int32_t groups;
  kiln_activation activation;
  int32_t algorithm;  // a kiln_conv_algorithm; kiln_conv_choose sets it
  int32_t points, outputs;  // of KILN_CONV_LINE: m + r - 1 (7 or 11) and m; kiln_conv_choose sets them
  int32_t split;      // a kiln_conv_split; kiln_conv_parts sets it
} kiln_conv_params;

// Sets the fastest algorithm; with `exact` only direct ones (the error of Winograd is below 1e-4 of the largest output).
void kiln_conv_choose(kiln_conv_params *params, int32_t threads, bool exact);
// Bytes of packed weights for `algorithm` and the current tier.
size_t kiln_conv_packed_bytes(const kiln_conv_params *params);
// Packs weights [kernel_h, kernel_w, in_c / groups, out_c]. `out` should be 64-byte aligned.
void kiln_conv_pack(const kiln_conv_params *params, const float *weights, float *out);
// Sets `split` and returns how many parts are worth it.
int32_t kiln_conv_parts(kiln_conv_params *params, int32_t threads);
// Bytes of scratch for `parts` parts; 0 if none is needed. `split` is set before.
size_t kiln_conv_scratch_bytes(const kiln_conv_params *params, int32_t parts);
// Operands: input, packed weights, bias or NULL, residual or NULL, output, scratch (64-byte aligned) or NULL.
void kiln_conv_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

// The transposed convolution: output[b, y * stride_h - pad_top + ky * dilation_h, x * stride_w - pad_left + kx * dilation_w, o]
// gathers input[b, y, x, c] * w[ky, kx, o, c] over all y, x, ky, kx, c, then bias[o], residual and activation.
// Here `in` is the small side, `groups` is 1, `algorithm` is ignored; contributions outside the output are dropped.
size_t kiln_conv_transpose_packed_bytes(const kiln_conv_params *params);
// Packs weights [kernel_h, kernel_w, out_c, in_c].
void kiln_conv_transpose_pack(const kiln_conv_params *params, const float *weights, float *out);
int32_t kiln_conv_transpose_parts(kiln_conv_params *params, int32_t threads);
size_t kiln_conv_transpose_scratch_bytes(const kiln_conv_params *params, int32_t parts);
// Operands as for kiln_conv_f32.
void kiln_conv_transpose_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

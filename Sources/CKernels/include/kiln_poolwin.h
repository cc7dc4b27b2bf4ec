// Window pooling over channels-last data, in up to three spatial dims. Global pooling is kiln_reduce with axis = the
// product of the spatial dims and inner = channels.
#ifndef KILN_POOLWIN_H
#define KILN_POOLWIN_H
#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// What x's elements go through on their way in: f(x * scale[channel] + shift[channel]), f being relu or nothing. x itself may be in
// `sources` pieces, dense tensors of `widths` channels side by side.
typedef struct {
  int32_t sources;        // 0: no prologue
  const int64_t *widths;  // owned by the plan
  bool scale_by_sample;   // a row of `scale` for each sample of the batch; else one for all
  bool relu;
} kiln_pool_prologue;

// Spatial dims are depth, height, width; the unused leading ones are 1 (with kernel, stride and dilation 1, padding 0).
// Output o along a dim looks at input o * stride - pad_before + tap * dilation for each tap < kernel.
typedef struct {
  int64_t batch, channels;
  int64_t input[3], output[3];
  int64_t kernel[3], stride[3], dilation[3];
  int64_t pad_before[3], pad_after[3];
  int32_t average;            // 0: maximum, 1: average
  int32_t count_include_pad;  // average: divide by the taps inside the padded input rather than inside the input
  kiln_pool_prologue prologue;
  kiln_activation activation;  // of the result
} kiln_window_pool_params;

// Operands: x f32 [batch, depth, height, width, channels], y f32 [batch, output..., channels]; with a prologue also scale
// [samples, channels] or NULL, shift [channels] or NULL, and the pieces of x behind the first.
// Padding never wins a maximum; NaN does. A window with no tap in the input gives -inf (maximum) or 0 (average).
void kiln_window_pool(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_window_pool_parts(const kiln_window_pool_params *params, int32_t threads);

#ifdef __cplusplus
}
#endif
#endif

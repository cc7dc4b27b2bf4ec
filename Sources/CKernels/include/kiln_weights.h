// Products and convolutions whose weights are not in the tiles' own layout: read from where the model file has them, so that
// nothing is held twice, or kept in fewer bits, so that less is read.
#ifndef KILN_WEIGHTS_H
#define KILN_WEIGHTS_H

#include "kiln_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

// Streamed: weights in the file's order. For each panel of output channels the kernel lays out the weights in scratch, which
// stays in the core's cache while all rows pass over it. A matrix product is a convolution of kernel 1x1 over one line.
//
// One group; `algorithm` is ignored. Few positions (kiln_streamed_in_place) read the weights where they are instead.
bool kiln_streamed_in_place(const kiln_conv_params *params);
// Sets `split` and returns how many parts are worth it.
int32_t kiln_streamed_parts(kiln_conv_params *params, int32_t threads);
// Bytes of scratch for `parts` parts.
size_t kiln_streamed_scratch_bytes(const kiln_conv_params *params, int32_t parts);
// Operands: input, weights [kernel_h, kernel_w, in_c, out_c], bias or NULL, residual or NULL, output, scratch (64-byte aligned).
void kiln_streamed_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

// Narrow: weights of few bits, sums in float32.
typedef enum {
  KILN_NARROW_BF16 = 0,  // rounded to nearest even
  KILN_NARROW_I8 = 1,    // -127...127 times a scale for each output column, its largest magnitude over 127
} kiln_narrow_form;

// C[m, n] = activation(A[m, k] * B[k, n] + bias[n] + residual[m, n]); dense rows. `residual` may be C itself.
typedef struct {
  int64_t m, n, k;
  kiln_activation activation;
  int32_t form;  // a kiln_narrow_form
} kiln_narrow_params;

// Bytes of packed B for the current tier, the scales included.
size_t kiln_narrow_packed_bytes(int32_t form, int64_t n, int64_t k);
// Packs B, whose element (row, column) is b[row * row_stride + column * column_stride], all finite. `out` should be 64-byte aligned.
void kiln_narrow_pack(int32_t form, const float *b, int64_t row_stride, int64_t column_stride, int64_t n, int64_t k, void *out);
int32_t kiln_narrow_parts(const kiln_narrow_params *params, int32_t threads);
// Operands: A, packed B, bias or NULL, residual or NULL, C.
void kiln_narrow_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

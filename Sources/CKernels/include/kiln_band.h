// A depthwise convolution with what makes its input, what alone reads its result, or both, in turns by bands of rows, float32, channels
// last. What lies between stays in a core's cache and is never written to memory.
#ifndef KILN_BAND_H
#define KILN_BAND_H

#include "kiln_conv.h"
#include "kiln_depthwise.h"
#include "kiln_gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  KILN_FRONT_NONE = 0,
  KILN_FRONT_PRODUCT = 1,  // a product of pixels
  KILN_FRONT_CONV = 2,     // a direct convolution
} kiln_front;

typedef struct {
  int32_t front;  // a kiln_front
  kiln_gemm_params product;   // m = all pixels of the depthwise convolution's input; without a prologue, ldc = n
  kiln_conv_params conv;      // of one group
  kiln_depthwise_params depthwise;
  // Of the result's pixels, with lda = k and ldc = n; n = 0: none.
  kiln_gemm_params projection;
} kiln_band_params;

// Whether `front` and the depthwise convolution are faster in turns than one after the other.
bool kiln_band_front_worth(const kiln_band_params *params, int32_t threads);
// The same of the projection.
bool kiln_band_projection_worth(const kiln_band_params *params, int32_t threads);
int32_t kiln_band_parts(const kiln_band_params *params, int32_t threads);
size_t kiln_band_scratch_bytes(const kiln_band_params *params, int32_t parts);
// Operands: those of the front (A or input, packed weights, bias or NULL, residual or NULL), or the depthwise convolution's input and three
// that are not looked at; scratch (64-byte aligned); weights of the depthwise convolution, bias or NULL, residual or NULL; packed
// weights of the projection, bias or NULL, residual or NULL (none without a projection); output.
void kiln_band_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

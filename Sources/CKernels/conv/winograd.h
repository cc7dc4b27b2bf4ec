// Winograd's F(m x m, 3x3), m = 2 or 4 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks").
//
// The output is cut in m x m tiles; the (m + 2)^2 input pixels d that a tile sees, the kernel g and the tile's sums meet in
// a transformed space where the convolution is a product a point: output = A' [(G g G') . (B' d B)] A. All tiles and
// channels together make one matrix product for each of the (m + 2)^2 points.
//
//   input --B'dB--> U[point][tile][C + pad] --x W--> M[point][tile][panel] --A'MA--> output, one panel at a time
//
// Work goes in blocks of tiles whose U stays in cache. Weights are packed [panel][point][C][panel width]. The pad breaks the
// power-of-two stride between rows of U, which would make them compete for the same cache sets.
#ifndef KILN_WINOGRAD_H
#define KILN_WINOGRAD_H

#include "../gemm/points.h"
#include "window.h"

// One tile's way in, all channels.
typedef struct {
  const float *image;
  int64_t in_h, in_w, channels;
  int64_t y, x;        // the input pixel at the tile's corner; may lie outside
  float *u;            // point 0
  int64_t u_point;     // floats between points
} kiln_winograd_input;

// One tile's way out, one panel.
typedef struct {
  const float *m;  // point 0
  int64_t m_point;
  const float *bias, *residual;  // NULL, or at the panel's first channel (and the tile's corner)
  float *output;
  int64_t out_row, out_pixel;
  int32_t rows, columns;  // valid ones of the tile
  int32_t channels;       // valid ones of the panel
  kiln_finish finish;
  float p[2];
} kiln_winograd_output;

typedef struct {
  void (*input)(const kiln_winograd_input *tile);
  void (*output)(const kiln_winograd_output *tile);
} kiln_winograd_transforms;

// A tier without transforms (both NULL) does every convolution directly.
typedef struct {
  kiln_winograd_transforms f2, f4;
} kiln_winograd_set;

// Whether these parameters run as Winograd: chosen, applicable, and the tier has it.
bool kiln_winograd_used(const kiln_conv_params *params);
int64_t kiln_winograd_tiles(const kiln_conv_params *params);
size_t kiln_winograd_packed_bytes(const kiln_conv_params *params);
void kiln_winograd_pack(const kiln_conv_params *params, const float *weights, float *out);
size_t kiln_winograd_scratch_bytes(const kiln_conv_params *params, int32_t parts);
void kiln_winograd_f32(const kiln_conv_params *params, void *const *operands, int32_t part, int32_t parts);

#endif

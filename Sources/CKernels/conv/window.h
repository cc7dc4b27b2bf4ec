// Sums over windows of one image at a grid of positions: what a convolution does, and each phase of a transposed one.
//
// Position (y, x) sees taps (ky, kx) at input pixel (origin_y + y * stride_h + ky * dilation_h, ...). Positions are
// numbered y * grid_w + x and done in *bands*: the input box that a band sees is read in place when it lies inside
// the image, and is copied to scratch with its zero border otherwise. A band of one row copies only its own columns, so
// in a long 1-D convolution only the two ends are ever copied.
//
//      image           box of a band in scratch
//   +---------+      0 0 0 0 0 0 0 0
//   | . . . . |      0 . . . . . . 0     position (y, x), tap row ky: kernel_w * C consecutive floats
//   | . . . . |      0 . . . . . . 0
#ifndef KILN_WINDOW_H
#define KILN_WINDOW_H

#include "../gemm/tile.h"
#include "../include/kiln_conv.h"

typedef struct {
  const float *input;
  int64_t in_h, in_w, in_c;
  int64_t taps_h, taps_w, stride_h, stride_w, dilation_h, dilation_w;
  int64_t origin_y, origin_x;
  int64_t grid_h, grid_w;
  const float *residual;  // NULL, or strided as the output
  float *output;         // begins at position `first_out`
  int64_t first_out;
  int64_t out_row, out_pixel;  // floats between rows and between pixels of the output's positions
  int64_t groups, group_packed;  // floats of packed weights of one group
  kiln_block block;  // without segments and output strides, which kiln_window_run fills; packed and bias of group 0
} kiln_window;

// Scratch of one running part, in floats; `input`, `output` and `block` are not looked at.
int64_t kiln_window_scratch(const kiln_window *window);
// Does positions first..end of image 0.
void kiln_window_run(const kiln_window *window, int64_t first, int64_t end, float *scratch);

// Does positions first..end counted through all images, whose operands begin at `input`, `residual` (or NULL) and `output`.
void kiln_window_run_images(const kiln_window *window, const float *input, const float *residual, float *output, int64_t first,
                            int64_t end, float *scratch);

// The window of image 0, with the block's set, packed weights of NULL and all panels.
kiln_window kiln_conv_window(const kiln_conv_params *params);

#endif

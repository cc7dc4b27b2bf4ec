// A depthwise convolution goes along output rows, one vector of channels at a time: the tile functions below keep the
// sums of up to 8 neighbouring pixels of one channel vector in registers. Rows of taps outside the image are left out by the
// caller; columns outside are left out by the tiles that touch a border.
#ifndef KILN_DEPTHWISE_ROW_H
#define KILN_DEPTHWISE_ROW_H

#include "../gemm/tile.h"
#include "../include/kiln_depthwise.h"

typedef struct {
  const float *input;  // column 0 of the first tap row, at the vector's first input channel
  int64_t in_row, in_pixel, in_w;  // in_row: floats between tap rows
  int64_t origin_x;                // input column of output column 0's first tap
  const float *weights;            // first tap row, first channel
  int64_t weight_row, weight_tap;
  int64_t tap_rows, tap_columns, stride, dilation;
  const float *bias, *residual;    // NULL, or at the first channel (and column 0)
  float *output;                   // column 0
  int64_t out_pixel;
  int32_t multiplier;
  int32_t first_channel;  // output channel
  int32_t channels;       // valid output channels, at most the tier's lanes
  int32_t in_channels;    // input channels left from the first one
  kiln_finish finish;
  float p[2];
} kiln_depthwise_row;

// Does output columns first..end.
typedef void (*kiln_depthwise_row_function)(const kiln_depthwise_row *row, int64_t first, int64_t end);

typedef struct {
  int32_t lanes;
  kiln_depthwise_row_function any;
  kiln_depthwise_row_function fast[3][2];  // kernel width 3, 5, 7; stride 1, 2; dilation 1, multiplier 1, all lanes; or NULL
} kiln_depthwise_set;

#endif

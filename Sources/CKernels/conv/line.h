// Fast convolutions along one axis (1-D, 1xR, Rx1), stride 1: Toom and Cook's F(m, r) over lines of the input.
//
// A line is cut in tiles of m outputs. The n = m + r - 1 inputs that a tile sees and r taps meet in a transformed space of n
// points, where a tile costs n products in place of m r. Longer kernels are cut in groups of r = m taps: the inputs of
// tile t and group g are those of tile t + g and group 0, so one transform serves all groups, and all groups and channels
// are one depth of one matrix product for each point.
//
//   line --B'd--> U[point][tile][C + pad] --x W[point][group][C]--> M[point][tile][panel] --A'M--> output
//
// Points: 0, infinity, +-q for each of 2 or 4 values q, and one more value s without its opposite. A dilated convolution is
// one line for each residue of the position modulo the dilation.
#ifndef KILN_LINE_H
#define KILN_LINE_H

#include "../gemm/points.h"
#include "window.h"

enum { KILN_LINE_MOST_POINTS = 11, KILN_LINE_MOST_OUTPUTS = 7, KILN_LINE_MOST_PAIRS = 4 };

// The finite points other than 0: searched for small rounding errors (root mean square 3 times that of a direct sum with 7
// points, 14 times with 11) among those whose products are exact.
#define KILN_LINE7_A 1.0
#define KILN_LINE7_B 2.0
#define KILN_LINE7_S 0.5
#define KILN_LINE11_A 0.625
#define KILN_LINE11_B 1.0
#define KILN_LINE11_C 1.375
#define KILN_LINE11_D 2.0
#define KILN_LINE11_S -0.25

// What the transforms multiply with: powers of the points and the coefficients of products of (y - q^2).
typedef struct {
  int32_t pairs;
  float s, q[KILN_LINE_MOST_PAIRS];
  float all[KILN_LINE_MOST_PAIRS + 1];                     // of the product over every q, by power of y
  float others[KILN_LINE_MOST_PAIRS][KILN_LINE_MOST_PAIRS];  // of the product over every q but this one
  float q_power[KILN_LINE_MOST_PAIRS][KILN_LINE_MOST_OUTPUTS], s_power[KILN_LINE_MOST_OUTPUTS];
} kiln_line_points;

// A tile's way in, all channels.
typedef struct {
  const kiln_line_points *points;
  const float *line;    // position 0 of the line, which may lie outside the input
  int64_t pixel;        // floats between positions
  int64_t first, end;   // positions inside the input
  int64_t at;           // the tile's first position
  int64_t channels;
  float *u;             // point 0
  int64_t u_point;      // floats between points
} kiln_line_input;

// A tile's way out, one panel.
typedef struct {
  const kiln_line_points *points;
  const float *m;  // point 0
  int64_t m_point;
  const float *bias, *residual;  // NULL, or at the panel's first channel (and the tile's first position)
  float *output;
  int64_t pixel;         // floats between the outputs of a tile
  int32_t size, valid;   // outputs of a tile, and those of this one that exist
  int32_t channels;      // valid ones of the panel
  kiln_finish finish;
  float p[2];
} kiln_line_output;

// A tier without transforms (NULL) does every convolution directly.
typedef struct {
  void (*input7)(const kiln_line_input *tile);
  void (*input11)(const kiln_line_input *tile);
  void (*output7)(const kiln_line_output *tile);
  void (*output11)(const kiln_line_output *tile);
} kiln_line_set;

const kiln_line_set *kiln_line_transforms(void);
const kiln_line_points *kiln_line_points_of(int32_t points);

// The one axis along which the kernel has taps.
typedef struct {
  int64_t length, out_length, taps, dilation, pad;
  int64_t in_pixel, out_pixel;   // floats between neighbours along the axis
  int64_t others;                // positions of the other axis, of all images
  bool tall;                     // along y
} kiln_line_axis;

// False if the convolution is of another kind.
bool kiln_line_axis_of(const kiln_conv_params *params, kiln_line_axis *axis);
bool kiln_line_used(const kiln_conv_params *params);
// Products for one output and input channel, transforms included; `points` and `outputs` (m) are set to the best choice.
double kiln_line_choose(const kiln_conv_params *params, const kiln_line_axis *axis, int32_t *points, int32_t *outputs);
int64_t kiln_line_tiles(const kiln_conv_params *params);
int64_t kiln_line_groups(const kiln_conv_params *params);
size_t kiln_line_packed_bytes(const kiln_conv_params *params);
void kiln_line_pack(const kiln_conv_params *params, const float *weights, float *out);
size_t kiln_line_scratch_bytes(const kiln_conv_params *params, int32_t parts);
void kiln_line_f32(const kiln_conv_params *params, void *const *operands, int32_t part, int32_t parts);

#endif

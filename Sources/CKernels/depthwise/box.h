// Work on a depthwise convolution goes in boxes of output rows and columns, one channel vector after the other, so small that
// the input of a box in one channel vector stays in the first-level cache while its rows are gone along.
#ifndef KILN_DEPTHWISE_BOX_H
#define KILN_DEPTHWISE_BOX_H

#include "row.h"

typedef struct {
  int64_t rows, columns;
} kiln_box_size;
kiln_box_size kiln_depthwise_box_size(const kiln_depthwise_params *p);

// Output rows y0..y1, columns x0..x1, channel vectors v0..v1.
typedef struct {
  int64_t y0, y1, x0, x1, v0, v1;
} kiln_box;

int64_t kiln_depthwise_vectors(const kiln_depthwise_params *p);

// Computes a box of image b. `image` begins at input row `first_row`; operands[1..3] are those of kiln_depthwise_f32; `output` begins
// at row `first_out` of the rows of all images' results.
void kiln_depthwise_box(const kiln_depthwise_params *p, const float *image, int64_t first_row, void *const *operands, float *output,
                        int64_t first_out, int64_t b, kiln_box box);

#endif

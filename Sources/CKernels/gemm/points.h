// What fast algorithms have in common: operands are combined, one matrix product is done for each *point* of the combined
// space, and the products M[point][row][panel] are combined to the outputs, one panel at a time while it is in cache.
#ifndef KILN_POINTS_H
#define KILN_POINTS_H

#include "tile.h"

typedef struct {
  const kiln_tile_set *set;
  int64_t points, count;     // rows of each point
  const float *const *rows;  // [points][count]
  int32_t segments;          // of a row, `segment_stride` floats apart, k floats each
  int64_t k, segment_stride;
  int64_t block;             // rows of M from one point to the next
  int64_t bytes;             // of the packed weights of all panels
} kiln_points;

// M of one panel `vectors` wide, whose weights are packed [point][segments * k][width].
void kiln_points_multiply(const kiln_points *points, const float *weights, int32_t vectors, float *m);

#endif

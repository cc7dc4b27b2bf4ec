#include "points.h"

void kiln_points_multiply(const kiln_points *p, const float *weights, int32_t vectors, float *m) {
  const kiln_tile_set *set = p->set;
  const int64_t width = (int64_t)vectors * set->lanes, depth = p->segments * p->k;
  const int64_t heights = (p->count + set->rows - 1) / set->rows;
  kiln_tile tile = {.ldb = width, .outer = p->segments, .inner = 1, .k = p->k, .outer_stride = p->segment_stride,
                    .ldc = width, .columns = (int32_t)width};
  for (int64_t point = 0; point < p->points; point++) {
    tile.b = weights + point * depth * width;
    for (int64_t i = 0; i < heights; i++) {
      const int64_t r = kiln_share(p->count, i, heights), height = kiln_share(p->count, i + 1, heights) - r;
      tile.rows = p->rows + point * p->count + r;
      tile.ahead = kiln_ahead(tile.b + depth * width, depth, i, heights, true, p->bytes);
      tile.c = m + (point * p->block + r) * width;
      set->functions[(height - 1) * set->vectors + vectors - 1](&tile);
    }
  }
}

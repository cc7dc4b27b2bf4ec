#include "line.h"

// Row `point` of G for `taps` taps: (1, x, x^2, ...) over the product of x's distances to the other finite points.
static void kernel_row(const kiln_line_points *c, int64_t point, int64_t taps, double *row) {
  const int64_t n = 2 * c->pairs + 3;
  double finite[KILN_LINE_MOST_POINTS] = {0};
  for (int32_t j = 0; j < c->pairs; j++) {
    finite[1 + 2 * j] = c->q[j];
    finite[2 + 2 * j] = -(double)c->q[j];
  }
  finite[n - 2] = c->s;
  double distance = 1, power = 1;
  if (point == n - 1) {
    for (int64_t i = 0; i < taps; i++) row[i] = i == taps - 1;
    return;
  }
  for (int64_t i = 0; i < n - 1; i++) distance *= i == point ? 1 : finite[point] - finite[i];
  for (int64_t i = 0; i < taps; i++, power *= finite[point]) row[i] = power / distance;
}

size_t kiln_line_packed_bytes(const kiln_conv_params *p) {
  return (size_t)(kiln_padded_columns(kiln_tiles(), p->out_c) * p->points * kiln_line_groups(p) * p->in_c) * sizeof(float);
}

void kiln_line_pack(const kiln_conv_params *p, const float *weights, float *out) {
  kiln_line_axis axis;
  if (!kiln_line_axis_of(p, &axis)) return;
  const kiln_tile_set *set = kiln_tiles();
  const kiln_line_points *points = kiln_line_points_of(p->points);
  const int64_t groups = kiln_line_groups(p), taps = p->points + 1 - p->outputs, in_c = p->in_c, out_c = p->out_c;
  for (int64_t index = 0; index < kiln_panel_count(set, out_c); index++) {
    const kiln_panel panel = kiln_panel_at(set, out_c, index);
    const int64_t width = panel.vectors * set->lanes;
    float *to = out + panel.column * in_c * groups * p->points;
    for (int64_t point = 0; point < p->points; point++) {
      double row[KILN_LINE_MOST_POINTS];
      kernel_row(points, point, taps, row);
      for (int64_t g = 0; g < groups; g++) {
        const int64_t left = axis.taps - g * taps, own = left < taps ? left : taps;
        for (int64_t c = 0; c < in_c; c++, to += width) {
          for (int64_t j = 0; j < width; j++) {
            double sum = 0;
            for (int64_t k = 0; k < own && panel.column + j < out_c; k++)
              sum += row[k] * weights[((g * taps + k) * in_c + c) * out_c + panel.column + j];
            to[j] = (float)sum;
          }
        }
      }
    }
  }
}

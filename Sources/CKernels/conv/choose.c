#include "line.h"
#include "winograd.h"

// Costs in units of one row of the products: in_c * out_c multiplications. Every weight is also read once, which costs
// about as much as `cold` rows; Winograd's transforms cost per tile in proportion to in_c (way in) and out_c (way out).
enum { cold = 8 };

static double winograd_cost(const kiln_conv_params *p, int32_t m, double points, double transform) {
  const double tiles = (double)p->batch * ((p->out_h + m - 1) / m) * ((p->out_w + m - 1) / m);
  return tiles * (points + transform * (1.0 / p->out_c + 1.5 / p->in_c)) + cold * points;
}

static void choose_line(kiln_conv_params *p) {
  kiln_line_axis axis;
  if (!kiln_line_transforms()->input7 || !kiln_line_axis_of(p, &axis) || axis.taps < 3) return;
  const double positions = (double)axis.others * (double)axis.out_length;
  const double direct = positions * (double)axis.taps + cold * (double)axis.taps;
  kiln_conv_params line = *p;
  line.algorithm = KILN_CONV_LINE;
  const double each = kiln_line_choose(p, &axis, &line.points, &line.outputs);
  if (each <= 0) return;
  if (positions * each + cold * line.points * (double)kiln_line_groups(&line) < direct) *p = line;
}

void kiln_conv_choose(kiln_conv_params *p, int32_t threads, bool exact) {
  (void)threads;
  kiln_conv_params trial = *p;
  trial.algorithm = KILN_CONV_WINOGRAD4;
  p->algorithm = KILN_CONV_DIRECT;
  if (exact || p->in_c < 16 || p->out_c < 8) return;
  if (!kiln_winograd_used(&trial)) {
    choose_line(p);
    return;
  }
  double best = (double)p->batch * p->out_h * p->out_w * 9 + cold * 9;
  const double f2 = winograd_cost(p, 2, 16, 80), f4 = winograd_cost(p, 4, 36, 220);
  if (f2 < best) {
    best = f2;
    p->algorithm = KILN_CONV_WINOGRAD2;
  }
  if (f4 < best) p->algorithm = KILN_CONV_WINOGRAD4;
}

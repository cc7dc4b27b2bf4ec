#include "line.h"
#include "winograd.h"

// Costs in units of one row of the products, in_c * out_c multiplications, of one thread. Every weight is also read once, which
// costs about as much as `cold` rows: COLD_ROWS, and as many for each thread where weights come from far away, since threads
// share the way there. Winograd's transforms cost per tile in proportion to in_c (way in) and out_c (way out).
enum { COLD_ROWS = 8, FAR_WEIGHTS = 32 * 1024 };  // FAR_WEIGHTS: of one point

static double winograd_cost(const kiln_conv_params *p, double cold, int32_t m, double points, double transform) {
  const double tiles = (double)p->batch * ((p->out_h + m - 1) / m) * ((p->out_w + m - 1) / m);
  return tiles * (points + transform * (1.0 / p->out_c + 1.5 / p->in_c)) + cold * points;
}

static void choose_line(kiln_conv_params *p, double cold) {
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
  const bool far = (int64_t)p->in_c * p->out_c > FAR_WEIGHTS;
  const double cold = COLD_ROWS * (far && threads > 1 ? threads : 1);
  kiln_conv_params trial = *p;
  trial.algorithm = KILN_CONV_WINOGRAD4;
  p->algorithm = KILN_CONV_DIRECT;
  if (exact || p->in_c < 16 || p->out_c < 8) return;
  if (!kiln_winograd_used(&trial)) {
    choose_line(p, cold);
    return;
  }
  double best = (double)p->batch * p->out_h * p->out_w * 9 + cold * 9;
  const double f2 = winograd_cost(p, cold, 2, 16, 80), f4 = winograd_cost(p, cold, 4, 36, 220);
  if (f2 < best) {
    best = f2;
    p->algorithm = KILN_CONV_WINOGRAD2;
  }
  if (f4 < best) p->algorithm = KILN_CONV_WINOGRAD4;
}

#include "line.h"

enum {
  MOST_TILES = 128,          // of a block, with the tiles of further groups behind each line
  MOST_GROUPS = 64,
  LONG_KERNEL = 32,
  BLOCK_FLOATS = 80 * 1024,  // of U, where the weights are small enough to be read again for every block
};

#define KILN_LINE_SET(tier, name) extern const kiln_line_set kiln_line_##name;
#include "line_kernels.inc"
#undef KILN_LINE_SET

static const kiln_line_set none;
#define KILN_LINE_SET(tier, name) [tier] = &kiln_line_##name,
static const kiln_line_set *const sets[] = {
    [KILN_TIER_SCALAR] = &none,
#include "line_kernels.inc"
};
#undef KILN_LINE_SET

const kiln_line_set *kiln_line_transforms(void) { return sets[kiln_cpu_tier()]; }

bool kiln_line_axis_of(const kiln_conv_params *p, kiln_line_axis *axis) {
  if (p->stride_h != 1 || p->stride_w != 1 || p->groups != 1 || p->in_c < 1 || p->out_c < 1) return false;
  const bool wide = p->kernel_h == 1 && p->pad_top == 0 && p->in_h == p->out_h;
  const bool tall = p->kernel_w == 1 && p->pad_left == 0 && p->in_w == p->out_w;
  if (wide == tall) return false;
  const int64_t row = p->in_w;  // equal to out_w where lines run along y
  *axis = wide ? (kiln_line_axis){p->in_w, p->out_w, p->kernel_w, p->dilation_w, p->pad_left, p->in_c, p->out_c,
                                  (int64_t)p->batch * p->in_h, false}
               : (kiln_line_axis){p->in_h, p->out_h, p->kernel_h, p->dilation_h, p->pad_top, row * p->in_c, row * p->out_c,
                                  (int64_t)p->batch * p->in_w, true};
  return axis->taps > 1 && axis->out_length > 0 && axis->dilation > 0;
}

bool kiln_line_used(const kiln_conv_params *p) { return p->algorithm == KILN_CONV_LINE && kiln_line_transforms()->input7; }

static int64_t groups_of(int64_t taps, int64_t points, int64_t outputs) {
  const int64_t own = points + 1 - outputs;
  return (taps + own - 1) / own;
}

int64_t kiln_line_groups(const kiln_conv_params *p) {
  kiln_line_axis axis;
  return kiln_line_axis_of(p, &axis) ? groups_of(axis.taps, p->points, p->outputs) : 0;
}

static int64_t tiles_of(const kiln_line_axis *axis, int64_t outputs) {
  const int64_t longest = (axis->out_length + axis->dilation - 1) / axis->dilation;
  return (longest + outputs - 1) / outputs;
}

double kiln_line_choose(const kiln_conv_params *p, const kiln_line_axis *axis, int32_t *points, int32_t *outputs) {
  static const struct { int32_t points, outputs; } choices[] = {{7, 3}, {7, 4}, {7, 5}, {11, 4}, {11, 5}, {11, 6}, {11, 7}};
  double best = 0;
  for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
    const int32_t n = choices[i].points, m = choices[i].outputs;
    const int64_t groups = groups_of(axis->taps, n, m);
    if (groups > MOST_GROUPS || (groups > 1 && m != n + 1 - m)) continue;
    // Networks of medium kernels are deep, and the larger error of 11 points adds up over their layers.
    if (n > 7 && groups > 1 && axis->taps < LONG_KERNEL) continue;
    // For each tile, a transform costs as much as n (n + 3) / 2 products of an input channel on the way in, and n m / 1.5 of an
    // output channel on the way out.
    const double tile = (double)n * (double)groups + n * (n + 3) / 2.0 / p->out_c + n * m / 1.5 / p->in_c;
    const double cost = tile * (double)(tiles_of(axis, m) * axis->dilation) / (double)axis->out_length;
    if (best > 0 && cost >= best) continue;
    best = cost;
    *points = n;
    *outputs = m;
  }
  return best;
}

typedef struct {
  kiln_line_axis axis;
  int64_t groups, tiles;       // of a line
  int64_t lines;               // of all images and residues
  int64_t block, pitch, widest;
  int64_t u_floats, scratch_floats;
} shape;

static shape shape_of(const kiln_conv_params *p) {
  const kiln_tile_set *set = kiln_tiles();
  shape s = {.groups = kiln_line_groups(p), .pitch = (p->in_c + 15) / 16 * 16 + 16, .widest = set->lanes * set->vectors};
  if (!kiln_line_axis_of(p, &s.axis)) return s;
  s.tiles = tiles_of(&s.axis, p->outputs);
  s.lines = s.axis.others * s.axis.dilation;
  const int64_t weights = p->points * s.groups * p->in_c * p->out_c;
  int64_t block = BLOCK_FLOATS / (p->points * s.pitch);
  const int64_t least = weights > 1024 * 1024 ? MOST_TILES : weights > 128 * 1024 ? 64 : 32;
  if (block < least) block = least;
  if (block > MOST_TILES) block = MOST_TILES;
  // One tile at least beside those that only further groups read.
  s.block = block < s.groups + set->rows ? s.groups + set->rows : block;
  s.u_floats = p->points * s.block * s.pitch;
  s.scratch_floats = s.u_floats + p->points * s.block * s.widest;
  return s;
}

int64_t kiln_line_tiles(const kiln_conv_params *p) {
  const shape s = shape_of(p);
  return s.lines * s.tiles;
}

size_t kiln_line_scratch_bytes(const kiln_conv_params *p, int32_t parts) {
  return (size_t)(shape_of(p).scratch_floats * parts) * sizeof(float);
}

// Consecutive tiles of one line; row `u` of U and row `m` of M are its first.
typedef struct {
  int64_t line, first, count, u, m;
} run;

// Where a line begins.
typedef struct {
  const float *input;
  int64_t output;        // index of its first output
  int64_t first, end;    // input positions inside the image
  int64_t outputs;
} line_place;

static line_place place_of(const kiln_conv_params *p, const shape *s, const float *input, int64_t line) {
  const kiln_line_axis *a = &s->axis;
  const int64_t residue = line % a->dilation, other = line / a->dilation, start = residue - a->pad;
  // `other` counts pixels across the axis: rows of an image for lines along x, and columns within an image along y.
  const int64_t across = a->tall ? other % p->in_w : other, image = a->tall ? other / p->in_w : 0;
  const int64_t in_step = a->tall ? p->in_c : (int64_t)p->in_w * p->in_c;
  const int64_t out_step = a->tall ? p->out_c : (int64_t)p->out_w * p->out_c;
  line_place l = {
      .input = input + image * p->in_h * p->in_w * p->in_c + across * in_step + start * a->in_pixel,
      .output = image * p->out_h * p->out_w * p->out_c + across * out_step + residue * a->out_pixel,
      .outputs = a->out_length > residue ? (a->out_length - residue + a->dilation - 1) / a->dilation : 0,
  };
  l.first = start >= 0 ? 0 : (-start + a->dilation - 1) / a->dilation;
  l.end = a->length > start ? (a->length - start + a->dilation - 1) / a->dilation : 0;
  return l;
}

void kiln_line_f32(const kiln_conv_params *p, void *const *operands, int32_t part, int32_t parts) {
  const float *input = operands[0], *weights = operands[1], *bias = operands[2], *residual = operands[3];
  float *output = operands[4];
  const kiln_tile_set *set = kiln_tiles();
  const kiln_line_set *tier = kiln_line_transforms();
  const shape s = shape_of(p);
  const kiln_line_points *points = kiln_line_points_of(p->points);
  float *u = (float *)operands[5] + part * s.scratch_floats, *m = u + s.u_floats;
  int64_t first = 0, end = s.lines * s.tiles, panel0 = 0, panel1 = kiln_panel_count(set, p->out_c);
  if (p->split == KILN_CONV_SPLIT_CHANNELS) {
    const int64_t panels = panel1;
    panel0 = kiln_share(panels, part, parts);
    panel1 = kiln_share(panels, part + 1, parts);
  } else {
    const int64_t total = end;
    first = kiln_share(total, part, parts);
    end = kiln_share(total, part + 1, parts);
  }
  if (panel0 >= panel1) return;
  const int64_t pixel = s.axis.dilation * s.axis.in_pixel, m_out = p->outputs, bytes = (int64_t)kiln_line_packed_bytes(p);
  kiln_line_output out = {.points = points, .pixel = s.axis.dilation * s.axis.out_pixel, .size = p->outputs};
  const bool finishes = kiln_finish_of(p->activation, &out.finish, out.p);
  // Blocks of about equal size.
  const int64_t most = s.block - s.groups + 1, blocks = (end - first + most - 1) / most;
  const int64_t each = blocks > 0 ? (end - first + blocks - 1) / blocks : 0;
  while (first < end) {
    run runs[MOST_TILES + KILN_MAX_TILE_ROWS];
    const float *rows[KILN_LINE_MOST_POINTS * (MOST_TILES + KILN_MAX_TILE_ROWS)];
    int64_t u_rows[MOST_TILES + KILN_MAX_TILE_ROWS], count = 0, used = 0;
    int32_t run_count = 0;
    while (first < end && count < each && s.block - used >= s.groups) {
      run r = {.line = first / s.tiles, .first = first % s.tiles, .u = used, .m = count};
      r.count = s.tiles - r.first;
      if (r.count > each - count) r.count = each - count;
      if (r.count > end - first) r.count = end - first;
      if (r.count > s.block - used - (s.groups - 1)) r.count = s.block - used - (s.groups - 1);
      const line_place l = place_of(p, &s, input, r.line);
      kiln_line_input in = {
          .points = points, .line = l.input, .pixel = pixel, .first = l.first, .end = l.end, .channels = p->in_c,
          .u_point = s.block * s.pitch,
      };
      for (int64_t t = 0; t < r.count + s.groups - 1; t++) {
        in.at = (r.first + t) * m_out;
        in.u = u + (used + t) * s.pitch;
        (p->points == 7 ? tier->input7 : tier->input11)(&in);
      }
      for (int64_t t = 0; t < r.count; t++) u_rows[count + t] = used + t;
      used += r.count + s.groups - 1;
      count += r.count;
      first += r.count;
      runs[run_count++] = r;
    }
    for (int64_t point = 0; point < p->points; point++)
      for (int64_t t = 0; t < count; t++) rows[point * count + t] = u + (point * s.block + u_rows[t]) * s.pitch;
    const kiln_points products = {.set = set, .points = p->points, .count = count, .rows = rows, .segments = (int32_t)s.groups,
                                  .k = p->in_c, .segment_stride = s.pitch, .block = s.block, .bytes = bytes};
    for (int64_t index = panel0; index < panel1; index++) {
      const kiln_panel panel = kiln_panel_at(set, p->out_c, index);
      const int64_t width = panel.vectors * set->lanes, c = panel.column;
      kiln_points_multiply(&products, weights + c * p->in_c * s.groups * p->points, panel.vectors, m);
      out.channels = (int32_t)(p->out_c - c < width ? p->out_c - c : width);
      out.m_point = s.block * width;
      out.bias = bias ? bias + c : NULL;
      for (int32_t i = 0; i < run_count; i++) {
        const run *r = &runs[i];
        const line_place l = place_of(p, &s, input, r->line);
        for (int64_t t = 0; t < r->count; t++) {
          const int64_t q = (r->first + t) * m_out, at = l.output + q * out.pixel + c;
          if (q >= l.outputs) continue;
          out.m = m + (r->m + t) * width;
          out.residual = residual ? residual + at : NULL;
          out.output = output + at;
          out.valid = (int32_t)(l.outputs - q < m_out ? l.outputs - q : m_out);
          (p->points == 7 ? tier->output7 : tier->output11)(&out);
          if (!finishes)
            kiln_apply_rows_f32(p->activation, out.output, (size_t)out.valid, (size_t)out.channels, (size_t)out.pixel);
        }
      }
    }
  }
}

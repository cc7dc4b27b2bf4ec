#include "winograd.h"

enum {
  MOST_TILES = 64,         // of a block
  MOST_POINTS = 36,
  BLOCK_FLOATS = 80 * 1024,  // of U, where the weights are small enough to be read again for every block
};

#define KILN_WINOGRAD_SET(tier, name) extern const kiln_winograd_set kiln_winograd_##name;
#include "kernels.inc"
#undef KILN_WINOGRAD_SET

static const kiln_winograd_set none;
#define KILN_WINOGRAD_SET(tier, name) [tier] = &kiln_winograd_##name,
static const kiln_winograd_set *const sets[] = {
    [KILN_TIER_SCALAR] = &none,
#include "kernels.inc"
};
#undef KILN_WINOGRAD_SET

bool kiln_winograd_used(const kiln_conv_params *p) {
  return (p->algorithm == KILN_CONV_WINOGRAD2 || p->algorithm == KILN_CONV_WINOGRAD4) && sets[kiln_cpu_tier()]->f4.input && p->kernel_h == 3 && p->kernel_w == 3 &&
         p->stride_h == 1 && p->stride_w == 1 && p->dilation_h == 1 && p->dilation_w == 1 && p->groups == 1;
}

typedef struct {
  int64_t m, points;      // output tile m x m, points = (m + 2)^2
  int64_t tiles_h, tiles_w, total;
  int64_t block;          // tiles of a block
  int64_t pitch;          // floats of a row of U
  int64_t widest;         // columns of the widest panel
  int64_t u_floats, scratch_floats;  // of one part
} shape;

static shape shape_of(const kiln_conv_params *p) {
  const kiln_tile_set *set = kiln_tiles();
  shape s = {.m = p->algorithm == KILN_CONV_WINOGRAD2 ? 2 : 4};
  s.points = (s.m + 2) * (s.m + 2);
  s.tiles_h = (p->out_h + s.m - 1) / s.m;
  s.tiles_w = (p->out_w + s.m - 1) / s.m;
  s.total = p->batch * s.tiles_h * s.tiles_w;
  s.pitch = (p->in_c + 15) / 16 * 16 + 16;
  s.widest = set->lanes * set->vectors;
  // Large weights stream from far away for every block: then as many tiles as possible share them.
  const int64_t weights = s.points * p->in_c * p->out_c;
  int64_t tiles = BLOCK_FLOATS / (s.points * s.pitch);
  const int64_t least = weights > 4 * 1024 * 1024 ? MOST_TILES : weights > 1024 * 1024 ? 24 : set->rows;
  if (tiles < least) tiles = least;
  if (tiles > MOST_TILES) tiles = MOST_TILES;
  s.block = tiles;
  s.u_floats = s.points * s.block * s.pitch;
  s.scratch_floats = s.u_floats + s.points * s.block * s.widest;
  return s;
}

int64_t kiln_winograd_tiles(const kiln_conv_params *p) { return shape_of(p).total; }

size_t kiln_winograd_scratch_bytes(const kiln_conv_params *p, int32_t parts) {
  return (size_t)(shape_of(p).scratch_floats * parts) * sizeof(float);
}

// Where tile `index` lies.
typedef struct {
  int64_t image, y, x;  // its first output pixel
  int32_t rows, columns;
} place;

static place place_of(const kiln_conv_params *p, const shape *s, int64_t index) {
  const int64_t per_image = s->tiles_h * s->tiles_w;
  place l = {.image = index / per_image};
  l.y = index % per_image / s->tiles_w * s->m;
  l.x = index % s->tiles_w * s->m;
  l.rows = (int32_t)(p->out_h - l.y < s->m ? p->out_h - l.y : s->m);
  l.columns = (int32_t)(p->out_w - l.x < s->m ? p->out_w - l.x : s->m);
  return l;
}

void kiln_winograd_f32(const kiln_conv_params *p, void *const *operands, int32_t part, int32_t parts) {
  const float *input = operands[0], *weights = operands[1], *bias = operands[2], *residual = operands[3];
  float *output = operands[4];
  const kiln_tile_set *set = kiln_tiles();
  const kiln_winograd_set *tier = sets[kiln_cpu_tier()];
  const kiln_winograd_transforms *transforms = p->algorithm == KILN_CONV_WINOGRAD2 ? &tier->f2 : &tier->f4;
  const shape s = shape_of(p);
  float *u = (float *)operands[5] + part * s.scratch_floats, *m = u + s.u_floats;
  int64_t first = 0, end = s.total, panel0 = 0, panel1 = kiln_panel_count(set, p->out_c);
  if (p->split == KILN_CONV_SPLIT_CHANNELS) {
    const int64_t panels = panel1;
    panel0 = kiln_share(panels, part, parts);
    panel1 = kiln_share(panels, part + 1, parts);
  } else {
    first = kiln_share(s.total, part, parts);
    end = kiln_share(s.total, part + 1, parts);
  }
  if (first >= end || panel0 >= panel1) return;
  kiln_winograd_output out = {
      .out_row = (int64_t)p->out_w * p->out_c, .out_pixel = p->out_c,
  };
  const bool finishes = kiln_finish_of(p->activation, &out.finish, out.p);
  const int64_t bytes = (int64_t)kiln_winograd_packed_bytes(p);
  const int64_t blocks = (end - first + s.block - 1) / s.block;
  const float *rows[MOST_POINTS * MOST_TILES];
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t tile0 = first + kiln_share(end - first, b, blocks), tile1 = first + kiln_share(end - first, b + 1, blocks);
    for (int64_t t = tile0; t < tile1; t++) {
      const place l = place_of(p, &s, t);
      const kiln_winograd_input in = {
          .image = input + l.image * p->in_h * p->in_w * p->in_c, .in_h = p->in_h, .in_w = p->in_w, .channels = p->in_c,
          .y = l.y - p->pad_top, .x = l.x - p->pad_left, .u = u + (t - tile0) * s.pitch, .u_point = s.block * s.pitch,
      };
      transforms->input(&in);
      for (int64_t point = 0; point < s.points; point++) rows[point * (tile1 - tile0) + t - tile0] = in.u + point * in.u_point;
    }
    const kiln_points points = {.set = set, .points = s.points, .count = tile1 - tile0, .rows = rows, .segments = 1, .k = p->in_c,
                                .block = s.block, .bytes = bytes};
    for (int64_t index = panel0; index < panel1; index++) {
      const kiln_panel panel = kiln_panel_at(set, p->out_c, index);
      const int64_t width = (int64_t)panel.vectors * set->lanes, c = panel.column;
      kiln_points_multiply(&points, weights + c * p->in_c * s.points, panel.vectors, m);
      out.channels = (int32_t)(p->out_c - c < width ? p->out_c - c : width);
      out.m_point = s.block * width;
      out.bias = bias ? bias + c : NULL;
      for (int64_t t = tile0; t < tile1; t++) {
        const place l = place_of(p, &s, t);
        const int64_t at = ((l.image * p->out_h + l.y) * p->out_w + l.x) * p->out_c + c;
        out.m = m + (t - tile0) * width;
        out.residual = residual ? residual + at : NULL;
        out.output = output + at;
        out.rows = l.rows;
        out.columns = l.columns;
        transforms->output(&out);
        for (int64_t i = 0; i < l.rows && !finishes; i++)
          kiln_apply_rows_f32(p->activation, out.output + i * out.out_row, (size_t)l.columns, (size_t)out.channels, (size_t)out.out_pixel);
      }
    }
  }
}

#include "box.h"

#define KILN_DEPTHWISE_SET(tier, name) extern const kiln_depthwise_set kiln_depthwise_##name;
#include "kernels.inc"
#undef KILN_DEPTHWISE_SET

#define KILN_DEPTHWISE_SET(tier, name) [tier] = &kiln_depthwise_##name,
static const kiln_depthwise_set *const sets[] = {
#include "kernels.inc"
};
#undef KILN_DEPTHWISE_SET

enum { BOX_COLUMNS = 56, BOX_PIXELS = 512 };

kiln_box_size kiln_depthwise_box_size(const kiln_depthwise_params *p) {
  const int64_t columns = p->stride_w < BOX_COLUMNS ? BOX_COLUMNS / p->stride_w : 1;
  const int64_t in_columns = (p->out_w < columns ? p->out_w : columns) * p->stride_w + (p->kernel_w - 1) * p->dilation_w;
  const int64_t fit = (BOX_PIXELS / in_columns - (p->kernel_h - 1) * p->dilation_h) / p->stride_h;
  return (kiln_box_size){fit < 1 ? 1 : fit, columns};
}

// The tap rows of output row y that lie in the image.
typedef struct {
  int64_t first, end;
} tap_rows;

static tap_rows taps_of(const kiln_depthwise_params *p, int64_t y) {
  const int64_t top = y * p->stride_h - p->pad_top, d = p->dilation_h;
  tap_rows taps = {0, p->kernel_h};
  if (top < 0) taps.first = (-top + d - 1) / d;
  if (top + (taps.end - 1) * d >= p->in_h) taps.end = p->in_h > top ? (p->in_h - top + d - 1) / d : 0;
  if (taps.first > taps.end) taps.first = taps.end;
  return taps;
}

int64_t kiln_depthwise_vectors(const kiln_depthwise_params *p) {
  const int32_t lanes = sets[kiln_cpu_tier()]->lanes;
  return ((int64_t)p->channels * p->multiplier + lanes - 1) / lanes;
}

int32_t kiln_depthwise_parts(kiln_depthwise_params *p, int32_t threads) {
  const kiln_depthwise_set *set = sets[kiln_cpu_tier()];
  const int64_t channels = (int64_t)p->channels * p->multiplier, pixels = (int64_t)p->batch * p->out_h * p->out_w;
  const int64_t vectors = kiln_depthwise_vectors(p);
  const double macs = (double)(pixels * channels) * p->kernel_h * p->kernel_w;
  const double bytes = 4.0 * ((double)(pixels * channels) + (double)p->batch * p->in_h * p->in_w * p->channels);
  const int32_t parts = kiln_worthwhile_parts(macs / (set->lanes * 3) + bytes / 60, threads);
  // Small maps cut unevenly in pixels.
  p->split = pixels < 64 * parts && vectors >= 4 * parts;
  const int64_t most = p->split ? vectors : pixels;
  return (int32_t)(most < 1 ? 1 : parts < most ? parts : most);
}

void kiln_depthwise_box(const kiln_depthwise_params *p, const float *image, int64_t first_row, void *const *operands, float *output,
                        int64_t first_out, int64_t b, kiln_box box) {
  const kiln_depthwise_set *set = sets[kiln_cpu_tier()];
  const float *weights = operands[1], *bias = operands[2], *residual = operands[3];
  const int64_t channels = (int64_t)p->channels * p->multiplier, line = (int64_t)p->in_w * p->channels;
  const int64_t d = p->dilation_h;
  kiln_depthwise_row row = {
      .in_row = d * line, .in_pixel = p->channels, .in_w = p->in_w, .origin_x = -p->pad_left,
      .weight_row = p->kernel_w * channels, .weight_tap = channels,
      .tap_columns = p->kernel_w, .stride = p->stride_w, .dilation = p->dilation_w,
      .out_pixel = channels, .multiplier = p->multiplier,
  };
  const bool finishes = kiln_finish_of(p->activation, &row.finish, row.p);
  const bool regular = p->multiplier == 1 && p->dilation_w == 1 && p->stride_w <= 2 && p->kernel_w >= 3 && p->kernel_w <= 7 && p->kernel_w % 2;
  const kiln_depthwise_row_function fast = regular ? set->fast[p->kernel_w / 2 - 1][p->stride_w - 1] : NULL;
  for (int64_t v = box.v0; v < box.v1; v++) {
    const int64_t c = v * set->lanes, source = c / p->multiplier;
    row.first_channel = (int32_t)c;
    row.channels = (int32_t)(channels - c < set->lanes ? channels - c : set->lanes);
    row.in_channels = (int32_t)(p->channels - source);
    row.bias = bias ? bias + c : NULL;
    const kiln_depthwise_row_function run = fast && row.channels == set->lanes ? fast : set->any;
    for (int64_t y = box.y0; y < box.y1; y++) {
      const int64_t top = y * p->stride_h - p->pad_top;
      const tap_rows taps = taps_of(p, y);
      const int64_t out_row = p->out_w * channels, at = (b * p->out_h + y) * out_row + c;
      row.tap_rows = taps.end - taps.first;
      row.input = taps.first < taps.end ? image + (top + taps.first * d - first_row) * line + source : image;
      row.weights = weights + taps.first * row.weight_row + c;
      row.residual = residual ? residual + at : NULL;
      row.output = output + at - first_out * out_row;
      run(&row, box.x0, box.x1);
    }
  }
  if (finishes) return;
  const int64_t c0 = box.v0 * set->lanes, c1 = box.v1 * set->lanes < channels ? box.v1 * set->lanes : channels;
  const size_t width = (size_t)(box.x1 - box.x0), own = (size_t)(c1 - c0);
  for (int64_t y = box.y0; y < box.y1; y++) {
    float *done = output + ((b * p->out_h + y - first_out) * p->out_w + box.x0) * channels + c0;
    if (own == (size_t)channels) kiln_apply_rows_f32(p->activation, done, 1, width * own, 0);
    else kiln_apply_rows_f32(p->activation, done, width, own, (size_t)channels);
  }
}

void kiln_depthwise_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_depthwise_params *p = params;
  const int64_t pixels = (int64_t)p->batch * p->out_h * p->out_w, vectors = kiln_depthwise_vectors(p);
  const int64_t image = (int64_t)p->in_h * p->in_w * p->channels;
  int64_t first = 0, end = pixels, v0 = 0, v1 = vectors;
  if (p->split) {
    v0 = kiln_share(vectors, part, parts);
    v1 = kiln_share(vectors, part + 1, parts);
  } else {
    first = kiln_share(pixels, part, parts);
    end = kiln_share(pixels, part + 1, parts);
  }
  if (v0 >= v1) return;
  const kiln_box_size size = kiln_depthwise_box_size(p);
  while (first < end) {
    const int64_t row = first / p->out_w, x = first % p->out_w, y = row % p->out_h;
    int64_t rows = (end - first) / p->out_w, width = p->out_w - x;  // whole rows, else a piece of one
    if (x > 0 || rows < 1) rows = 1;
    if (width > end - first) width = end - first;
    if (rows > size.rows) rows = size.rows;
    if (rows > p->out_h - y) rows = p->out_h - y;
    const int64_t b = row / p->out_h;
    for (int64_t x0 = x; x0 < x + width; x0 += size.columns) {
      const int64_t x1 = x0 + size.columns < x + width ? x0 + size.columns : x + width;
      kiln_depthwise_box(p, (const float *)operands[0] + b * image, 0, operands, operands[4], 0, b,
                         (kiln_box){y, y + rows, x0, x1, v0, v1});
    }
    const int64_t count = rows == 1 ? width : rows * p->out_w;
    first += count;
  }
}

#include "row.h"

// Work goes in boxes of output rows and columns, one channel vector after the other, so small that the input of a box in
// one channel vector stays in the first-level cache while its rows are gone along.
enum { BOX_COLUMNS = 56, BOX_PIXELS = 512 };

#define KILN_DEPTHWISE_SET(tier, name) extern const kiln_depthwise_set kiln_depthwise_##name;
#include "kernels.inc"
#undef KILN_DEPTHWISE_SET

#define KILN_DEPTHWISE_SET(tier, name) [tier] = &kiln_depthwise_##name,
static const kiln_depthwise_set *const sets[] = {
#include "kernels.inc"
};
#undef KILN_DEPTHWISE_SET

int32_t kiln_depthwise_parts(kiln_depthwise_params *p, int32_t threads) {
  const kiln_depthwise_set *set = sets[kiln_cpu_tier()];
  const int64_t channels = (int64_t)p->channels * p->multiplier, pixels = (int64_t)p->batch * p->out_h * p->out_w;
  const int64_t vectors = (channels + set->lanes - 1) / set->lanes;
  const double macs = (double)(pixels * channels) * p->kernel_h * p->kernel_w;
  const double bytes = 4.0 * ((double)(pixels * channels) + (double)p->batch * p->in_h * p->in_w * p->channels);
  const int32_t parts = kiln_worthwhile_parts(macs / (set->lanes * 3) + bytes / 60, threads);
  // Small maps cut unevenly in pixels.
  p->split = pixels < 64 * parts && vectors >= 4 * parts;
  const int64_t most = p->split ? vectors : pixels;
  return (int32_t)(most < 1 ? 1 : parts < most ? parts : most);
}

// Output rows y0..y1 and columns x0..x1 of image b, channel vectors v0..v1.
static void box(const kiln_depthwise_params *p, const kiln_depthwise_set *set, void *const *operands, int64_t b, int64_t y0,
                int64_t y1, int64_t x0, int64_t x1, int64_t v0, int64_t v1) {
  const float *weights = operands[1], *bias = operands[2], *residual = operands[3];
  const int64_t channels = (int64_t)p->channels * p->multiplier, line = (int64_t)p->in_w * p->channels;
  const float *image = (const float *)operands[0] + b * p->in_h * line;
  const int64_t d = p->dilation_h;
  kiln_depthwise_row row = {
      .in_row = d * line, .in_pixel = p->channels, .in_w = p->in_w, .origin_x = -p->pad_left,
      .weight_row = p->kernel_w * channels, .weight_tap = channels,
      .tap_columns = p->kernel_w, .stride = p->stride_w, .dilation = p->dilation_w,
      .out_pixel = channels, .multiplier = p->multiplier,
  };
  kiln_finish_of(p->activation, &row.finish, row.p);
  const bool regular = p->multiplier == 1 && p->dilation_w == 1 && p->stride_w <= 2 && p->kernel_w >= 3 && p->kernel_w <= 7 && p->kernel_w % 2;
  const kiln_depthwise_row_function fast = regular ? set->fast[p->kernel_w / 2 - 1][p->stride_w - 1] : NULL;
  for (int64_t v = v0; v < v1; v++) {
    const int64_t c = v * set->lanes, source = c / p->multiplier;
    row.first_channel = (int32_t)c;
    row.channels = (int32_t)(channels - c < set->lanes ? channels - c : set->lanes);
    row.in_channels = (int32_t)(p->channels - source);
    row.bias = bias ? bias + c : NULL;
    const kiln_depthwise_row_function run = fast && row.channels == set->lanes ? fast : set->any;
    for (int64_t y = y0; y < y1; y++) {
      const int64_t top = y * p->stride_h - p->pad_top;
      int64_t ky0 = 0, ky1 = p->kernel_h;  // tap rows inside the image
      if (top < 0) ky0 = (-top + d - 1) / d;
      if (top + (ky1 - 1) * d >= p->in_h) ky1 = p->in_h > top ? (p->in_h - top + d - 1) / d : 0;
      if (ky0 > ky1) ky0 = ky1;
      const int64_t at = (b * p->out_h + y) * p->out_w * channels + c;
      row.tap_rows = ky1 - ky0;
      row.input = ky0 < ky1 ? image + (top + ky0 * d) * line + source : image;
      row.weights = weights + ky0 * row.weight_row + c;
      row.residual = residual ? residual + at : NULL;
      row.output = (float *)operands[4] + at;
      run(&row, x0, x1);
    }
  }
}

void kiln_depthwise_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_depthwise_params *p = params;
  const kiln_depthwise_set *set = sets[kiln_cpu_tier()];
  const int64_t channels = (int64_t)p->channels * p->multiplier, pixels = (int64_t)p->batch * p->out_h * p->out_w;
  const int64_t vectors = (channels + set->lanes - 1) / set->lanes;
  int64_t first = 0, end = pixels, v0 = 0, v1 = vectors;
  if (p->split) {
    v0 = kiln_share(vectors, part, parts);
    v1 = kiln_share(vectors, part + 1, parts);
  } else {
    first = kiln_share(pixels, part, parts);
    end = kiln_share(pixels, part + 1, parts);
  }
  if (v0 >= v1) return;
  const int64_t c0 = v0 * set->lanes, c1 = v1 * set->lanes < channels ? v1 * set->lanes : channels;
  kiln_finish finish;
  float unused[2];
  const bool finishes = kiln_finish_of(p->activation, &finish, unused);
  const int64_t columns = p->stride_w < BOX_COLUMNS ? BOX_COLUMNS / p->stride_w : 1;
  const int64_t in_columns = (p->out_w < columns ? p->out_w : columns) * p->stride_w + (p->kernel_w - 1) * p->dilation_w;
  const int64_t fit = (BOX_PIXELS / in_columns - (p->kernel_h - 1) * p->dilation_h) / p->stride_h;
  const int64_t box_rows = fit < 1 ? 1 : fit;
  while (first < end) {
    const int64_t row = first / p->out_w, x = first % p->out_w, y = row % p->out_h;
    int64_t rows = (end - first) / p->out_w, width = p->out_w - x;  // whole rows, else a piece of one
    if (x > 0 || rows < 1) rows = 1;
    if (width > end - first) width = end - first;
    if (rows > box_rows) rows = box_rows;
    if (rows > p->out_h - y) rows = p->out_h - y;
    for (int64_t x0 = x; x0 < x + width; x0 += columns) {
      const int64_t x1 = x0 + columns < x + width ? x0 + columns : x + width;
      box(p, set, operands, row / p->out_h, y, y + rows, x0, x1, v0, v1);
      float *done = (float *)operands[4] + (row * p->out_w + x0) * channels + c0;
      const size_t pixels = (size_t)(x1 - x0), own = (size_t)(c1 - c0);
      for (int64_t i = 0; i < rows && !finishes; i++, done += p->out_w * channels) {
        if (c1 - c0 == channels) kiln_apply_rows_f32(p->activation, done, 1, pixels * own, 0);
        else kiln_apply_rows_f32(p->activation, done, pixels, own, (size_t)channels);
      }
    }
    const int64_t count = rows == 1 ? width : rows * p->out_w;
    first += count;
  }
}

#include "line.h"
#include "winograd.h"

kiln_window kiln_conv_window(const kiln_conv_params *p) {
  const kiln_tile_set *set = kiln_tiles();
  const int64_t n = p->out_c / p->groups, depth = (int64_t)p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  return (kiln_window){
      .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c,
      .taps_h = p->kernel_h, .taps_w = p->kernel_w, .stride_h = p->stride_h, .stride_w = p->stride_w,
      .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
      .origin_y = -p->pad_top, .origin_x = -p->pad_left,
      .grid_h = p->out_h, .grid_w = p->out_w,
      .out_row = (int64_t)p->out_w * p->out_c, .out_pixel = p->out_c,
      .groups = p->groups, .group_packed = kiln_padded_columns(set, n) * depth,
      .block = {.set = set, .n = n, .end_panel = kiln_panel_count(set, n), .activation = p->activation},
  };
}

size_t kiln_conv_packed_bytes(const kiln_conv_params *p) {
  if (kiln_winograd_used(p)) return kiln_winograd_packed_bytes(p);
  if (kiln_line_used(p)) return kiln_line_packed_bytes(p);
  return (size_t)(kiln_conv_window(p).group_packed * p->groups) * sizeof(float);
}

void kiln_conv_pack(const kiln_conv_params *p, const float *weights, float *out) {
  if (kiln_winograd_used(p)) {
    kiln_winograd_pack(p, weights, out);
    return;
  }
  if (kiln_line_used(p)) {
    kiln_line_pack(p, weights, out);
    return;
  }
  const kiln_window w = kiln_conv_window(p);
  const int64_t depth = (int64_t)p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  for (int64_t g = 0; g < p->groups; g++)
    kiln_pack_panels(w.block.set, weights + g * w.block.n, p->out_c, 1, w.block.n, depth, 1, 0, depth, 0, w.block.end_panel,
                     out + g * w.group_packed);
}

static double nanoseconds(const kiln_conv_params *p) {
  const kiln_tile_set *set = kiln_tiles();
  const double pixels = (double)p->batch * p->out_h * p->out_w;
  const double depth = (double)p->kernel_h * p->kernel_w * p->in_c / p->groups;
  return 2 * pixels * depth * p->out_c / (set->lanes * set->vectors * 2.5) +
         4 * (depth * p->out_c + pixels * p->out_c) / 60;
}

int32_t kiln_conv_parts(kiln_conv_params *p, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const bool winograd = kiln_winograd_used(p), line = kiln_line_used(p);
  const int32_t parts = kiln_worthwhile_parts(nanoseconds(p) / (winograd || line ? 2 : 1), threads);
  const int64_t panels = p->groups == 1 ? kiln_panel_count(set, p->out_c) : 1;
  int64_t units = ((int64_t)p->batch * p->out_h * p->out_w + set->rows - 1) / set->rows;
  bool channels = units < 3 * parts && panels > units;
  if (winograd || line) {
    units = winograd ? kiln_winograd_tiles(p) : kiln_line_tiles(p);
    // Weights too large for a core's cache are read by one part each; the input transform, which every part repeats, is
    // small beside them.
    channels = p->in_c >= 256 && p->out_c >= 256 ? panels >= 2 * parts : units < 4 * parts && panels > units;
  }
  channels = channels && panels >= parts;
  p->split = channels ? KILN_CONV_SPLIT_CHANNELS : KILN_CONV_SPLIT_PIXELS;
  const int64_t most = channels ? panels : units;
  return (int32_t)(most < 1 ? 1 : parts < most ? parts : most);
}

size_t kiln_conv_scratch_bytes(const kiln_conv_params *p, int32_t parts) {
  if (kiln_winograd_used(p)) return kiln_winograd_scratch_bytes(p, parts);
  if (kiln_line_used(p)) return kiln_line_scratch_bytes(p, parts);
  const kiln_window w = kiln_conv_window(p);
  return (size_t)(kiln_window_scratch(&w) * parts) * sizeof(float);
}

void kiln_conv_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_conv_params *p = params;
  if (kiln_winograd_used(p)) {
    kiln_winograd_f32(p, operands, part, parts);
    return;
  }
  if (kiln_line_used(p)) {
    kiln_line_f32(p, operands, part, parts);
    return;
  }
  kiln_window w = kiln_conv_window(p);
  float *scratch = operands[5];
  if (scratch) scratch += part * kiln_window_scratch(&w);
  w.block.packed = operands[1];
  w.block.bias = operands[2];
  const int64_t total = w.grid_h * w.grid_w * p->batch;
  int64_t first = 0, end = total;
  if (p->split == KILN_CONV_SPLIT_CHANNELS && p->groups == 1) {
    const int64_t panels = w.block.end_panel;
    w.block.first_panel = kiln_share(panels, part, parts);
    w.block.end_panel = kiln_share(panels, part + 1, parts);
  } else {
    const int64_t height = w.block.set->rows, units = (total + height - 1) / height;
    first = kiln_share(units, part, parts) * height;
    end = kiln_share(units, part + 1, parts) * height;
    if (end > total) end = total;
  }
  kiln_window_run_images(&w, operands[0], operands[3], operands[4], first, end, scratch);
}

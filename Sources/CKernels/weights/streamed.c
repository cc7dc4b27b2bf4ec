#include "weights.h"

#include <string.h>

enum {
  ROWS_IN_PLACE = 4,
  LOOK_AHEAD = 24,  // rows of the file's weights that are fetched before they are copied
};

bool kiln_streamed_in_place(const kiln_conv_params *p) {
  return p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1 && p->pad_top == 0 && p->pad_left == 0 &&
         p->in_h == p->out_h && p->in_w == p->out_w && (int64_t)p->batch * p->out_h * p->out_w <= ROWS_IN_PLACE;
}

static int64_t positions_of(const kiln_conv_params *p) { return (int64_t)p->batch * p->out_h * p->out_w; }
static int64_t depth_of(const kiln_conv_params *p) { return (int64_t)p->kernel_h * p->kernel_w * p->in_c; }

int32_t kiln_streamed_parts(kiln_conv_params *p, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const int64_t panels = kiln_panel_count(set, p->out_c), positions = positions_of(p);
  const double weights = (double)depth_of(p) * p->out_c;
  const double layout = weights * 0.3, products = 2 * weights * (double)positions / (set->lanes * set->vectors * 5);
  const int32_t parts = kiln_worthwhile_parts(layout + products, threads);
  p->split = KILN_CONV_SPLIT_CHANNELS;
  if (parts < 2) return 1;
  if (kiln_streamed_in_place(p)) return panels < parts ? (int32_t)panels : parts;
  // Channels: each weight is laid out once, but panels may not divide evenly. Pixels: evenly, and each part lays out all.
  const double uneven = (double)((panels + parts - 1) / parts) / (double)panels;
  const int64_t units = (positions + set->rows - 1) / set->rows;
  if (units >= parts && layout + products / parts < (layout + products) * uneven) {
    p->split = KILN_CONV_SPLIT_PIXELS;
    return parts;
  }
  return panels < parts ? (int32_t)panels : parts;
}

// Floats of one part's scratch: a panel, then the window's own.
static int64_t panel_floats(const kiln_conv_params *p) {
  const kiln_tile_set *set = kiln_tiles();
  return depth_of(p) * kiln_panel_at(set, p->out_c, 0).vectors * set->lanes;
}

size_t kiln_streamed_scratch_bytes(const kiln_conv_params *p, int32_t parts) {
  if (kiln_streamed_in_place(p)) return 0;
  const kiln_window w = kiln_conv_window(p);
  return (size_t)((panel_floats(p) + kiln_window_scratch(&w)) * parts) * sizeof(float);
}

#define COPY_WIDTH(width)                                                                      \
  for (int64_t k = 0; k < depth; k++, from += stride, to += width) {                           \
    for (int64_t j = 0; j < width; j += 16) __builtin_prefetch(from + LOOK_AHEAD * stride + j); \
    memcpy(to, from, width * sizeof(float));                                                   \
  }

// Columns of `depth` rows to a panel of `width`, zeros beyond `columns`.
static void lay_out(const float *from, int64_t stride, int64_t columns, int64_t width, int64_t depth, float *to) {
  if (columns == width && width == 48) {
    COPY_WIDTH(48)
  } else if (columns == width && width == 32) {
    COPY_WIDTH(32)
  } else if (columns == width && width == 16) {
    COPY_WIDTH(16)
  } else {
    for (int64_t k = 0; k < depth; k++, from += stride, to += width) {
      memcpy(to, from, (size_t)columns * sizeof(float));
      memset(to + columns, 0, (size_t)(width - columns) * sizeof(float));
    }
  }
}

static void in_place(const kiln_conv_params *p, void *const *operands, int32_t part, int32_t parts) {
  const kiln_tile_set *set = kiln_tiles();
  const int64_t n = p->out_c, k = p->in_c, vectors = kiln_padded_columns(set, n) / set->lanes;
  const int64_t begin = kiln_share(vectors, part, parts) * set->lanes, until = kiln_share(vectors, part + 1, parts) * set->lanes;
  const int64_t end = until < n ? until : n;
  const float *bias = operands[2], *residual = operands[3];
  float *output = operands[4];
  if (begin >= end) return;
  const kiln_rows_function add = kiln_weights_tier()->add_rows;
  for (int64_t row = 0; row < positions_of(p); row++) {
    const float *x = (const float *)operands[0] + row * k;
    // Columns whose sums stay in the first cache.
    for (int64_t c = begin; c < end; c += KILN_ROW_COLUMNS) {
      const int64_t count = end - c < KILN_ROW_COLUMNS ? end - c : KILN_ROW_COLUMNS;
      float sums[KILN_ROW_COLUMNS];
      memset(sums, 0, (size_t)count * sizeof(float));
      add(x, k, (const float *)operands[1] + c, n, count, sums);
      for (int64_t j = 0; j < count; j++) {
        float y = sums[j];
        if (bias) y += bias[c + j];
        if (residual) y += residual[row * n + c + j];
        output[row * n + c + j] = y;
      }
    }
    kiln_apply_f32(p->activation, output + row * n + begin, (size_t)(end - begin));
  }
}

void kiln_streamed_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_conv_params *p = params;
  if (kiln_streamed_in_place(p)) {
    in_place(p, operands, part, parts);
    return;
  }
  kiln_window w = kiln_conv_window(p);
  const kiln_tile_set *set = w.block.set;
  const float *weights = operands[1];
  float *panel_scratch = (float *)operands[5] + part * (panel_floats(p) + kiln_window_scratch(&w));
  float *scratch = panel_scratch + panel_floats(p);
  const int64_t depth = depth_of(p), total = positions_of(p);
  int64_t panel0 = 0, panel1 = w.block.end_panel, begin = 0, end = total;
  if (p->split == KILN_CONV_SPLIT_CHANNELS) {
    panel0 = kiln_share(w.block.end_panel, part, parts);
    panel1 = kiln_share(w.block.end_panel, part + 1, parts);
  } else {
    const int64_t units = (total + set->rows - 1) / set->rows;
    begin = kiln_share(units, part, parts) * set->rows;
    end = kiln_share(units, part + 1, parts) * set->rows;
    if (end > total) end = total;
  }
  if (begin >= end || depth == 0) panel1 = depth == 0 ? panel1 : panel0;
  w.block.bias = operands[2];
  for (int64_t index = panel0; index < panel1; index++) {
    const kiln_panel panel = kiln_panel_at(set, p->out_c, index);
    const int64_t width = (int64_t)panel.vectors * set->lanes, left = p->out_c - panel.column;
    lay_out(weights + panel.column, p->out_c, left < width ? left : width, width, depth, panel_scratch);
    w.block.first_panel = index;
    w.block.end_panel = index + 1;
    // Where a block looks for this panel.
    w.block.packed = (const float *)((uintptr_t)panel_scratch - (uintptr_t)(panel.column * depth) * sizeof(float));
    w.block.plain = (const float *)((uintptr_t)panel_scratch - (uintptr_t)panel.column * sizeof(float));
    w.block.plain_stride = width;
    kiln_window_run_images(&w, operands[0], operands[3], operands[4], begin, end, scratch);
  }
}

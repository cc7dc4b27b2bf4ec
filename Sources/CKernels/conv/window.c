#include "window.h"

#include <string.h>

enum {
  BAND_POSITIONS = 512,
  BAND_FLOATS = 96 * 1024,  // of a copied box, to stay in the second-level cache
};

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

// A band is `rows` whole rows, or `positions` of the only row.
typedef struct {
  int64_t rows, positions;
} band_shape;

static band_shape shape_of(const kiln_window *w) {
  if (w->grid_h == 1) {
    const int64_t fit = (BAND_FLOATS / (w->taps_h * w->in_c) - (w->taps_w - 1) * w->dilation_w) / w->stride_w;
    return (band_shape){1, clamp(fit, 64, BAND_POSITIONS)};
  }
  const int64_t row = kiln_span(w->grid_w, w->stride_w, w->taps_w, w->dilation_w) * w->in_c;
  const int64_t fit = (BAND_FLOATS / row - (w->taps_h - 1) * w->dilation_h) / w->stride_h;
  const int64_t rows = clamp(fit, 1, (BAND_POSITIONS + w->grid_w - 1) / w->grid_w);
  return (band_shape){rows, rows * w->grid_w};
}

int64_t kiln_window_scratch(const kiln_window *w) {
  if (w->taps_h <= 0 || w->taps_w <= 0 || w->grid_h <= 0 || w->grid_w <= 0) return 0;
  const bool inside = w->origin_y >= 0 && w->origin_x >= 0 &&
                      w->origin_y + kiln_span(w->grid_h, w->stride_h, w->taps_h, w->dilation_h) <= w->in_h &&
                      w->origin_x + kiln_span(w->grid_w, w->stride_w, w->taps_w, w->dilation_w) <= w->in_w;
  if (inside) return 0;
  const band_shape shape = shape_of(w);
  const int64_t columns = w->grid_h == 1 && shape.positions < w->grid_w ? shape.positions : w->grid_w;
  const int64_t floats = kiln_span(shape.rows, w->stride_h, w->taps_h, w->dilation_h) *
                         kiln_span(columns, w->stride_w, w->taps_w, w->dilation_w) * w->in_c;
  return (floats + 15) / 16 * 16;
}

// Rows y0..y1, columns x0..x1 of the image, zeros outside it.
static void copy_box(const kiln_window *w, int64_t y0, int64_t y1, int64_t x0, int64_t x1, float *to) {
  const int64_t width = x1 - x0, from = clamp(x0, 0, w->in_w), until = clamp(x1, from, w->in_w);
  const int64_t left = clamp(from - x0, 0, width), inner = clamp(until - from, 0, width - left);
  for (int64_t y = y0; y < y1; y++, to += width * w->in_c) {
    if (y < 0 || y >= w->in_h) {
      memset(to, 0, (size_t)(width * w->in_c) * sizeof(float));
      continue;
    }
    memset(to, 0, (size_t)(left * w->in_c) * sizeof(float));
    memcpy(to + left * w->in_c, w->input + (y * w->in_w + from) * w->in_c, (size_t)(inner * w->in_c) * sizeof(float));
    memset(to + (left + inner) * w->in_c, 0, (size_t)((width - left - inner) * w->in_c) * sizeof(float));
  }
}

// Positions first..end, whose taps all lie in the box at `box` with `pitch` floats a row and top left pixel (y0, x0).
static void run_box(const kiln_window *w, const kiln_block *block, const float *box, int64_t pitch, int64_t y0, int64_t x0,
                    int64_t first, int64_t end) {
  const bool dense = w->out_row == w->grid_w * w->out_pixel;
  const int64_t group_in = w->in_c / w->groups;
  const float *rows[KILN_CHUNK_ROWS];
  while (first < end) {
    int64_t y = first / w->grid_w, x = first % w->grid_w;
    int64_t until = dense ? end : (y + 1) * w->grid_w < end ? (y + 1) * w->grid_w : end;
    // Chunks of equal size, so that no short one is left to read all weights.
    const int64_t chunks = (until - first + KILN_CHUNK_ROWS - 1) / KILN_CHUNK_ROWS;
    const int64_t count = (until - first + chunks - 1) / chunks;
    const int64_t at = y * w->out_row + x * w->out_pixel, to = at - w->first_out * w->out_pixel;
    const int64_t step_y = w->stride_h * pitch, step_x = w->stride_w * w->in_c;
    const float *line = box + (w->origin_y + y * w->stride_h - y0) * pitch + (w->origin_x - x0) * w->in_c;
    for (int64_t i = 0; i < count;) {
      const int64_t left = w->grid_w - x, run = left < count - i ? left : count - i;
      const float *from = line + x * step_x;
      for (int64_t j = 0; j < run; j++) rows[i + j] = from + j * step_x;
      i += run;
      x = 0;
      line += step_y;
    }
    kiln_block part = *block;
    for (int64_t g = 0; g < w->groups; g++) {
      kiln_block_run(&part, rows, count, w->residual ? w->residual + at + g * block->n : NULL, w->output + to + g * block->n);
      if (g + 1 == w->groups) break;
      for (int64_t i = 0; i < count; i++) rows[i] += group_in;
      part.packed += w->group_packed;
      if (part.bias) part.bias += block->n;
    }
    first += count;
  }
}

void kiln_window_run(const kiln_window *w, int64_t first, int64_t end, float *scratch) {
  const bool empty = w->taps_h <= 0 || w->taps_w <= 0;  // nothing is read; the loops below need a shape all the same
  const band_shape shape = empty ? (band_shape){1, w->grid_w} : shape_of(w);
  kiln_block block = w->block;
  const bool joined = w->groups == 1 && (w->dilation_w == 1 || w->taps_w == 1);  // a tap row is one segment
  const int64_t channels = w->in_c / w->groups;
  block.outer = (int32_t)w->taps_h;
  block.inner = joined ? 1 : (int32_t)w->taps_w;
  block.k = joined ? w->taps_w * channels : channels;
  block.inner_stride = w->dilation_w * w->in_c;
  block.depth = w->taps_h * w->taps_w * channels;
  block.ldc = block.ldr = w->out_pixel;
  while (first < end) {
    const int64_t row = first / w->grid_w;
    int64_t until = w->grid_h == 1 ? first + shape.positions : (row + shape.rows) * w->grid_w;
    if (until > end) until = end;
    const int64_t last_row = (until - 1) / w->grid_w;
    const bool one_row = last_row == row;
    const int64_t first_x = one_row ? first % w->grid_w : 0, last_x = one_row ? (until - 1) % w->grid_w : w->grid_w - 1;
    const int64_t y0 = w->origin_y + row * w->stride_h, x0 = w->origin_x + first_x * w->stride_w;
    const int64_t y1 = y0 + kiln_span(last_row - row + 1, w->stride_h, w->taps_h, w->dilation_h);
    const int64_t x1 = x0 + kiln_span(last_x - first_x + 1, w->stride_w, w->taps_w, w->dilation_w);
    if (empty || (y0 >= 0 && x0 >= 0 && y1 <= w->in_h && x1 <= w->in_w)) {
      block.outer_stride = w->dilation_h * w->in_w * w->in_c;
      run_box(w, &block, w->input, w->in_w * w->in_c, 0, 0, first, until);
    } else {
      copy_box(w, y0, y1, x0, x1, scratch);
      block.outer_stride = w->dilation_h * (x1 - x0) * w->in_c;
      run_box(w, &block, scratch, (x1 - x0) * w->in_c, y0, x0, first, until);
    }
    first = until;
  }
}

void kiln_window_run_images(const kiln_window *window, const float *input, const float *residual, float *output, int64_t first,
                            int64_t end, float *scratch) {
  kiln_window w = *window;
  const int64_t positions = w.grid_h * w.grid_w;
  while (first < end) {
    const int64_t image = first / positions;
    const int64_t until = (image + 1) * positions < end ? (image + 1) * positions : end;
    const int64_t at = image * positions * w.out_pixel;
    w.input = input + image * w.in_h * w.in_w * w.in_c;
    w.residual = residual ? residual + at : NULL;
    w.output = output + at;
    kiln_window_run(&w, first - image * positions, until - image * positions, scratch);
    first = until;
  }
}

// A product of pixels (a convolution of one tap) and the depthwise convolution that alone reads it, band after band of rows,
// so that the product's result stays in the second-level cache and is never written to memory.
#include <string.h>

#include "../include/kiln_depthwise.h"
#include "box.h"

enum {
  BAND_FLOATS = 96 * 1024,  // of the product's rows that are kept
  WORTH_FLOATS = 192 * 1024,
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t line_floats(const kiln_depthwise_params *d) { return (int64_t)d->in_w * d->channels; }

// Input rows under `rows` output rows.
static int64_t span(const kiln_depthwise_params *d, int64_t rows) {
  return kiln_span(rows, d->stride_h, d->kernel_h, d->dilation_h);
}

// Output rows of a band.
static int64_t band_rows(const kiln_depthwise_params *d) {
  const int64_t fit = (BAND_FLOATS / line_floats(d) - span(d, 1)) / d->stride_h + 1, box = kiln_depthwise_box_size(d).rows;
  return fit < 1 ? 1 : least(fit, box);
}

// Rows kept: those of a band, and as many again before the ones at the end move to the front.
static int64_t kept_rows(const kiln_depthwise_params *d) {
  const int64_t band = span(d, band_rows(d)), fit = BAND_FLOATS / line_floats(d);
  return least(d->in_h, band > fit ? band : least(fit, 2 * band));
}

// Floats of a part's kept rows, in whole cache lines.
static int64_t kept_floats(const kiln_depthwise_params *d) { return (kept_rows(d) * line_floats(d) + 15) / 16 * 16; }

bool kiln_pointwise_depthwise_worth(const kiln_pointwise_depthwise_params *p, int32_t threads) {
  const kiln_depthwise_params *d = &p->depthwise;
  const int64_t image = line_floats(d) * d->in_h;
  if (image < WORTH_FLOATS || d->stride_h > d->kernel_h * d->dilation_h || span(d, 1) * line_floats(d) > 2 * BAND_FLOATS) return false;
  // Every part computes the rows above its own again.
  const int64_t shared = (int64_t)(d->kernel_h - 1) * d->dilation_h * threads;
  return threads == 1 || shared * 10 <= (int64_t)d->batch * d->in_h;
}

int32_t kiln_pointwise_depthwise_parts(const kiln_pointwise_depthwise_params *p, int32_t threads) {
  const kiln_depthwise_params *d = &p->depthwise;
  kiln_gemm_params product = p->product;
  const int32_t parts = kiln_gemm_parts(&product, threads);
  return (int32_t)least(parts, (int64_t)d->batch * d->out_h < 1 ? 1 : (int64_t)d->batch * d->out_h);
}

size_t kiln_pointwise_depthwise_scratch_bytes(const kiln_pointwise_depthwise_params *p, int32_t parts) {
  return (size_t)(kept_floats(&p->depthwise) * parts) * sizeof(float);
}

// Pixels first..first + count of A times B.
static void product_rows(const kiln_gemm_params *g, void *const *operands, int64_t first, int64_t count, float *to) {
  const float *a = operands[0], *residual = operands[3], *rows[KILN_CHUNK_ROWS];
  const kiln_block block = kiln_gemm_block(g, operands);
  while (count > 0) {
    const int64_t chunks = (count + KILN_CHUNK_ROWS - 1) / KILN_CHUNK_ROWS, now = (count + chunks - 1) / chunks;
    for (int64_t i = 0; i < now; i++) rows[i] = a + (first + i) * g->lda;
    kiln_block_run(&block, rows, now, residual ? residual + first * g->ldr : NULL, to);
    first += now;
    count -= now;
    to += now * g->n;
  }
}

void kiln_pointwise_depthwise_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_pointwise_depthwise_params *p = params;
  const kiln_depthwise_params *d = &p->depthwise;
  const int64_t line = line_floats(d), capacity = kept_rows(d), band = band_rows(d);
  const int64_t columns = kiln_depthwise_box_size(d).columns, vectors = kiln_depthwise_vectors(d);
  float *const kept = (float *)operands[4] + part * kept_floats(d);
  void *const *window = operands + 4;  // from index 1 on as those of the depthwise convolution
  int64_t at = kiln_share((int64_t)d->batch * d->out_h, part, parts);
  const int64_t end = kiln_share((int64_t)d->batch * d->out_h, part + 1, parts);
  while (at < end) {
    const int64_t image = at / d->out_h, last = least(end - image * d->out_h, d->out_h);
    int64_t first_row = 0, next_row = 0;  // rows first_row..next_row of the image are at `kept`
    for (int64_t y = at - image * d->out_h; y < last; y += band) {
      const int64_t until = least(y + band, last), top = y * d->stride_h - d->pad_top;
      const int64_t from = top < 0 ? 0 : top, need = least(top + span(d, until - y), d->in_h);
      if (next_row <= from) {
        first_row = next_row = from;
      } else if (need - first_row > capacity) {
        memmove(kept, kept + (from - first_row) * line, (size_t)((next_row - from) * line) * sizeof(float));
        first_row = from;
      }
      if (need > next_row) {
        product_rows(&p->product, operands, (image * d->in_h + next_row) * d->in_w, (need - next_row) * d->in_w,
                     kept + (next_row - first_row) * line);
        next_row = need;
      }
      for (int64_t x = 0; x < d->out_w; x += columns)
        kiln_depthwise_box(d, kept, first_row, window, image, (kiln_box){y, until, x, least(x + columns, d->out_w), 0, vectors});
    }
    at = image * d->out_h + last;
  }
}

// Band after band of rows: what is in front, the depthwise convolution, what is behind.
//
//     front's rows, kept           depthwise rows of one band         output
//   +-----------------------+      +-----------------------+
//   | taps of earlier rows  | ---> | band                  | ---> projection, or the band is the output itself
//   | new rows              |      +-----------------------+
//   +-----------------------+
#include <string.h>

#include "../conv/window.h"
#include "../include/kiln_band.h"
#include "box.h"

enum {
  BAND_FLOATS = 96 * 1024,   // of the front's rows that are kept
  WORTH_FLOATS = 192 * 1024,  // of an image between two of them
};

enum { SCRATCH = 4, WEIGHTS = 5, PROJECTION = 8, RESIDUAL = 10, OUTPUT = 11 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t line_floats(const kiln_depthwise_params *d) { return (int64_t)d->in_w * d->channels; }
static int64_t out_line_floats(const kiln_depthwise_params *d) { return (int64_t)d->out_w * d->channels * d->multiplier; }

// Whole cache lines.
static int64_t padded(int64_t floats) { return (floats + 15) / 16 * 16; }

// Input rows under `rows` output rows.
static int64_t span(const kiln_depthwise_params *d, int64_t rows) {
  return kiln_span(rows, d->stride_h, d->kernel_h, d->dilation_h);
}

// Output rows of a band.
static int64_t band_rows(const kiln_band_params *p) {
  const kiln_depthwise_params *d = &p->depthwise;
  const int64_t box = kiln_depthwise_box_size(d).rows;
  if (p->front == KILN_FRONT_NONE) return box;
  const int64_t fit = (BAND_FLOATS / line_floats(d) - span(d, 1)) / d->stride_h + 1;
  return fit < 1 ? 1 : least(fit, box);
}

// Rows of the front kept: those of a band, and as many again before the ones at the end move to the front.
static int64_t kept_rows(const kiln_band_params *p) {
  const kiln_depthwise_params *d = &p->depthwise;
  if (p->front == KILN_FRONT_NONE) return 0;
  const int64_t band = span(d, band_rows(p)), fit = BAND_FLOATS / line_floats(d);
  return least(d->in_h, band > fit ? band : least(fit, 2 * band));
}

static kiln_window window_of(const kiln_band_params *p, void *const *operands) {
  kiln_window w = kiln_conv_window(&p->conv);
  w.block.packed = operands[1];
  w.block.bias = operands[2];
  return w;
}

// A part's scratch in floats: the front's rows, those of a band where a projection reads them, the convolution's.
typedef struct {
  int64_t kept, band, window;
} scratch_sizes;

static scratch_sizes sizes_of(const kiln_band_params *p) {
  scratch_sizes sizes = {padded(kept_rows(p) * line_floats(&p->depthwise)), 0, 0};
  if (p->projection.n) sizes.band = padded(band_rows(p) * out_line_floats(&p->depthwise));
  if (p->front == KILN_FRONT_CONV) {
    const kiln_window w = kiln_conv_window(&p->conv);
    sizes.window = kiln_window_scratch(&w);
  }
  return sizes;
}

bool kiln_band_front_worth(const kiln_band_params *p, int32_t threads) {
  const kiln_depthwise_params *d = &p->depthwise;
  const int64_t image = line_floats(d) * d->in_h;
  if (image < WORTH_FLOATS || d->stride_h > d->kernel_h * d->dilation_h || span(d, 1) * line_floats(d) > 2 * BAND_FLOATS) return false;
  // Every part computes the rows above its own again.
  const int64_t shared = (int64_t)(d->kernel_h - 1) * d->dilation_h * threads;
  return threads == 1 || shared * 10 <= (int64_t)d->batch * d->in_h;
}

bool kiln_band_projection_worth(const kiln_band_params *p, int32_t threads) {
  const kiln_depthwise_params *d = &p->depthwise;
  const int64_t line = out_line_floats(d);
  // Bands that are a row high need rows enough for all threads.
  return line * d->out_h >= WORTH_FLOATS && line <= BAND_FLOATS && (threads == 1 || 4 * (int64_t)threads <= (int64_t)d->batch * d->out_h);
}

int32_t kiln_band_parts(const kiln_band_params *p, int32_t threads) {
  const kiln_depthwise_params *d = &p->depthwise;
  const kiln_tile_set *set = kiln_tiles();
  const double pixels = (double)d->batch * d->out_h * d->out_w, channels = (double)d->channels * d->multiplier;
  double macs = pixels * channels * ((double)p->projection.n + (double)d->kernel_h * d->kernel_w);
  if (p->front == KILN_FRONT_PRODUCT) macs += (double)p->product.m * (double)p->product.n * (double)p->product.k;
  if (p->front == KILN_FRONT_CONV)
    macs += (double)d->batch * d->in_h * d->in_w * d->channels * p->conv.kernel_h * p->conv.kernel_w * p->conv.in_c;
  const int32_t parts = kiln_worthwhile_parts(2 * macs / (set->lanes * set->vectors * 2.5), threads);
  const int64_t rows = (int64_t)d->batch * d->out_h;
  return (int32_t)(rows < 1 ? 1 : least(parts, rows));
}

size_t kiln_band_scratch_bytes(const kiln_band_params *p, int32_t parts) {
  const scratch_sizes sizes = sizes_of(p);
  return (size_t)((sizes.kept + sizes.band + sizes.window) * parts) * sizeof(float);
}

// `count` pixels whose operands begin at `a`, `residual` (or NULL) and `to`.
static void product_rows(const kiln_gemm_params *g, const kiln_block *block, const float *a, const float *residual, int64_t count, float *to) {
  const float *rows[KILN_CHUNK_ROWS];
  while (count > 0) {
    const int64_t chunks = (count + KILN_CHUNK_ROWS - 1) / KILN_CHUNK_ROWS, now = (count + chunks - 1) / chunks;
    for (int64_t i = 0; i < now; i++) rows[i] = a + i * g->lda;
    kiln_block_run(block, rows, now, residual, to);
    a += now * g->lda;
    if (residual) residual += now * g->ldr;
    to += now * g->ldc;
    count -= now;
  }
}

// Rows first..end of the front's result for one image.
static void front_rows(const kiln_band_params *p, void *const *operands, int64_t image, int64_t first, int64_t end, float *to, float *scratch) {
  const kiln_depthwise_params *d = &p->depthwise;
  const float *input = operands[0], *residual = operands[3];
  const int64_t pixel = (image * d->in_h + first) * d->in_w, count = (end - first) * d->in_w;
  if (p->front == KILN_FRONT_PRODUCT) {
    const kiln_block block = kiln_gemm_block(&p->product, operands);
    product_rows(&p->product, &block, input + pixel * p->product.lda, residual ? residual + pixel * p->product.ldr : NULL, count, to);
    return;
  }
  kiln_window w = window_of(p, operands);
  w.input = input + image * w.in_h * w.in_w * w.in_c;
  w.residual = residual ? residual + image * w.grid_h * w.out_row : NULL;
  w.output = to;
  w.first_out = first * w.grid_w;
  kiln_window_run(&w, w.first_out, w.first_out + count, scratch);
}

void kiln_band_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_band_params *p = params;
  const kiln_depthwise_params *d = &p->depthwise;
  const kiln_gemm_params *projection = &p->projection;
  const int64_t line = line_floats(d), capacity = kept_rows(p), band = band_rows(p);
  const int64_t columns = kiln_depthwise_box_size(d).columns, vectors = kiln_depthwise_vectors(d);
  const scratch_sizes sizes = sizes_of(p);
  float *const kept = (float *)operands[SCRATCH] + part * (sizes.kept + sizes.band + sizes.window);
  float *const between = projection->n ? kept + sizes.kept : operands[OUTPUT];
  void *const *window = operands + WEIGHTS - 1;  // from index 1 on as those of the depthwise convolution
  void *const behind[] = {NULL, operands[PROJECTION], operands[PROJECTION + 1]};
  const kiln_block block = kiln_gemm_block(projection, behind);
  int64_t at = kiln_share((int64_t)d->batch * d->out_h, part, parts);
  const int64_t end = kiln_share((int64_t)d->batch * d->out_h, part + 1, parts);
  while (at < end) {
    const int64_t image = at / d->out_h, last = least(end - image * d->out_h, d->out_h);
    const float *in = p->front == KILN_FRONT_NONE ? (const float *)operands[0] + image * d->in_h * line : kept;
    int64_t first_row = 0, next_row = p->front == KILN_FRONT_NONE ? d->in_h : 0;  // rows first_row..next_row of the image are at `in`
    for (int64_t y = at - image * d->out_h; y < last; y += band) {
      const int64_t until = least(y + band, last), top = y * d->stride_h - d->pad_top;
      const int64_t from = top < 0 ? 0 : top, need = least(top + span(d, until - y), d->in_h);
      if (p->front != KILN_FRONT_NONE) {
        if (next_row <= from) {
          first_row = next_row = from;
        } else if (need - first_row > capacity) {
          memmove(kept, kept + (from - first_row) * line, (size_t)((next_row - from) * line) * sizeof(float));
          first_row = from;
        }
      }
      if (need > next_row) {
        front_rows(p, operands, image, next_row, need, kept + (next_row - first_row) * line, kept + sizes.kept + sizes.band);
        next_row = need;
      }
      const int64_t out_row = image * d->out_h + y, first_out = projection->n ? out_row : 0;
      for (int64_t x = 0; x < d->out_w; x += columns)
        kiln_depthwise_box(d, in, first_row, window, between, first_out, image,
                           (kiln_box){y, until, x, least(x + columns, d->out_w), 0, vectors});
      if (projection->n) {
        const int64_t pixel = out_row * d->out_w;
        const float *residual = operands[RESIDUAL];
        product_rows(projection, &block, between, residual ? residual + pixel * projection->ldr : NULL, (until - y) * d->out_w,
                     (float *)operands[OUTPUT] + pixel * projection->ldc);
      }
    }
    at = image * d->out_h + last;
  }
}

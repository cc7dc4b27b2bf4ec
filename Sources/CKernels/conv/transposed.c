// A transposed convolution as stride_h * stride_w plain ones. Output row v collects input rows y with
// v = y * stride - pad + k * dilation, so rows v = phase + t * stride share the taps k with
// (phase + pad - k * dilation) % stride == 0. With g = gcd(stride, dilation) these are every (stride / g)-th tap, and the
// input row moves back by dilation / g from one to the next: read in reverse, they are a stride-1 convolution over the
// small side with dilation / g, whose positions t land `stride` apart in the output. A phase with no tap is bias alone.
#include "window.h"

// One axis of one phase: taps last, last - step, ..., first; tap `last` at t = 0 reads input index `origin`.
typedef struct {
  int64_t taps, last, step, origin, dilation, positions;
} phase_axis;

static int64_t gcd(int64_t a, int64_t b) { return b ? gcd(b, a % b) : a; }

static phase_axis axis(int64_t phase, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, int64_t out) {
  const int64_t g = gcd(stride, dilation);
  phase_axis a = {0, 0, stride / g, 0, dilation / g, out > phase ? (out - phase + stride - 1) / stride : 0};
  for (int64_t k = 0; k < kernel; k++) {
    const int64_t offset = phase + pad - k * dilation;
    if (offset % stride) continue;
    a.taps++;
    a.last = k;
    a.origin = offset / stride;
  }
  return a;
}

typedef struct {
  kiln_window window;
  phase_axis y, x;
} phase;

static phase phase_of(const kiln_conv_params *p, int64_t index) {
  const int64_t py = index / p->stride_w, px = index % p->stride_w;
  phase f = {kiln_conv_window(p), axis(py, p->kernel_h, p->stride_h, p->dilation_h, p->pad_top, p->out_h),
             axis(px, p->kernel_w, p->stride_w, p->dilation_w, p->pad_left, p->out_w)};
  kiln_window *w = &f.window;
  w->taps_h = f.y.taps;
  w->taps_w = f.x.taps;
  if (!w->taps_h || !w->taps_w) w->taps_h = w->taps_w = 0;
  w->stride_h = w->stride_w = 1;
  w->dilation_h = f.y.dilation;
  w->dilation_w = f.x.dilation;
  w->origin_y = f.y.origin;
  w->origin_x = f.x.origin;
  w->grid_h = f.y.positions;
  w->grid_w = f.x.positions;
  w->out_row = (int64_t)p->stride_h * p->out_w * p->out_c;
  w->out_pixel = (int64_t)p->stride_w * p->out_c;
  return f;
}

// Packed floats of a phase.
static int64_t packed(const kiln_conv_params *p, const phase *f) {
  return kiln_padded_columns(f->window.block.set, p->out_c) * f->window.taps_h * f->window.taps_w * p->in_c;
}

size_t kiln_conv_transpose_packed_bytes(const kiln_conv_params *p) {
  return (size_t)(kiln_padded_columns(kiln_tiles(), p->out_c) * p->kernel_h * p->kernel_w * p->in_c) * sizeof(float);
}

void kiln_conv_transpose_pack(const kiln_conv_params *p, const float *weights, float *out) {
  for (int64_t i = 0; i < (int64_t)p->stride_h * p->stride_w; i++) {
    const phase f = phase_of(p, i);
    const kiln_block *b = &f.window.block;
    const int64_t depth = f.window.taps_h * f.window.taps_w * p->in_c;
    int64_t at = 0;
    for (int64_t ty = 0; ty < f.window.taps_h; ty++) {
      for (int64_t tx = 0; tx < f.window.taps_w; tx++, at += p->in_c) {
        const int64_t ky = f.y.last - ty * f.y.step, kx = f.x.last - tx * f.x.step;
        kiln_pack_panels(b->set, weights + (ky * p->kernel_w + kx) * p->out_c * p->in_c, 1, p->in_c, p->out_c, p->in_c, 1, at,
                         depth, 0, b->end_panel, out);
      }
    }
    out += packed(p, &f);
  }
}

int32_t kiln_conv_transpose_parts(kiln_conv_params *p, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const double macs = (double)p->batch * p->in_h * p->in_w * p->kernel_h * p->kernel_w * p->in_c * p->out_c;
  const double written = (double)p->batch * p->out_h * p->out_w * p->out_c;
  p->split = KILN_CONV_SPLIT_PIXELS;
  return kiln_worthwhile_parts(2 * macs / (set->lanes * set->vectors * 2.5) + written / 15, threads);
}

static int64_t scratch_floats(const kiln_conv_params *p) {
  int64_t most = 0;
  for (int64_t i = 0; i < (int64_t)p->stride_h * p->stride_w; i++) {
    const phase f = phase_of(p, i);
    const int64_t floats = kiln_window_scratch(&f.window);
    if (floats > most) most = floats;
  }
  return most;
}

size_t kiln_conv_transpose_scratch_bytes(const kiln_conv_params *p, int32_t parts) {
  return (size_t)(scratch_floats(p) * parts) * sizeof(float);
}

void kiln_conv_transpose_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_conv_params *p = params;
  const float *input = operands[0], *packed_weights = operands[1], *residual = operands[3];
  float *output = operands[4], *scratch = operands[5];
  if (scratch) scratch += part * scratch_floats(p);
  for (int64_t i = 0; i < (int64_t)p->stride_h * p->stride_w; i++) {
    phase f = phase_of(p, i);
    kiln_window *w = &f.window;
    const int64_t corner = (i / p->stride_w * p->out_w + i % p->stride_w) * p->out_c;
    w->block.packed = packed_weights;
    w->block.bias = operands[2];
    packed_weights += packed(p, &f);
    const int64_t positions = w->grid_h * w->grid_w, total = positions * p->batch;
    int64_t first = kiln_share(total, part, parts);
    const int64_t end = kiln_share(total, part + 1, parts);
    while (first < end) {
      const int64_t image = first / positions;
      const int64_t until = (image + 1) * positions < end ? (image + 1) * positions : end;
      const int64_t at = image * p->out_h * p->out_w * p->out_c + corner;
      w->input = input + image * p->in_h * p->in_w * p->in_c;
      w->residual = residual ? residual + at : NULL;
      w->output = output + at;
      kiln_window_run(w, first - image * positions, until - image * positions, scratch);
      first = until;
    }
  }
}

// The derivative of a convolution by its kernel, as products: some rows of output pixels at a time, their windows are gathered as
// the rows of a matrix, whose transpose times the cotangents of these pixels is added to the part's sums.
#include <string.h>
#include "../include/kiln_gemm.h"
#include "../gemm/tile.h"
#include "choose.h"

static int64_t taps(const kiln_conv_gradient_params *p) { return (int64_t)p->kernel_h * p->kernel_w; }
static int64_t weights(const kiln_conv_gradient_params *p) { return taps(p) * (p->in_c / p->groups) * p->out_c; }
static int64_t rows(const kiln_conv_gradient_params *p) { return (int64_t)p->batch * p->out_h; }
static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

// Whether windows are single pixels, one after the other: x is the matrix itself.
static bool is_direct(const kiln_conv_gradient_params *p) {
  return taps(p) == 1 && p->stride_h == 1 && p->stride_w == 1 && p->pad_top == 0 && p->pad_left == 0 && p->in_h == p->out_h && p->in_w == p->out_w;
}

// Rows of output pixels in one product: half a megabyte of windows.
static int64_t rows_at_once(const kiln_conv_gradient_params *p) {
  int64_t pixels = 131072 / (taps(p) * p->in_c);
  if (pixels < 64) pixels = 64;
  if (pixels > 1024) pixels = 1024;
  const int64_t count = pixels / (p->out_w > 0 ? p->out_w : 1);
  return count < 1 ? 1 : count;
}

static kiln_matmul_params product(const kiln_conv_gradient_params *p, int64_t pixels) {
  const int64_t m = taps(p) * p->in_c;
  kiln_matmul_params q = {.batch_outer = 1, .batch_inner = 1, .m = m, .n = p->out_c, .k = pixels, .a_row = 1, .a_column = m, .b_row = p->out_c,
                          .b_column = 1, .c_row = p->out_c, .alpha = 1};
  return q;
}

typedef struct {
  int64_t windows, sums, product, all;
} layout;
static layout layout_of(const kiln_conv_gradient_params *p) {
  const int64_t pixels = rows_at_once(p) * p->out_w;
  const kiln_matmul_params q = product(p, pixels);
  layout l;
  l.windows = is_direct(p) ? 0 : padded(pixels * taps(p) * p->in_c);
  l.sums = padded(weights(p));
  l.product = padded((int64_t)(kiln_matmul_scratch_bytes(&q, 1) / sizeof(float)));
  l.all = l.windows + l.sums + l.product;
  return l;
}

int32_t kiln_conv_gradient_parts(kiln_conv_gradient_params *p, int32_t threads) {
  const double flops = 2.0 * (double)rows(p) * p->out_w * (double)weights(p);
  int64_t parts = flops < 2e5 ? 1 : threads;
  if (parts > rows(p)) parts = rows(p);
  p->shares = parts < 1 ? 1 : (int32_t)parts;
  return p->shares;
}

size_t kiln_conv_gradient_partial_bytes(const kiln_conv_gradient_params *p) { return (size_t)(padded(weights(p)) * p->shares) * sizeof(float); }
size_t kiln_conv_gradient_scratch_bytes(const kiln_conv_gradient_params *p) {
  return p->groups > 1 ? 0 : (size_t)(layout_of(p).all * p->shares) * sizeof(float);
}

// The windows of the rows of output pixels first ..< end.
static void gather(const kiln_conv_gradient_params *p, const float *x, float *out, int64_t first, int64_t end) {
  const int64_t c = p->in_c;
  for (int64_t row = first; row < end; row++) {
    const int64_t image = row / p->out_h, oy = row % p->out_h;
    for (int64_t ox = 0; ox < p->out_w; ox++)
      for (int64_t ky = 0; ky < p->kernel_h; ky++) {
        const int64_t y = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
        const int64_t left = ox * p->stride_w - p->pad_left;
        if (y < 0 || y >= p->in_h) {
          memset(out, 0, (size_t)(p->kernel_w * c) * sizeof(float));
        } else {
          const float *from = x + ((image * p->in_h + y) * p->in_w) * c;
          if (p->dilation_w == 1 && left >= 0 && left + p->kernel_w <= p->in_w) {
            memcpy(out, from + left * c, (size_t)(p->kernel_w * c) * sizeof(float));
          } else {
            for (int64_t kx = 0; kx < p->kernel_w; kx++) {
              const int64_t at = left + kx * p->dilation_w;
              if (at < 0 || at >= p->in_w) memset(out + kx * c, 0, (size_t)c * sizeof(float));
              else memcpy(out + kx * c, from + at * c, (size_t)c * sizeof(float));
            }
          }
        }
        out += p->kernel_w * c;
      }
  }
}

void kiln_conv_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_conv_gradient_params *p = params;
  const float *x = operands[0], *dy = operands[1];
  // Each share has its own sums, whatever the number of parts.
  for (int32_t share = part; share < p->shares; share += parts) {
    float *sums = (float *)operands[2] + share * padded(weights(p));
    memset(sums, 0, (size_t)weights(p) * sizeof(float));
    const int64_t first = rows(p) * share / p->shares, end = rows(p) * (share + 1) / p->shares;
    if (p->groups > 1) {
      kiln_gradient_of_tier()->grouped_kernel(p, x, dy, sums, first, end);
      continue;
    }
    const layout l = layout_of(p);
    float *windows = (float *)operands[3] + share * l.all, *own = windows + l.windows, *scratch = own + l.sums;
    const int64_t step = rows_at_once(p);
    bool is_first = true;
    for (int64_t row = first; row < end; row += step) {
      const int64_t last = row + step < end ? row + step : end;
      const kiln_matmul_params q = product(p, (last - row) * p->out_w);
      const float *matrix = is_direct(p) ? x + row * p->out_w * p->in_c : windows;
      if (!is_direct(p)) gather(p, x, windows, row, last);
      float *to = is_first ? sums : own;
      void *const operand[4] = {(void *)matrix, (void *)(dy + row * p->out_w * p->out_c), to, scratch};
      kiln_matmul_f32(&q, operand, 0, 1);
      if (!is_first) kiln_gradient_of_tier()->add(weights(p), sums, own);
      is_first = false;
    }
  }
}

void kiln_conv_gradient_sum(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_conv_gradient_params *p = params;
  const int64_t all = weights(p), first = padded(all) / 16 * part / parts * 16;
  int64_t end = padded(all) / 16 * (part + 1) / parts * 16;
  if (end > all) end = all;
  if (first >= end) return;
  const float *sums = operands[0];
  float *result = operands[1];
  memcpy(result + first, sums + first, (size_t)(end - first) * sizeof(float));
  for (int32_t share = 1; share < p->shares; share++) kiln_gradient_of_tier()->add(end - first, result + first, sums + share * padded(all) + first);
}

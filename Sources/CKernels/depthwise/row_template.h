// The row functions of one instruction set, in the vocabulary of gemm/simd_*.h.

#include "../gemm/simd_finish.h"

INLINE void finish(const kiln_depthwise_row *t, V *sum, const int pixels, int64_t x, const bool whole, MASK mask) {
  if (t->residual) {
    const float *r = t->residual + x * t->out_pixel;
    UNROLL for (int p = 0; p < pixels; p++)
      sum[p] = ADD(sum[p], whole ? LOAD(r + p * t->out_pixel) : MASKED_LOAD(r + p * t->out_pixel, mask));
  }
  finish_vectors(sum, pixels, t->finish, t->p);
  float *o = t->output + x * t->out_pixel;
  UNROLL for (int p = 0; p < pixels; p++) {
    if (whole) STORE(o + p * t->out_pixel, sum[p]);
    else MASKED_STORE(o + p * t->out_pixel, mask, sum[p]);
  }
}

// Kernel width and stride known, all lanes valid: every input vector is loaded once and feeds all pixels that see it.
INLINE void fast_tile(const kiln_depthwise_row *t, int64_t x, V bias, const int pixels, const int taps,
                      const int stride, const bool edge) {
  V sum[8];
  UNROLL for (int p = 0; p < pixels; p++) sum[p] = bias;
  const int64_t column = x * stride + t->origin_x;
  const float *in = t->input + column * t->in_pixel, *w = t->weights;
  for (int64_t ky = 0; ky < t->tap_rows; ky++, in += t->in_row, w += t->weight_row) {
    V weight[7];
    UNROLL for (int kx = 0; kx < taps; kx++) weight[kx] = LOAD(w + kx * t->weight_tap);
    UNROLL for (int i = 0; i < (pixels - 1) * stride + taps; i++) {
      if (edge && (uint64_t)(column + i) >= (uint64_t)t->in_w) continue;
      const V v = LOAD(in + i * t->in_pixel);
      UNROLL for (int kx = 0; kx < taps; kx++) {
        const int p = (i - kx) / stride;
        if (i >= kx && p < pixels && p * stride + kx == i) sum[p] = FMA(v, weight[kx], sum[p]);
      }
    }
  }
  finish(t, sum, pixels, x, true, LOW_LANES(0));
}

INLINE void any_tile(const kiln_depthwise_row *t, int64_t x, MASK mask, V bias, const int pixels, const bool edge,
                     const bool multiplied) {
  V sum[8];
  UNROLL for (int p = 0; p < pixels; p++) sum[p] = bias;
  // With a multiplier, lane l reads input channel (first + l) / multiplier.
  int32_t source[LANES] = {0};
  MASK in_mask = mask;
  if (multiplied) {
    const int32_t phase = t->first_channel % t->multiplier;
    for (int32_t l = 0; l < LANES; l++) source[l] = (phase + l) / t->multiplier;
    in_mask = LOW_LANES(t->in_channels < LANES ? t->in_channels : LANES);
  }
  const INDEX index = INDEX_LOAD(source);
  const int64_t column = x * t->stride + t->origin_x;
  for (int64_t ky = 0; ky < t->tap_rows; ky++) {
    for (int64_t kx = 0; kx < t->tap_columns; kx++) {
      const V weight = MASKED_LOAD(t->weights + ky * t->weight_row + kx * t->weight_tap, mask);
      const int64_t at = column + kx * t->dilation;
      const float *in = t->input + ky * t->in_row + at * t->in_pixel;
      UNROLL for (int p = 0; p < pixels; p++) {
        if (edge && (uint64_t)(at + p * t->stride) >= (uint64_t)t->in_w) continue;
        V v = MASKED_LOAD(in + p * t->stride * t->in_pixel, in_mask);
        if (multiplied) v = PERMUTE(v, index);
        sum[p] = FMA(v, weight, sum[p]);
      }
    }
  }
  finish(t, sum, pixels, x, false, mask);
}

// Cuts first..end in tiles: of 8, or 7 where that comes out even (7, 14), then 4, 2, 1.
#define ROW(TILE, stride, reach)                                                                  \
  const MASK mask = LOW_LANES(t->channels);                                                       \
  const V bias = t->bias ? MASKED_LOAD(t->bias, mask) : ZERO;                                     \
  for (int64_t x = first; x < end;) {                                                             \
    const int64_t left = end - x;                                                                 \
    const int64_t pixels = left == 7 || left == 14 ? 7 : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; \
    const int64_t from = x * (stride) + t->origin_x;                                              \
    const bool edge = from < 0 || from + (pixels - 1) * (stride) + (reach) > t->in_w;             \
    switch (pixels * 2 + edge) {                                                                  \
      case 16: TILE(8, false); break;                                                             \
      case 17: TILE(8, true); break;                                                              \
      case 14: TILE(7, false); break;                                                             \
      case 15: TILE(7, true); break;                                                              \
      case 8: TILE(4, false); break;                                                              \
      case 9: TILE(4, true); break;                                                               \
      case 4: TILE(2, false); break;                                                              \
      case 5: TILE(2, true); break;                                                               \
      case 2: TILE(1, false); break;                                                              \
      default: TILE(1, true); break;                                                              \
    }                                                                                             \
    x += pixels;                                                                                  \
  }

#define FAST(taps, stride)                                                                        \
  static void row##taps##s##stride(const kiln_depthwise_row *t, int64_t first, int64_t end) {     \
    ROW(FAST_##taps##_##stride, stride, taps)                                                     \
  }
#define FAST_3_1(pixels, edge) fast_tile(t, x, bias, pixels, 3, 1, edge)
#define FAST_3_2(pixels, edge) fast_tile(t, x, bias, pixels, 3, 2, edge)
#define FAST_5_1(pixels, edge) fast_tile(t, x, bias, pixels, 5, 1, edge)
#define FAST_5_2(pixels, edge) fast_tile(t, x, bias, pixels, 5, 2, edge)
#define FAST_7_1(pixels, edge) fast_tile(t, x, bias, pixels, 7, 1, edge)
#define FAST_7_2(pixels, edge) fast_tile(t, x, bias, pixels, 7, 2, edge)
FAST(3, 1)
FAST(3, 2)
FAST(5, 1)
FAST(5, 2)
FAST(7, 1)
FAST(7, 2)

#define ANY(pixels, edge) any_tile(t, x, mask, bias, pixels, edge, false)
#define MULTIPLIED(pixels, edge) any_tile(t, x, mask, bias, pixels, edge, true)

static void row_any(const kiln_depthwise_row *t, int64_t first, int64_t end) {
  if (t->multiplier == 1) {
    ROW(ANY, t->stride, (t->tap_columns - 1) * t->dilation + 1)
  } else {
    ROW(MULTIPLIED, t->stride, (t->tap_columns - 1) * t->dilation + 1)
  }
}

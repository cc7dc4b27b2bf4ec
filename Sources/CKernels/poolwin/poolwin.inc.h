// Pooling of one tier: for each output position, blocks of channels stay in registers while the window's taps go by.
#include "tier.h"

// The taps of one window along one dim that lie in the input, and the number that lie in the padded input.
typedef struct {
  int64_t start;          // input coordinate of tap `first`
  int64_t first, last;    // taps first ..< last
  int64_t counted;
} taps;

static taps taps_of(const kiln_window_pool_params *p, int d, int64_t o) {
  const int64_t origin = o * p->stride[d] - p->pad_before[d], step = p->dilation[d], n = p->input[d];
  taps t = {0, p->kernel[d], 0, 0};
  for (int64_t k = 0; k < p->kernel[d]; k++) {
    const int64_t at = origin + k * step;
    if (at >= 0 && at < n) {
      if (k < t.first) t.first = k;
      t.last = k + 1;
    }
    t.counted += at >= -p->pad_before[d] && at < n + p->pad_after[d];
  }
  if (t.last < t.first) t.first = t.last = 0;
  t.start = origin + t.first * step;
  return t;
}

KV_INLINE void pool_channels(const float *x, float *y, const taps t[3], const int64_t step[3], int average, float scale, int width, size_t count) {
  vf s[4];
  for (int k = 0; k < width; k++) s[k] = v_splat(average ? 0.0f : -INFINITY);
  for (int64_t d = t[0].last - t[0].first; d > 0; d--, x += step[0]) {
    const float *plane = x;
    for (int64_t h = t[1].last - t[1].first; h > 0; h--, plane += step[1]) {
      const float *row = plane;
      for (int64_t w = t[2].last - t[2].first; w > 0; w--, row += step[2]) {
        for (int k = 0; k < width; k++) {
          const vf v = v_load_n(row + k * KV_WIDTH, count);
          s[k] = average ? s[k] + v : v_max_nan(v, s[k]);
        }
      }
    }
  }
  for (int k = 0; k < width; k++) v_store_n(y + k * KV_WIDTH, average ? s[k] * scale : s[k], count);
}

KV_INLINE void pool_rows(const kiln_window_pool_params *p, const float *x, float *y, int64_t first, int64_t last, int average) {
  const int64_t channels = p->channels, row = p->input[2] * channels, plane = p->input[1] * row, image = p->input[0] * plane;
  const int64_t step[3] = {p->dilation[0] * plane, p->dilation[1] * row, p->dilation[2] * channels};
  for (int64_t r = first; r < last; r++) {
    const int64_t oh = r % p->output[1], od = r / p->output[1] % p->output[0], n = r / p->output[1] / p->output[0];
    taps t[3] = {taps_of(p, 0, od), taps_of(p, 1, oh), {0, 0, 0, 0}};
    for (int64_t ow = 0; ow < p->output[2]; ow++) {
      t[2] = taps_of(p, 2, ow);
      const float *from = x + n * image + t[0].start * plane + t[1].start * row + t[2].start * channels;
      float *to = y + (r * p->output[2] + ow) * channels;
      const int64_t inside = (t[0].last - t[0].first) * (t[1].last - t[1].first) * (t[2].last - t[2].first);
      const int64_t divisor = p->count_include_pad ? t[0].counted * t[1].counted * t[2].counted : inside;
      const float scale = divisor > 0 ? 1.0f / (float)divisor : 0.0f;
      int64_t c = 0;
      for (; c + 4 * KV_WIDTH <= channels; c += 4 * KV_WIDTH) pool_channels(from + c, to + c, t, step, average, scale, 4, KV_WIDTH);
      for (; c + KV_WIDTH <= channels; c += KV_WIDTH) pool_channels(from + c, to + c, t, step, average, scale, 1, KV_WIDTH);
      if (c < channels) pool_channels(from + c, to + c, t, step, average, scale, 1, (size_t)(channels - c));
    }
  }
}

void KV_NAME(kiln_window_pool)(const kiln_window_pool_params *p, const float *x, float *y, int64_t first, int64_t last) {
  if (p->average) pool_rows(p, x, y, first, last, 1);
  else pool_rows(p, x, y, first, last, 0);
}

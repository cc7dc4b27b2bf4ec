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
  if (origin >= 0 && origin + (p->kernel[d] - 1) * step < n) return (taps){origin, 0, p->kernel[d], p->kernel[d]};
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

// What is known when the code is compiled: the kind, and what elements go through on their way in.
typedef struct {
  bool average, affine, relu;
} pooling;

// One window of `width` vectors of channels, or of `count` channels when that is less than a vector.
KV_INLINE void pool_channels(const float *x, float *y, const taps t[3], const int64_t step[3], pooling kind, const float *factors,
                             const float *offsets, float scale, int width, size_t count) {
  vf s[4], factor[4], offset[4];
  for (int k = 0; k < width; k++) {
    s[k] = v_splat(kind.average ? 0.0f : -INFINITY);
    if (!kind.affine) continue;
    factor[k] = factors ? v_load_n(factors + k * KV_WIDTH, count) : v_splat(1.0f);
    offset[k] = offsets ? v_load_n(offsets + k * KV_WIDTH, count) : v_splat(-0.0f);
  }
  for (int64_t d = t[0].last - t[0].first; d > 0; d--, x += step[0]) {
    const float *plane = x;
    for (int64_t h = t[1].last - t[1].first; h > 0; h--, plane += step[1]) {
      const float *row = plane;
      for (int64_t w = t[2].last - t[2].first; w > 0; w--, row += step[2]) {
        for (int k = 0; k < width; k++) {
          vf v = v_load_n(row + k * KV_WIDTH, count);
          if (kind.affine) v = v_fma(v, factor[k], offset[k]);
          if (kind.relu) v = v_max(v_splat(0.0f), v);
          s[k] = kind.average ? s[k] + v : v_max_nan(v, s[k]);
        }
      }
    }
  }
  for (int k = 0; k < width; k++) v_store_n(y + k * KV_WIDTH, kind.average ? s[k] * scale : s[k], count);
}

KV_INLINE void pool_rows(const kiln_window_pool_params *p, void *const *operands, int64_t first, int64_t last, pooling kind) {
  const int64_t all = p->channels, positions = p->input[0] * p->input[1] * p->input[2];
  const int32_t sources = kind.affine ? p->prologue.sources : 1;
  for (int64_t r = first; r < last; r++) {
    const int64_t oh = r % p->output[1], od = r / p->output[1] % p->output[0], n = r / p->output[1] / p->output[0];
    float *to = (float *)operands[1] + r * p->output[2] * all;
    taps t[3] = {taps_of(p, 0, od), taps_of(p, 1, oh), {0, 0, 0, 0}};
    int64_t column = 0;
    for (int32_t source = 0; source < sources; source++) {
      const int64_t channels = kind.affine ? p->prologue.widths[source] : all, row = p->input[2] * channels, plane = p->input[1] * row;
      const int64_t step[3] = {p->dilation[0] * plane, p->dilation[1] * row, p->dilation[2] * channels};
      const float *x = (const float *)operands[source == 0 ? 0 : 3 + source] + n * positions * channels + t[0].start * plane + t[1].start * row;
      const float *factors = kind.affine && operands[2] ? (const float *)operands[2] + (p->prologue.scale_by_sample ? n * all : 0) + column : NULL;
      const float *offsets = kind.affine && operands[3] ? (const float *)operands[3] + column : NULL;
      for (int64_t ow = 0; ow < p->output[2]; ow++) {
        t[2] = taps_of(p, 2, ow);
        const float *from = x + t[2].start * channels;
        float *y = to + ow * all + column;
        const int64_t inside = (t[0].last - t[0].first) * (t[1].last - t[1].first) * (t[2].last - t[2].first);
        const int64_t divisor = p->count_include_pad ? t[0].counted * t[1].counted * t[2].counted : inside;
        const float scale = divisor > 0 ? 1.0f / (float)divisor : 0.0f;
        int64_t c = 0;
#define POOL(width, count) pool_channels(from + c, y + c, t, step, kind, factors ? factors + c : NULL, offsets ? offsets + c : NULL, scale, width, count)
        for (; c + 4 * KV_WIDTH <= channels; c += 4 * KV_WIDTH) POOL(4, KV_WIDTH);
        for (; c + 2 * KV_WIDTH <= channels; c += 2 * KV_WIDTH) POOL(2, KV_WIDTH);
        for (; c + KV_WIDTH <= channels; c += KV_WIDTH) POOL(1, KV_WIDTH);
        if (c < channels) POOL(1, (size_t)(channels - c));
#undef POOL
      }
      column += channels;
    }
    if (p->activation.function != KILN_FN_identity) kiln_apply_f32(p->activation, to, (size_t)(p->output[2] * all));
  }
}

void KV_NAME(kiln_window_pool)(const kiln_window_pool_params *p, void *const *operands, int64_t first, int64_t last) {
  if (!p->prologue.sources) {
    if (p->average) pool_rows(p, operands, first, last, (pooling){true, false, false});
    else pool_rows(p, operands, first, last, (pooling){false, false, false});
  } else if (p->average) {
    if (p->prologue.relu) pool_rows(p, operands, first, last, (pooling){true, true, true});
    else pool_rows(p, operands, first, last, (pooling){true, true, false});
  } else {
    if (p->prologue.relu) pool_rows(p, operands, first, last, (pooling){false, true, true});
    else pool_rows(p, operands, first, last, (pooling){false, true, false});
  }
}

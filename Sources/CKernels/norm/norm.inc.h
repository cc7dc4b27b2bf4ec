// Softmax and the normalizations of one tier. Included between tier_begin.h and tier_end.h.
#include "../elementwise/vmath.h"
#include "../elementwise/tier.h"
#include "tier.h"

KV_INLINE vf lanes_below(vf x, size_t count, float other) { return v_lanes() < (int32_t)count ? x : v_splat(other); }

// The end of a row that is no whole vector: the row's last KV_WIDTH elements, most of which were in vectors before; of a shorter row all,
// and zeros. Stores of single lanes would hold up the loads of the row behind.
KV_INLINE vf load_tail(const float *x, size_t n) { return n < KV_WIDTH ? v_load_n(x, n) : v_load(x + n - KV_WIDTH); }
KV_INLINE void store_tail(float *y, vf e, size_t n) {
  if (n < KV_WIDTH) v_store_n(y, e, n);
  else v_store(y + n - KV_WIDTH, e);
}
// The lanes that no vector before has, 0 in others.
KV_INLINE vf new_lanes(vf e, size_t n) {
  if (n < KV_WIDTH) return lanes_below(e, n, 0.0f);
  return v_lanes() < (int32_t)(KV_WIDTH - n % KV_WIDTH) ? v_splat(0.0f) : e;
}

#define SHORT_ROW 8
// Rows that are worked on together while they fit the first-level cache: what waits for a row's maximum or sum hides behind the others.
#define TOGETHER 8
#define TOGETHER_FLOATS 8192

// NaN does not count.
static float row_max(const float *x, size_t n) {
  vf a = v_splat(-INFINITY), b = a;
  size_t i = 0;
  for (; i + 2 * KV_WIDTH <= n; i += 2 * KV_WIDTH) {
    a = v_max(v_load(x + i), a);
    b = v_max(v_load(x + i + KV_WIDTH), b);
  }
  for (; i + KV_WIDTH <= n; i += KV_WIDTH) a = v_max(v_load(x + i), a);
  if (i < n) b = v_max(n < KV_WIDTH ? lanes_below(v_load_n(x, n), n, -INFINITY) : load_tail(x, n), b);
  return v_reduce_max_number(v_max(a, b));
}

// The sum of exp(x - m) for x <= m; the terms go to y unless y is NULL.
KV_INLINE float row_exp(const float *x, float *y, size_t n, float m) {
  vf sum = v_splat(0.0f), other = sum;
  const vf tail = load_tail(x, n);
  size_t i = 0;
  for (; i + 2 * KV_WIDTH <= n; i += 2 * KV_WIDTH) {
    const vf e = v_exp_bounded(v_load(x + i) - m), f = v_exp_bounded(v_load(x + i + KV_WIDTH) - m);
    if (y) v_store(y + i, e);
    if (y) v_store(y + i + KV_WIDTH, f);
    sum += e;
    other += f;
  }
  if (i + KV_WIDTH <= n) {
    const vf e = v_exp_bounded(v_load(x + i) - m);
    if (y) v_store(y + i, e);
    sum += e;
    i += KV_WIDTH;
  }
  if (i < n) {
    const vf e = v_exp_bounded(tail - m);
    if (y) store_tail(y, e, n);
    other += new_lanes(e, n);
  }
  return v_sum(sum + other);
}

// `width` vectors of columns at once, the last with `count` lanes.
KV_INLINE void softmax_column_block(const float *x, float *y, int64_t axis, int64_t inner, int width, size_t count, int32_t logarithm) {
  vf m[4], sum[4];
  for (int k = 0; k < width; k++) {
    m[k] = v_splat(-INFINITY);
    sum[k] = v_splat(0.0f);
  }
  for (int64_t a = 0; a < axis; a++) {
    for (int k = 0; k < width; k++) m[k] = v_max(v_load_n(x + a * inner + k * KV_WIDTH, count), m[k]);
  }
  for (int64_t a = 0; a < axis; a++) {
    for (int k = 0; k < width; k++) {
      const vf e = v_exp(v_load_n(x + a * inner + k * KV_WIDTH, count) - m[k]);
      sum[k] += e;
      if (!logarithm) v_store_n(y + a * inner + k * KV_WIDTH, e, count);
    }
  }
  for (int k = 0; k < width; k++) sum[k] = logarithm ? v_log(sum[k]) : 1.0f / sum[k];
  for (int64_t a = 0; a < axis; a++) {
    for (int k = 0; k < width; k++) {
      float *to = y + a * inner + k * KV_WIDTH;
      if (logarithm) v_store_n(to, (v_load_n(x + a * inner + k * KV_WIDTH, count) - m[k]) - sum[k], count);
      else v_store_n(to, v_load_n(to, count) * sum[k], count);
    }
  }
}

static void softmax_columns(const float *x, float *y, int64_t axis, int64_t inner, int64_t first, int64_t last, int32_t logarithm) {
  int64_t c = first;
  for (; c + 4 * KV_WIDTH <= last; c += 4 * KV_WIDTH) softmax_column_block(x + c, y + c, axis, inner, 4, KV_WIDTH, logarithm);
  for (; c + KV_WIDTH <= last; c += KV_WIDTH) softmax_column_block(x + c, y + c, axis, inner, 1, KV_WIDTH, logarithm);
  if (c < last) softmax_column_block(x + c, y + c, axis, inner, 1, (size_t)(last - c), logarithm);
}

// Rows of a few elements: KV_WIDTH rows side by side, each in a lane.
static void softmax_short_rows(const float *x, float *y, int64_t rows, int64_t length, int32_t logarithm) {
  float lanes[SHORT_ROW * KV_WIDTH];
  for (int64_t r = 0; r < rows; r += KV_WIDTH, x += KV_WIDTH * length, y += KV_WIDTH * length) {
    const int64_t count = rows - r < KV_WIDTH ? rows - r : KV_WIDTH;
    for (int64_t l = 0; l < count; l++)
      for (int64_t i = 0; i < length; i++) lanes[i * KV_WIDTH + l] = x[l * length + i];
    softmax_column_block(lanes, lanes, length, KV_WIDTH, 1, (size_t)count, logarithm);
    for (int64_t l = 0; l < count; l++)
      for (int64_t i = 0; i < length; i++) y[l * length + i] = lanes[i * KV_WIDTH + l];
  }
}

static void softmax_rows(const float *x, float *y, int64_t rows, int64_t length, int32_t logarithm) {
  if (length <= SHORT_ROW && rows > 1) {
    softmax_short_rows(x, y, rows, length, logarithm);
    return;
  }
  const size_t n = (size_t)length;
  const int64_t most = length > TOGETHER_FLOATS / TOGETHER ? 1 : TOGETHER;
  for (int64_t first = 0; first < rows; first += most, x += most * length, y += most * length) {
    const int64_t count = rows - first < most ? rows - first : most;
    float m[TOGETHER], k[TOGETHER];
    for (int64_t r = 0; r < count; r++) m[r] = row_max(x + r * length, n);
    for (int64_t r = 0; r < count; r++) k[r] = logarithm ? row_exp(x + r * length, NULL, n, m[r]) : row_exp(x + r * length, y + r * length, n, m[r]);
    for (int64_t r = 0; r < count; r++) {
      const float *from = x + r * length;
      float *to = y + r * length;
      const float last = logarithm ? logf(k[r]) : 1.0f / k[r];
      const vf tail = load_tail(logarithm ? from : to, n);
      size_t i = 0;
      if (logarithm) {
        for (; i + KV_WIDTH <= n; i += KV_WIDTH) v_store(to + i, (v_load(from + i) - m[r]) - last);
      } else {
        for (; i + KV_WIDTH <= n; i += KV_WIDTH) v_store(to + i, v_load(to + i) * last);
      }
      if (i < n) store_tail(to, logarithm ? (tail - m[r]) - last : tail * last, n);
    }
  }
}

// The sum of (x - m) or of (x - m)^2, four accumulators wide.
KV_INLINE float row_moment(const float *x, size_t n, float m, int squared) {
  vf s[4] = {v_splat(0.0f), v_splat(0.0f), v_splat(0.0f), v_splat(0.0f)};
  size_t i = 0;
  for (; i + 4 * KV_WIDTH <= n; i += 4 * KV_WIDTH) {
    for (int k = 0; k < 4; k++) {
      const vf d = v_load(x + i + k * KV_WIDTH) - m;
      s[k] = squared ? v_fma(d, d, s[k]) : s[k] + d;
    }
  }
  for (int k = 0; i < n; i += KV_WIDTH, k = (k + 1) & 3) {
    const size_t count = n - i < KV_WIDTH ? n - i : KV_WIDTH;
    const vf d = lanes_below(v_load_n(x + i, count) - m, count, 0.0f);
    s[k] = squared ? v_fma(d, d, s[k]) : s[k] + d;
  }
  return v_sum((s[0] + s[1]) + (s[2] + s[3]));
}

KV_INLINE void normalize(const float *x, const float *gamma, const float *beta, float *y, size_t i, size_t count, vf mean, vf scale) {
  vf v = (v_load_n(x + i, count) - mean) * scale;
  if (gamma) v *= v_load_n(gamma + i, count);
  if (beta) v += v_load_n(beta + i, count);
  v_store_n(y + i, v, count);
}

static void layer_norm(const kiln_layer_norm_params *p, const float *x, const float *gamma, const float *beta, float *y, int64_t rows) {
  const size_t n = (size_t)p->n;
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const float mean = p->root_mean_square ? 0.0f : row_moment(x, n, 0.0f, 0) / (float)n;
    const float variance = row_moment(x, n, mean, 1) / (float)n;
    const vf m = v_splat(mean), scale = v_splat(1.0f / sqrtf(variance + p->epsilon));
    size_t i = 0;
    if (gamma && beta) {
      for (; i + KV_WIDTH <= n; i += KV_WIDTH) {
        v_store(y + i, v_fma((v_load(x + i) - m) * scale, v_load(gamma + i), v_load(beta + i)));
      }
    }
    for (; i + KV_WIDTH <= n; i += KV_WIDTH) normalize(x, gamma, beta, y, i, KV_WIDTH, m, scale);
    if (i < n) normalize(x, gamma, beta, y, i, n - i, m, scale);
  }
}

static void affine(const kiln_affine_params *p, const float *x, const float *scale, const float *shift, float *y, int64_t rows) {
  const size_t n = (size_t)p->channels;
  const int active = p->activation.function != KILN_FN_identity;
  const vf one = v_splat(1.0f), zero = v_splat(0.0f);
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    size_t i = 0;
    for (; i + KV_WIDTH <= n; i += KV_WIDTH) {
      v_store(y + i, v_fma(v_load(x + i), scale ? v_load(scale + i) : one, shift ? v_load(shift + i) : zero));
    }
    if (i < n) {
      const size_t count = n - i;
      const vf s = scale ? v_load_n(scale + i, count) : one, t = shift ? v_load_n(shift + i, count) : zero;
      v_store_n(y + i, v_fma(v_load_n(x + i, count), s, t), count);
    }
    if (active) kiln_apply_f32(p->activation, y, n);
  }
}

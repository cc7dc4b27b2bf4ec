// Reductions and arg-max in f32 of one tier. Included after norm.inc.h.

KV_INLINE float identity_of(int op) {
  return op == KILN_REDUCE_MAX ? -INFINITY : op == KILN_REDUCE_MIN ? INFINITY : op == KILN_REDUCE_PROD ? 1.0f : 0.0f;
}
KV_INLINE vf combine(int op, vf a, vf b) {
  return op == KILN_REDUCE_MAX ? v_max_nan(a, b) : op == KILN_REDUCE_MIN ? v_min_nan(a, b) : op == KILN_REDUCE_PROD ? a * b : a + b;
}

// One row: at most `BLOCK_VECTORS` additions per accumulator and block, block sums in double.
#define BLOCK_VECTORS 64
KV_INLINE float reduce_row(int op, const float *x, size_t n) {
  const vf unit = v_splat(identity_of(op));
  vf s[4] = {unit, unit, unit, unit};
  double total = 0;
  size_t i = 0;
  while (i + 4 * KV_WIDTH <= n) {
    size_t end = i + 4 * KV_WIDTH * BLOCK_VECTORS;
    if (end > n) end = n;
    for (; i + 4 * KV_WIDTH <= end; i += 4 * KV_WIDTH) {
      for (int k = 0; k < 4; k++) s[k] = combine(op, v_load(x + i + k * KV_WIDTH), s[k]);
    }
    if (op == KILN_REDUCE_SUM && i + 4 * KV_WIDTH <= n) {
      total += v_sum((s[0] + s[1]) + (s[2] + s[3]));
      for (int k = 0; k < 4; k++) s[k] = unit;
    }
  }
  for (int k = 0; i < n; i += KV_WIDTH, k = (k + 1) & 3) {
    const size_t count = n - i < KV_WIDTH ? n - i : KV_WIDTH;
    s[k] = combine(op, lanes_below(v_load_n(x + i, count), count, identity_of(op)), s[k]);
  }
  const vf all = combine(op, combine(op, s[0], s[1]), combine(op, s[2], s[3]));
  if (op == KILN_REDUCE_MAX) return v_reduce_max(all);
  if (op == KILN_REDUCE_MIN) return v_reduce_min(all);
  if (op == KILN_REDUCE_SUM) return (float)(total + v_sum(all));
  float product = 1.0f;
  for (int k = 0; k < KV_WIDTH; k++) product *= all[k];
  return product;
}

static float row_logsumexp(const float *x, size_t n) {
  const float m = row_max(x, n);
  if (m == INFINITY || m == -INFINITY) return n == 0 ? -INFINITY : reduce_row(KILN_REDUCE_MAX, x, n);
  return m + logf(row_exp(x, NULL, n, m));
}

static void reduce_rows(int32_t op, const float *x, float *y, int64_t rows, int64_t length) {
  const size_t n = (size_t)length;
  for (int64_t r = 0; r < rows; r++, x += n) {
    switch (op) {
      case KILN_REDUCE_SUM: y[r] = reduce_row(KILN_REDUCE_SUM, x, n); break;
      case KILN_REDUCE_MEAN: y[r] = reduce_row(KILN_REDUCE_SUM, x, n) / (float)n; break;
      case KILN_REDUCE_MAX: y[r] = reduce_row(KILN_REDUCE_MAX, x, n); break;
      case KILN_REDUCE_MIN: y[r] = reduce_row(KILN_REDUCE_MIN, x, n); break;
      case KILN_REDUCE_PROD: y[r] = reduce_row(KILN_REDUCE_PROD, x, n); break;
      default: y[r] = row_logsumexp(x, n); break;
    }
  }
}

// `width` vectors of columns at once (the last with `count` lanes); sums in two levels of 64 rows.
KV_INLINE void column_block(int op, const float *x, float *y, int64_t axis, int64_t inner, int width, size_t count, float divisor) {
  const vf unit = v_splat(identity_of(op));
  vf total[4] = {unit, unit, unit, unit};
  for (int64_t a = 0; a < axis;) {
    const int64_t end = axis - a < 64 ? axis : a + 64;
    vf s[4] = {unit, unit, unit, unit};
    for (; a < end; a++) {
      for (int k = 0; k < width; k++) {
        const float *from = x + a * inner + k * KV_WIDTH;
        s[k] = combine(op, k == width - 1 && count < KV_WIDTH ? v_load_n(from, count) : v_load(from), s[k]);
      }
    }
    for (int k = 0; k < width; k++) total[k] = combine(op, s[k], total[k]);
  }
  for (int k = 0; k < width; k++) v_store_n(y + k * KV_WIDTH, divisor == 1.0f ? total[k] : total[k] / divisor, k == width - 1 ? count : KV_WIDTH);
}

KV_INLINE void columns_of(int op, const float *x, float *y, int64_t axis, int64_t inner, int64_t first, int64_t last, float divisor) {
  int64_t c = first;
  for (; c + 4 * KV_WIDTH <= last; c += 4 * KV_WIDTH) column_block(op, x + c, y + c, axis, inner, 4, KV_WIDTH, divisor);
  for (; c < last; c += KV_WIDTH) {
    column_block(op, x + c, y + c, axis, inner, 1, last - c < KV_WIDTH ? (size_t)(last - c) : KV_WIDTH, divisor);
  }
}

static void reduce_columns(int32_t op, const float *x, float *y, int64_t axis, int64_t inner, int64_t first, int64_t last) {
  switch (op) {
    case KILN_REDUCE_SUM: columns_of(KILN_REDUCE_SUM, x, y, axis, inner, first, last, 1.0f); return;
    case KILN_REDUCE_MEAN: columns_of(KILN_REDUCE_SUM, x, y, axis, inner, first, last, (float)axis); return;
    case KILN_REDUCE_MAX: columns_of(KILN_REDUCE_MAX, x, y, axis, inner, first, last, 1.0f); return;
    case KILN_REDUCE_MIN: columns_of(KILN_REDUCE_MIN, x, y, axis, inner, first, last, 1.0f); return;
    case KILN_REDUCE_PROD: columns_of(KILN_REDUCE_PROD, x, y, axis, inner, first, last, 1.0f); return;
    default: break;
  }
  for (int64_t c = first; c < last; c += KV_WIDTH) {
    const size_t count = last - c < KV_WIDTH ? (size_t)(last - c) : KV_WIDTH;
    vf m = v_splat(-INFINITY), sum = v_splat(0.0f);
    for (int64_t a = 0; a < axis; a++) m = v_max_nan(v_load_n(x + a * inner + c, count), m);
    // Infinite maxima stand for themselves.
    const vf base = v_abs(m) == v_splat(INFINITY) ? v_splat(0.0f) : m;
    for (int64_t a = 0; a < axis; a++) sum += v_exp(v_load_n(x + a * inner + c, count) - base);
    v_store_n(y + c, v_abs(m) == v_splat(INFINITY) ? m : m + v_log(sum), count);
  }
}

static int64_t arg_row(const float *x, int64_t length, int32_t smallest) {
  const size_t n = (size_t)length;
  const float best = smallest ? reduce_row(KILN_REDUCE_MIN, x, n) : reduce_row(KILN_REDUCE_MAX, x, n);
  const vf b = v_splat(best);
  size_t i = 0;
  for (; i + KV_WIDTH <= n; i += KV_WIDTH) {
    const vf v = v_load(x + i);
    if (v_any(best != best ? v != v : v == b)) break;
  }
  for (; i < n; i++) if (best != best ? x[i] != x[i] : x[i] == best) return (int64_t)i;
  return 0;
}

static void arg_columns(const float *x, int32_t *y, int64_t axis, int64_t inner, int64_t first, int64_t last, int32_t smallest) {
  for (int64_t c = first; c < last; c += KV_WIDTH) {
    const size_t count = last - c < KV_WIDTH ? (size_t)(last - c) : KV_WIDTH;
    vf best = v_splat(0.0f);
    vi index = (vi)0;
    for (int64_t a = 0; a < axis; a++) {
      vf v = v_load_n(x + a * inner + c, count);
      if (smallest) v = -v;
      const vi better = a == 0 ? (vi)-1 : (v > best) | ((v != v) & (best == best));
      best = better ? v : best;
      index = better ? (vi)(int32_t)a : index;
    }
    for (size_t k = 0; k < count; k++) y[c - first + (int64_t)k] = index[k];
  }
}

const kiln_norm_tier *KV_NAME(kiln_norm)(void) {
  static const kiln_norm_tier tier = {softmax_rows, softmax_columns, layer_norm, affine, reduce_rows, reduce_columns, arg_row, arg_columns};
  return &tier;
}

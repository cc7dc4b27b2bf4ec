// The f32 functions of one tier: a loop over whole vectors for each function, the tail through one padded vector.
// Included between tier_begin.h and tier_end.h.
#include "vmath.h"
#include "tier.h"

#define LOOP(UNROLL, ...)                                     \
  do {                                                        \
    _Pragma(UNROLL)                                           \
    for (size_t i = 0; i < n; i += KV_WIDTH) { __VA_ARGS__; } \
  } while (0)
#define X v_load(a + (i & ma))
#define Y v_load(b + (i & mb))
// Cheap functions are unrolled, so that a loop over data in cache is bound by loads and stores.
#define CHEAP1(name, ...) case KILN_FN_##name: LOOP("unroll 4", vf x = X; v_store(d + i, __VA_ARGS__)); break;
#define HEAVY1(name, ...) case KILN_FN_##name: LOOP("nounroll", vf x = X; v_store(d + i, __VA_ARGS__)); break;
#define CHEAP2(name, ...) case KILN_FN_##name: LOOP("unroll 4", vf x = X; vf y = Y; v_store(d + i, __VA_ARGS__)); break;
#define BOOLEAN1(name, ...) CHEAP1(name, (vi)(__VA_ARGS__) != 0 ? v_splat(1.0f) : v_splat(0.0f))
#define BOOLEAN2(name, ...) CHEAP2(name, (vi)(__VA_ARGS__) != 0 ? v_splat(1.0f) : v_splat(0.0f))

// Sine, cosine, tangent: lanes too large for the vector reduction, and non-finite ones, go through libm.
KV_INLINE vf trig(vf x, int kind) {
  vf y = v_trig(x, kind);
  const vi far = !(v_abs(x) < 0x1p27f);
  if (__builtin_expect(v_any(far), 0)) {
    for (int i = 0; i < KV_WIDTH; i++) {
      if (far[i]) y[i] = kind == 0 ? sinf(x[i]) : kind == 1 ? cosf(x[i]) : tanf(x[i]);
    }
  }
  return y;
}

KV_INLINE vf elu(vf x, vf alpha) { return x < 0 ? alpha * v_expm1(v_min(v_splat(0.0f), x)) : x; }
KV_INLINE vf clip(vf x, vf low, vf high) { return v_max(low, v_min(high, x)); }

// n is a multiple of KV_WIDTH. v_max(constant, x) and v_min(constant, x) keep a NaN in x.
static void run(int32_t function, const float *p, float *d, const float *a, size_t ma, const float *b, size_t mb,
                const float *c, size_t mc, size_t n) {
  const vf zero = v_splat(0.0f), one = v_splat(1.0f), p0 = v_splat(p[0]), p1 = v_splat(p[1]), p2 = v_splat(p[2]);
  switch (function) {
    CHEAP1(identity, x)
    CHEAP1(abs, v_abs(x))
    CHEAP1(neg, -x)
    HEAVY1(exp, v_exp(x))
    HEAVY1(exp2, v_exp2(x))
    HEAVY1(expm1, v_expm1(x))
    HEAVY1(log, v_log(x))
    HEAVY1(log2, v_log2(x))
    HEAVY1(log10, v_log10(x))
    HEAVY1(log1p, v_log1p(x))
    CHEAP1(sqrt, v_sqrt(x))
    CHEAP1(rsqrt, one / v_sqrt(x))
    CHEAP1(square, x * x)
    CHEAP1(reciprocal, one / x)
    CHEAP1(sign, x > 0 ? one : x < 0 ? -one : x)
    CHEAP1(floor, __builtin_elementwise_floor(x))
    CHEAP1(ceil, __builtin_elementwise_ceil(x))
    CHEAP1(round, __builtin_elementwise_roundeven(x))
    CHEAP1(trunc, __builtin_elementwise_trunc(x))
    HEAVY1(sin, trig(x, 0))
    HEAVY1(cos, trig(x, 1))
    HEAVY1(tan, trig(x, 2))
    HEAVY1(tanh, v_tanh(x))
    HEAVY1(erf, v_erf(x))
    BOOLEAN1(not, x == 0)
    BOOLEAN1(isnan, x != x)
    BOOLEAN1(isinf, v_abs(x) == v_splat(INFINITY))
    BOOLEAN1(isfinite, v_abs(x) < v_splat(INFINITY))
    CHEAP1(relu, v_max(zero, x))
    HEAVY1(sigmoid, v_sigmoid(x))
    HEAVY1(softplus, v_softplus(x))
    CHEAP1(softsign, x / (one + v_abs(x)))
    HEAVY1(silu, v_silu(x))
    HEAVY1(gelu, v_gelu(x))
    HEAVY1(gelu_tanh, v_gelu_tanh(x))
    HEAVY1(mish, v_mish(x))
    HEAVY1(log_sigmoid, -v_softplus(-x))
    HEAVY1(selu, 1.05070098f * elu(x, v_splat(1.67326324f)))
    CHEAP1(hard_swish, x * (clip(x + 3.0f, zero, v_splat(6.0f)) * (1.0f / 6.0f)))
    HEAVY1(tanh_shrink, x - v_tanh(x))
    CHEAP1(sparse_plus, x <= -1.0f ? zero : x < 1.0f ? 0.25f * (x + 1.0f) * (x + 1.0f) : x)
    CHEAP1(sparse_sigmoid, clip(0.5f * (x + 1.0f), zero, one))
    CHEAP1(clip, v_min(p1, v_max(p0, x)))
    CHEAP1(leaky_relu, x < 0 ? p0 * x : x)
    HEAVY1(elu, elu(x, p0))
    HEAVY1(celu, x < 0 ? p0 * v_expm1(v_min(zero, x) / p0) : x)
    CHEAP1(hard_sigmoid, clip(v_fma(p0, x, p1), zero, one))
    CHEAP1(soft_shrink, x > p0 ? x - p0 : x < -p0 ? x + p0 : (x != x ? x : zero))
    CHEAP1(hard_shrink, v_abs(x) <= p0 ? zero : x)
    CHEAP1(squareplus, 0.5f * (x + v_sqrt(v_fma(x, x, p0))))
    CHEAP1(threshold, x <= p0 ? p1 : x)
    CHEAP1(general_relu, x >= p2 ? p2 : x >= p1 ? x : p0 * (x - p1))
    CHEAP1(affine, v_fma(p0, x, p1))
    CHEAP2(add, x + y)
    CHEAP2(sub, x - y)
    CHEAP2(mul, x * y)
    CHEAP2(div, x / y)
    CHEAP2(max, v_max_nan(x, y))
    CHEAP2(min, v_min_nan(x, y))
    CHEAP2(squared_difference, (x - y) * (x - y))
    CHEAP2(prelu, x < 0 ? x * y : x)
    BOOLEAN2(equal, x == y)
    BOOLEAN2(not_equal, x != y)
    BOOLEAN2(less, x < y)
    BOOLEAN2(less_equal, x <= y)
    BOOLEAN2(greater, x > y)
    BOOLEAN2(greater_equal, x >= y)
    BOOLEAN2(and, (x != 0) & (y != 0))
    BOOLEAN2(or, (x != 0) | (y != 0))
    BOOLEAN2(xor, (x != 0) ^ (y != 0))
    case KILN_FN_select:
      LOOP("unroll 4", vf x = X; v_store(d + i, x != 0 ? Y : v_load(c + (i & mc))));
      break;
    default: {
      const kiln_ew_source sa = {a, ma}, sb = {b, mb};
      kiln_ew_f32_libm(function, d, sa, sb, n);
    }
  }
}

static void apply_f32(int32_t function, const float *p, float *dst, kiln_ew_source a, kiln_ew_source b, kiln_ew_source c, size_t n) {
  const size_t whole = n & ~(size_t)(KV_WIDTH - 1), rest = n - whole;
  if (whole) run(function, p, dst, a.data, a.mask, b.data, b.mask, c.data, c.mask, whole);
  if (!rest) return;
  float buffer[3][KV_WIDTH], result[KV_WIDTH];
  const kiln_ew_source source[3] = {a, b, c};
  for (int k = 0; k < 3; k++) {
    if (source[k].data) v_store(buffer[k], v_load_n((const float *)source[k].data + (whole & source[k].mask), rest));
  }
  run(function, p, result, buffer[0], ~(size_t)0, buffer[1], ~(size_t)0, buffer[2], ~(size_t)0, KV_WIDTH);
  v_store_n(dst + whole, v_load(result), rest);
}
#undef X
#undef Y

// The functions that follow products, without a call for each row; tails are done under a mask.
#define ROWS1(name, ...)                                                         \
  case KILN_FN_##name:                                                           \
    for (size_t r = 0; r < rows; r++) {                                          \
      float *at = c + r * stride;                                                \
      size_t i = 0;                                                              \
      for (; i + KV_WIDTH <= columns; i += KV_WIDTH) {                           \
        const vf x = v_load(at + i);                                             \
        v_store(at + i, __VA_ARGS__);                                            \
      }                                                                          \
      if (i < columns) {                                                         \
        const vf x = v_load_n(at + i, columns - i);                              \
        v_store_n(at + i, __VA_ARGS__, columns - i);                             \
      }                                                                          \
    }                                                                            \
    break;

static void rows_f32(int32_t function, const float *p, float *c, size_t rows, size_t columns, size_t stride) {
  switch (function) {
    ROWS1(sigmoid, v_sigmoid(x))
    ROWS1(tanh, v_tanh(x))
    ROWS1(silu, v_silu(x))
    ROWS1(gelu, v_gelu(x))
    ROWS1(gelu_tanh, v_gelu_tanh(x))
    default:
      for (size_t r = 0; r < rows; r++) {
        const kiln_ew_source row = {c + r * stride, ~(size_t)0}, none = {0, 0};
        apply_f32(function, p, c + r * stride, row, none, none, columns);
      }
  }
}

KV_INLINE void affine_at(float *to, const float *a, const float *scale, const float *shift, bool relu, size_t n) {
  vf x = v_load_n(a, n);
  // Rounded twice, as the product and the sum in steps of their own.
  if (scale) x = x * v_load_n(scale, n);
  if (shift) x = x + v_load_n(shift, n);
  v_store(to, relu ? v_max(v_splat(0.0f), x) : x);
}

KV_INLINE void affine_rows(float *to, size_t stride, const float *a, size_t rows, const float *scale, const float *shift, bool relu,
                          size_t n) {
  for (size_t r = 0; r < rows; r++, to += stride, a += n) {
    size_t i = 0;
    for (; i + KV_WIDTH <= n; i += KV_WIDTH)
      affine_at(to + i, a + i, scale ? scale + i : NULL, shift ? shift + i : NULL, relu, KV_WIDTH);
    if (i < n) affine_at(to + i, a + i, scale ? scale + i : NULL, shift ? shift + i : NULL, relu, n - i);
  }
}

static void affine_f32(float *to, size_t stride, const float *a, size_t rows, const float *scale, const float *shift, bool relu,
                       size_t n) {
  if (scale && shift && relu) affine_rows(to, stride, a, rows, scale, shift, true, n);
  else if (scale && !shift && !relu) affine_rows(to, stride, a, rows, scale, NULL, false, n);
  else affine_rows(to, stride, a, rows, scale, shift, relu, n);
}
#include "convert.inc.h"

const kiln_ew_tier *KV_NAME(kiln_ew)(void) {
  static const kiln_ew_tier tier = {apply_f32, rows_f32, affine_f32, load_f32, store_f32};
  return &tier;
}

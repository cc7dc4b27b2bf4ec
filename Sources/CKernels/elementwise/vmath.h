// Elementary functions on vectors of floats, within about 2 ULP where fused multiply-add exists and 4 ULP elsewhere,
// with C's results for NaN, infinities, signed zeros and denormals. Polynomials are minimax fits (relative error
// below 0.3 ULP) over the reduced ranges named beside them. gelu and gelu_tanh are exceptions in relative terms. Included after vec.h.
#ifndef KILN_VMATH_H
#define KILN_VMATH_H

// ln 2 in two parts; the first has 12 significant bits, so that its product with an exponent is exact.
#define KV_LN2_HI 0x1.62e400p-1f
#define KV_LN2_LO 0x1.7f7d1cp-20f

// p * 2^floor(k) for k in [-252, 252], integral but with 16 lanes, rounded once into the denormals.
KV_INLINE vf v_scale(vf p, vf k) {
#if KV_WIDTH == 16
  return (vf)_mm512_scalef_ps((__m512)p, (__m512)k);
#else
  const vi n = v_int_small(k), half = n >> 1;
  const vu low = (vu)half, high = (vu)n - low;
  return p * (vf)((low + 127u) << 23) * (vf)((high + 127u) << 23);
#endif
}

// (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2.
KV_INLINE vf v_exp_poly(vf r) {
  vf q = v_splat(0.00138142193f);
  q = v_fma(q, r, v_splat(0.00836889911f));
  q = v_fma(q, r, v_splat(0.0416684076f));
  q = v_fma(q, r, v_splat(0.166665196f));
  return v_fma(q, r, v_splat(0.49999994f));
}

// e^x = result * 2^k as v_scale takes them, result in [0.7, 2], for x up to 89; x below -126 counts as -126 (where e^x rounds to 0).
KV_INLINE vf v_exp_parts(vf x, vf *k) {
  x = v_max(v_splat(-126.0f), x);
#if KV_WIDTH == 16
  // k counts sixteenths, which lie in the last bits of the sum: they choose 2^(k - floor(k)) from a table in one register.
  const vf table = {1, 1.04427378f, 1.09050773f, 1.13878863f, 1.18920712f, 1.24185781f, 1.29683955f, 1.35425555f,
                    1.41421356f, 1.47682615f, 1.54221083f, 1.61049033f, 1.68179283f, 1.75625216f, 1.83400809f, 1.91520656f};
  const vf sum = v_fma(x, v_splat(1.44269504f), v_splat(0x1.8p19f));
  *k = sum - 0x1.8p19f;
  vf s = v_fma(*k, v_splat(-KV_LN2_HI), x);
  s = v_fma(*k, v_splat(-KV_LN2_LO), s);
  const vf power = (vf)_mm512_permutexvar_ps((__m512i)sum, (__m512)table);
  return v_fma(power, v_fma(s * s, v_fma(s, v_splat(0.166666667f), v_splat(0.5f)), s), power);
#endif
  *k = v_rint_small(x * 1.44269504f);
  vf r = v_fma(*k, v_splat(-KV_LN2_HI), x);
  r = v_fma(*k, v_splat(-KV_LN2_LO), r);
  return v_fma(r * r, v_exp_poly(r), r) + 1.0f;
}

// For x up to 89.
KV_INLINE vf v_exp_bounded(vf x) {
  vf k, p = v_exp_parts(x, &k);
  return v_scale(p, k);
}

KV_INLINE vf v_exp(vf x) { return v_exp_bounded(v_min(v_splat(89.0f), x)); }

KV_INLINE vf v_exp2(vf x) {
  x = v_max(v_splat(-160.0f), v_min(v_splat(129.0f), x));
  const vf k = v_rint_small(x), r = (x - k) * 0.693147181f;
  return v_scale(v_fma(r * r, v_exp_poly(r), r) + 1.0f, k);
}

// e^x - 1 for x <= 88; relative precision is kept for small |x|.
KV_INLINE vf v_expm1_core(vf x) {
  x = v_max(v_splat(-18.0f), x);
  const vf k = v_rint_small(x * 1.44269504f);
  vf r = v_fma(k, v_splat(-KV_LN2_HI), x);
  r = v_fma(k, v_splat(-KV_LN2_LO), r);
  vf q = v_splat(0.000198458976f);
  q = v_fma(q, r, v_splat(0.00139408931f));
  q = v_fma(q, r, v_splat(0.00833338965f));
  q = v_fma(q, r, v_splat(0.0416663587f));
  q = v_fma(q, r, v_splat(0.166666657f));
  q = v_fma(q, r, v_splat(0.5f));
  const vf p = v_fma(r * r, q, r), t = (vf)(((vu)v_int_small(k) + 127u) << 23);
  return v_fma(t, p, t - 1.0f);
}

KV_INLINE vf v_expm1(vf x) {
  const vf small = v_min(v_splat(88.0f), x);
  const vf y = v_expm1_core(small);
  return x > 88.0f ? v_exp(x) : x == 0 ? x : y;
}

// The mantissa less 1, in [-1/3, 1/3], and the exponent of positive normal x.
KV_INLINE vf v_log_split(vf x, vf *exponent) {
  const vi bits = (vi)x - 0x3f2aaaab;
  *exponent = __builtin_convertvector(bits >> 23, vf);
  return (vf)((bits & 0x007fffff) + 0x3f2aaaab) - 1.0f;
}

// log(1 + f) - f on [-1/3, 1/3].
KV_INLINE vf v_log_tail(vf f) {
  vf q = v_splat(-0.128916219f);
  q = v_fma(q, f, v_splat(0.13984488f));
  q = v_fma(q, f, v_splat(-0.121842735f));
  q = v_fma(q, f, v_splat(0.140058592f));
  q = v_fma(q, f, v_splat(-0.166804865f));
  q = v_fma(q, f, v_splat(0.200104073f));
  q = v_fma(q, f, v_splat(-0.249997973f));
  q = v_fma(q, f, v_splat(0.333332151f));
  q = v_fma(q, f, v_splat(-0.5f));
  return q * (f * f);
}

KV_INLINE vf v_log_special(vf x, vf y) {
  y = x == 0 ? v_splat(-INFINITY) : y;
  y = x == v_splat(INFINITY) ? x : y;
  return !(x >= 0) ? v_splat(NAN) : y;
}

// exponent * scale(ln 2) + log(m) * scale for the three bases: `high` and `low` sum to the base's log of 2.
KV_INLINE vf v_log_base(vf x, float high, float low, float unit) {
  const vi tiny = x < FLT_MIN;
  vf e, f = v_log_split(tiny ? x * 8388608.0f : x, &e);
  e = tiny ? e - 23.0f : e;
  const vf tail = v_log_tail(f);
  vf y;
  if (unit == 1.0f) {
    y = v_fma(e, v_splat(high), f + v_fma(e, v_splat(low), tail));
  } else {
    y = v_fma(e, v_splat(high), v_fma(f + tail, v_splat(unit), e * low));
  }
  return v_log_special(x, y);
}
KV_INLINE vf v_log(vf x) { return v_log_base(x, KV_LN2_HI, KV_LN2_LO, 1.0f); }
KV_INLINE vf v_log2(vf x) { return v_log_base(x, 1.0f, 0.0f, 1.44269504f); }
KV_INLINE vf v_log10(vf x) { return v_log_base(x, 0x1.344000p-2f, 0x1.3509f8p-18f, 0.434294482f); }

// log(1 + x) for x > -1 and finite: the rounding error of 1 + x is added back to the reduced mantissa.
KV_INLINE vf v_log1p_core(vf x) {
  const vf u = 1.0f + x;
  const vf error = x > 1.0f ? 1.0f - (u - x) : x - (u - 1.0f);
  vf e, f = v_log_split(u, &e);
  const vf inverse = (vf)((127u << 23) - ((vu)v_int_small(e) << 23));
  f = e < 126.0f ? v_fma(error, inverse, f) : f;
  return v_fma(e, v_splat(KV_LN2_HI), f + v_fma(e, v_splat(KV_LN2_LO), v_log_tail(f)));
}

KV_INLINE vf v_log1p(vf x) {
  vf y = v_log1p_core(x);
  y = v_abs(x) < 0x1p-25f ? x : y;
  y = x == -1.0f ? v_splat(-INFINITY) : y;
  y = x == v_splat(INFINITY) ? x : y;
  return !(x >= -1.0f) ? v_splat(NAN) : y;
}

// (e^2|x| - 1) / (e^2|x| + 1); at |x| = 10 this is 1 to the last bit.
KV_INLINE vf v_tanh(vf x) {
  const vf e = v_expm1_core(v_min(v_splat(20.0f), 2.0f * v_abs(x)));
  return v_copysign(e / (e + 2.0f), x);
}

// 1 / (1 + exp(-x)); results below the smallest normal number are 0.
KV_INLINE vf v_sigmoid(vf x) { return 1.0f / (1.0f + v_exp(-x)); }

// x / (1 + exp(-x)); 0 below -88.7, where x * sigmoid(x) is about -2^-121.
KV_INLINE vf v_silu(vf x) { return v_max(v_splat(-126.0f), x) / (1.0f + v_exp(-x)); }

// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)).
KV_INLINE vf v_softplus(vf x) {
  const vf e = v_exp(-v_abs(x)), l = v_log1p_core(e);
  return (0 > x ? v_splat(0.0f) : x) + (e < 0x1p-25f ? e : l);
}

// x * tanh(softplus(x)) = x * n / (n + 2), n = e^x (e^x + 2); scaled last, as in silu.
KV_INLINE vf v_mish(vf x) {
  vf k, p = v_exp_parts(v_min(v_splat(20.0f), x), &k);
  const vf e = v_scale(p, k), m = e + 2.0f;
  const vf bounded = v_max(v_splat(-126.0f), x);
  return v_scale(bounded * (p * m / v_fma(e, m, v_splat(2.0f))), k);
}

// Q(t) = P(Z > t) for a standard normal Z and t >= 0, as result * 2^k. The fit of Q(t) exp(t^2 / 2) by a quotient of
// polynomials with positive coefficients holds on [0, 14.6], beyond which Q is 0 in single precision.
// half_square = t^2 / 2.
KV_INLINE vf v_normal_tail(vf t, vf half_square, vf *k) {
  vf p = v_splat(0.00412385212f), q = v_splat(0.0103368461f);
  q = v_fma(q, t, v_splat(0.101985879f));
  p = v_fma(p, t, v_splat(0.0406839326f));
  q = v_fma(q, t, v_splat(0.469867319f));
  p = v_fma(p, t, v_splat(0.183385387f));
  q = v_fma(q, t, v_splat(1.20312679f));
  p = v_fma(p, t, v_splat(0.438497484f));
  q = v_fma(q, t, v_splat(1.67487991f));
  p = v_fma(p, t, v_splat(0.5f));
  q = v_fma(q, t, v_splat(1.0f));
  return p / q * v_exp_parts(-half_square, k);
}

// x (0.5 + h), h = P(Z <= x) - 0.5 = x P(x^2) / Q(x^2) for |x| <= 5.5, beyond which h rounds to a half. The error of h is about
// 1e-7, as that of the formula 0.5 x (1 + erf(x / sqrt(2))) in float32: absolute, not relative, where x is far below 0.
KV_INLINE vf v_gelu(vf x) {
  const vf t = v_max(v_splat(-5.5f), v_min(v_splat(5.5f), x)), s = t * t;
  vf p = v_splat(2.27546622e-08f), q = v_splat(1.19762331e-06f);
  q = v_fma(q, s, v_splat(7.36292932e-05f));
  p = v_fma(p, s, v_splat(6.35175684e-06f));
  q = v_fma(q, s, v_splat(0.00188413006f));
  p = v_fma(p, s, v_splat(0.000168769184f));
  q = v_fma(q, s, v_splat(0.0286427345f));
  p = v_fma(p, s, v_splat(0.00467692735f));
  q = v_fma(q, s, v_splat(0.251508147f));
  p = v_fma(p, s, v_splat(0.0338471532f));
  q = v_fma(q, s, v_splat(1.0f));
  p = v_fma(p, s, v_splat(0.398942232f));
  const vf h = v_max(v_splat(-0.5f), t * p / q);
  return v_max(v_splat(-1e30f), x) * (0.5f + h);
}

// 0.5 x (1 + tanh(z)) = x sigmoid(2 z), z = sqrt(2 / pi) (x + 0.044715 x^3). The relative error
// grows down the negative tail with the rounding of z (about |z| ULP); the absolute error stays below 1e-7 there.
KV_INLINE vf v_gelu_tanh(vf x) {
  const vf bounded = v_max(v_splat(-30.0f), v_min(v_splat(30.0f), x));
  const vf z = 1.59576912f * bounded * v_fma(0.044715f * bounded, bounded, v_splat(1.0f));
  const vf y = (0 > x ? bounded : x) * v_sigmoid(z);
  return x != x ? x : y;
}

// x + x P(x^2) below 0.93 and 1 - 2 Q(sqrt(2) |x|) above.
KV_INLINE vf v_erf(vf x) {
  const vf a = v_min(v_splat(10.0f), v_abs(x)), s = a * a;
  vf p = v_splat(8.29878045e-05f);
  p = v_fma(p, s, v_splat(-0.000812567887f));
  p = v_fma(p, s, v_splat(0.00519951759f));
  p = v_fma(p, s, v_splat(-0.0268587824f));
  p = v_fma(p, s, v_splat(0.112836845f));
  p = v_fma(p, s, v_splat(-0.376126319f));
  p = v_fma(p, s, v_splat(0.128379166f));
  vf k, q = v_normal_tail(1.41421356f * a, s, &k);
  const vf far = v_copysign(v_fma(-2.0f * q, v_scale(v_splat(1.0f), k), v_splat(1.0f)), x);
  return a < 0.93f ? v_fma(x, p, x) : far;
}

// Sine and cosine: x less a multiple of pi/2, reduced in double (pi/2 in two parts, the first of 33 bits) for
// |x| < 2^27. `kind`: 0 sine, 1 cosine, 2 tangent. Lanes with larger |x| are returned as 0, for the caller to replace.
KV_INLINE vf v_trig(vf x, int kind) {
  x = v_abs(x) < 0x1p27f ? x : v_splat(0.0f);
  const vd wide = __builtin_convertvector(x, vd);
  const vd k = (wide * 0.63661977236758134 + 0x1.8p52) - 0x1.8p52;
  const vf r = __builtin_convertvector((wide - k * 1.57079631090164184570) - k * 1.58932547735281966916e-8, vf);
  const vi quadrant = __builtin_convertvector(k, vi);
  const vf s = r * r;
  vf a = v_splat(2.71811859e-06f), b = v_splat(-2.72057264e-07f);
  a = v_fma(a, s, v_splat(-0.000198393114f));
  b = v_fma(b, s, v_splat(2.47994594e-05f));
  a = v_fma(a, s, v_splat(0.00833332911f));
  b = v_fma(b, s, v_splat(-0.00138888834f));
  a = v_fma(a, s, v_splat(-0.166666672f));
  b = v_fma(b, s, v_splat(0.0416666679f));
  const vf sine = v_fma(a * s, r, r);
  const vf cosine = v_fma(s * s, b, v_fma(s, v_splat(-0.5f), v_splat(1.0f)));
  if (kind == 2) {
    const vi odd = (quadrant & 1) != 0;
    return (odd ? -cosine : sine) / (odd ? sine : cosine);
  }
  const vi turn = quadrant + (kind == 1 ? 1 : 0);
  const vf y = (turn & 1) != 0 ? cosine : sine;
  const vf z = (vf)((vi)y ^ ((turn & 2) << 30));
  return kind == 0 ? (x == 0 ? x : z) : z;
}
#endif

// Vectors of KV_WIDTH floats, written once for all tiers with clang's vector extensions: arithmetic operators work
// lane by lane, a comparison gives -1 or 0 per lane, and `mask ? a : b` selects. Included by tier_begin.h.
#ifndef KILN_VEC_H
#define KILN_VEC_H

typedef float vf __attribute__((ext_vector_type(KV_WIDTH)));
typedef int32_t vi __attribute__((ext_vector_type(KV_WIDTH)));
typedef uint32_t vu __attribute__((ext_vector_type(KV_WIDTH)));
typedef double vd __attribute__((ext_vector_type(KV_WIDTH)));
typedef float vf_any __attribute__((ext_vector_type(KV_WIDTH), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((ext_vector_type(KV_WIDTH), aligned(4), may_alias));

#define KV_INLINE static inline __attribute__((always_inline, unused))
#if KV_WIDTH >= 8 || defined(__ARM_FEATURE_FMA)
#define KV_HAS_FMA 1
#else
#define KV_HAS_FMA 0
#endif

KV_INLINE vf v_load(const float *p) { return *(const vf_any *)p; }
KV_INLINE void v_store(float *p, vf x) { *(vf_any *)p = x; }
KV_INLINE vf v_splat(float x) { return (vf)x; }

// The first n (0...KV_WIDTH) lanes; no byte beyond them is touched. Absent lanes read as 0.
KV_INLINE vf v_load_n(const float *p, size_t n) {
  if (__builtin_constant_p(n) && n == KV_WIDTH) return v_load(p);
#if KV_WIDTH == 16
  return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif KV_WIDTH == 8
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (vf)_mm256_maskload_ps(p, (__m256i)(lane < (vi)(int32_t)n));
#else
  float buffer[KV_WIDTH] = {0};
  for (size_t i = 0; i < n; i++) buffer[i] = p[i];
  return v_load(buffer);
#endif
}

KV_INLINE void v_store_n(float *p, vf x, size_t n) {
  if (__builtin_constant_p(n) && n == KV_WIDTH) {
    v_store(p, x);
    return;
  }
#if KV_WIDTH == 16
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#elif KV_WIDTH == 8
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
  _mm256_maskstore_ps(p, (__m256i)(lane < (vi)(int32_t)n), (__m256)x);
#else
  float buffer[KV_WIDTH];
  v_store(buffer, x);
  for (size_t i = 0; i < n; i++) p[i] = buffer[i];
#endif
}

KV_INLINE vi v_lanes(void) {
#if KV_WIDTH == 16
  return (vi){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif KV_WIDTH == 8
  return (vi){0, 1, 2, 3, 4, 5, 6, 7};
#else
  return (vi){0, 1, 2, 3};
#endif
}

// a * b + c, in one rounding where the tier has fused multiply-add.
KV_INLINE vf v_fma(vf a, vf b, vf c) {
#if KV_HAS_FMA
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

// `a > b ? a : b` and `a < b ? a : b`: b where either is NaN (one instruction on x86).
KV_INLINE vf v_max(vf a, vf b) { return a > b ? a : b; }
KV_INLINE vf v_min(vf a, vf b) { return a < b ? a : b; }
// NaN where either is NaN.
KV_INLINE vf v_max_nan(vf a, vf b) { return a != a ? a : v_max(a, b); }
KV_INLINE vf v_min_nan(vf a, vf b) { return a != a ? a : v_min(a, b); }
KV_INLINE vf v_abs(vf x) { return (vf)((vi)x & 0x7fffffff); }
KV_INLINE vf v_copysign(vf magnitude, vf sign) {
  return (vf)(((vi)magnitude & 0x7fffffff) | ((vi)sign & (vi)(int32_t)0x80000000));
}
KV_INLINE vf v_sqrt(vf x) { return __builtin_elementwise_sqrt(x); }

// Nearest integer, halves to even, for |x| < 2^22.
KV_INLINE vf v_rint_small(vf x) {
#if KV_WIDTH >= 8
  return __builtin_elementwise_roundeven(x);
#else
  return (x + 12582912.0f) - 12582912.0f;
#endif
}
// The integer that an integral |x| < 2^22 holds; any value, without undefined behaviour, for other x.
KV_INLINE vi v_int_small(vf x) { return (vi)((vu)(x + 12582912.0f) - 0x4b400000u); }

KV_INLINE int v_any(vi mask) { return __builtin_reduce_or(mask) != 0; }
KV_INLINE float v_sum(vf x) {
#if KV_WIDTH == 16
  return _mm512_reduce_add_ps((__m512)x);
#elif KV_WIDTH == 8
  __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
#else
  return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}
// The largest and smallest lane; NaN if any lane is NaN. Halves are combined until one lane is left.
typedef float kv_f8 __attribute__((ext_vector_type(8)));
typedef float kv_f4 __attribute__((ext_vector_type(4)));
typedef float kv_f2 __attribute__((ext_vector_type(2)));
KV_INLINE float v_reduce_max(vf x) {
#if KV_WIDTH == 16
  kv_f8 e = ((x.lo > x.hi) | (x.lo != x.lo)) ? x.lo : x.hi;
#elif KV_WIDTH == 8
  kv_f8 e = x;
#endif
#if KV_WIDTH >= 8
  kv_f4 q = ((e.lo > e.hi) | (e.lo != e.lo)) ? e.lo : e.hi;
#else
  kv_f4 q = x;
#endif
  kv_f2 p = ((q.lo > q.hi) | (q.lo != q.lo)) ? q.lo : q.hi;
  return p[0] > p[1] || p[0] != p[0] ? p[0] : p[1];
}
// The largest lane where none is NaN.
KV_INLINE float v_reduce_max_number(vf x) {
#if KV_WIDTH == 16
  const kv_f8 e = x.lo > x.hi ? x.lo : x.hi;
#elif KV_WIDTH == 8
  const kv_f8 e = x;
#endif
#if KV_WIDTH >= 8
  const kv_f4 q = e.lo > e.hi ? e.lo : e.hi;
#else
  const kv_f4 q = x;
#endif
  const kv_f4 p = q > q.zwzw ? q : q.zwzw;
  return p[0] > p[1] ? p[0] : p[1];
}
KV_INLINE float v_reduce_min(vf x) { return -v_reduce_max(-x); }
#endif

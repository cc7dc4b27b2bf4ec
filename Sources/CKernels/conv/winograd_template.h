// Winograd's transforms of one instruction set, in the vocabulary of gemm/simd_*.h.

#include "../gemm/simd_finish.h"

#define A2 (KILN_WINOGRAD_A * KILN_WINOGRAD_A)
#define B2 (KILN_WINOGRAD_B * KILN_WINOGRAD_B)

// r = B' d, for vectors d[0], d[step], ...
INLINE void in_axis4(const V *d, const int step, V *r) {
  const V d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  const V a = SET(KILN_WINOGRAD_A), b = SET(KILN_WINOGRAD_B), a2 = SET(A2), b2 = SET(B2), sum = SET(A2 + B2), product = SET(A2 * B2);
  const V even_a = FNMA(b2, d2, d4), odd_a = FNMA(b2, d1, d3);
  const V even_b = FNMA(a2, d2, d4), odd_b = FNMA(a2, d1, d3);
  r[0] = FMA(product, d0, FNMA(sum, d2, d4));
  r[1] = FMA(a, odd_a, even_a);
  r[2] = FNMA(a, odd_a, even_a);
  r[3] = FMA(b, odd_b, even_b);
  r[4] = FNMA(b, odd_b, even_b);
  r[5] = FMA(product, d1, FNMA(sum, d3, d5));
}

INLINE void in_axis2(const V *d, const int step, V *r) {
  r[0] = SUB(d[0], d[2 * step]);
  r[1] = ADD(d[step], d[2 * step]);
  r[2] = SUB(d[2 * step], d[step]);
  r[3] = SUB(d[step], d[3 * step]);
}

// r = A' m.
INLINE void out_axis4(const V *m, const int step, V *r) {
  const V p = ADD(m[step], m[2 * step]), q = SUB(m[step], m[2 * step]);
  const V s = ADD(m[3 * step], m[4 * step]), t = SUB(m[3 * step], m[4 * step]);
  r[0] = ADD(ADD(m[0], p), s);
  r[1] = FMA(SET(KILN_WINOGRAD_B), t, MUL(SET(KILN_WINOGRAD_A), q));
  r[2] = FMA(SET(B2), s, MUL(SET(A2), p));
  r[3] = FMA(SET(B2 * KILN_WINOGRAD_B), t, FMA(SET(A2 * KILN_WINOGRAD_A), q, m[5 * step]));
}

INLINE void out_axis2(const V *m, const int step, V *r) {
  r[0] = ADD(ADD(m[0], m[step]), m[2 * step]);
  r[1] = SUB(SUB(m[step], m[2 * step]), m[3 * step]);
}

// `size` is m + 2: 6 or 4.
INLINE void in_vector(const kiln_winograd_input *t, const float *corner, float *u, MASK mask, const int size, const bool edge,
                      const bool whole) {
  V d[36], half[36];
  UNROLL for (int i = 0; i < size; i++) {
    UNROLL for (int j = 0; j < size; j++) {
      const float *at = corner + (i * t->in_w + j) * t->channels;
      if (edge && ((uint64_t)(t->y + i) >= (uint64_t)t->in_h || (uint64_t)(t->x + j) >= (uint64_t)t->in_w))
        d[i * size + j] = ZERO;
      else
        d[i * size + j] = whole ? LOAD(at) : MASKED_LOAD(at, mask);
    }
  }
  UNROLL for (int j = 0; j < size; j++) {
    V r[6];
    if (size == 6) in_axis4(d + j, size, r);
    else in_axis2(d + j, size, r);
    UNROLL for (int i = 0; i < size; i++) half[i * size + j] = r[i];
  }
  UNROLL for (int i = 0; i < size; i++) {
    V r[6];
    if (size == 6) in_axis4(half + i * size, 1, r);
    else in_axis2(half + i * size, 1, r);
    UNROLL for (int j = 0; j < size; j++) STORE(u + (i * size + j) * t->u_point, r[j]);
  }
}

INLINE void in_tile(const kiln_winograd_input *t, const int size) {
  const bool edge = t->y < 0 || t->x < 0 || t->y + size > t->in_h || t->x + size > t->in_w;
  const float *corner = t->image + (t->y * t->in_w + t->x) * t->channels;
  int64_t c = 0;
  const MASK none = LOW_LANES(0);
  if (edge) {
    for (; c + LANES <= t->channels; c += LANES) in_vector(t, corner + c, t->u + c, none, size, true, true);
  } else {
    for (; c + LANES <= t->channels; c += LANES) in_vector(t, corner + c, t->u + c, none, size, false, true);
  }
  if (c < t->channels) {
    const MASK mask = LOW_LANES((int32_t)(t->channels - c));
    in_vector(t, corner + c, t->u + c, mask, size, true, false);
  }
}

INLINE void out_vector(const kiln_winograd_output *t, int32_t c, MASK mask, const int size, const bool whole) {
  const int out = size - 2;
  V m[36], half[24], sum[16];
  UNROLL for (int i = 0; i < size * size; i++) m[i] = LOAD(t->m + i * t->m_point + c);
  UNROLL for (int j = 0; j < size; j++) {
    V r[4];
    if (size == 6) out_axis4(m + j, size, r);
    else out_axis2(m + j, size, r);
    UNROLL for (int i = 0; i < out; i++) half[i * size + j] = r[i];
  }
  UNROLL for (int i = 0; i < out; i++) {
    if (size == 6) out_axis4(half + i * size, 1, sum + i * out);
    else out_axis2(half + i * size, 1, sum + i * out);
  }
  if (t->bias) {
    const V bias = whole ? LOAD(t->bias + c) : MASKED_LOAD(t->bias + c, mask);
    UNROLL for (int i = 0; i < out * out; i++) sum[i] = ADD(sum[i], bias);
  }
  if (t->residual) {
    UNROLL for (int i = 0; i < out; i++) {
      UNROLL for (int j = 0; j < out; j++) {
        const float *at = t->residual + i * t->out_row + j * t->out_pixel + c;
        if (i < t->rows && j < t->columns)
          sum[i * out + j] = ADD(sum[i * out + j], whole ? LOAD(at) : MASKED_LOAD(at, mask));
      }
    }
  }
  finish_vectors(sum, out * out, t->finish, t->p);
  UNROLL for (int i = 0; i < out; i++) {
    UNROLL for (int j = 0; j < out; j++) {
      float *at = t->output + i * t->out_row + j * t->out_pixel + c;
      if (i < t->rows && j < t->columns) {
        if (whole) STORE(at, sum[i * out + j]);
        else MASKED_STORE(at, mask, sum[i * out + j]);
      }
    }
  }
}

INLINE void out_tile(const kiln_winograd_output *t, const int size) {
  int32_t c = 0;
  const MASK none = LOW_LANES(0);
  for (; c + LANES <= t->channels; c += LANES) out_vector(t, c, none, size, true);
  if (c < t->channels) out_vector(t, c, LOW_LANES(t->channels - c), size, false);
}

static void input2(const kiln_winograd_input *t) { in_tile(t, 4); }
static void input4(const kiln_winograd_input *t) { in_tile(t, 6); }
static void output2(const kiln_winograd_output *t) { out_tile(t, 4); }
static void output4(const kiln_winograd_output *t) { out_tile(t, 6); }

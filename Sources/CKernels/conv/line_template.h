// The transforms of one instruction set, in the vocabulary of gemm/simd_*.h.

#include "../gemm/simd_finish.h"

// With e[i] = d[i + 1] - s d[i], the rows of B' are even polynomials of e (of d for the point s itself), shared by +q and -q.
INLINE void line_in_vector(const kiln_line_input *t, const float *from, float *u, const MASK mask, const int pairs,
                           const bool edge, const bool whole) {
  const kiln_line_points *c = t->points;
  const int n = 2 * pairs + 3;
  V d[KILN_LINE_MOST_POINTS], e[KILN_LINE_MOST_POINTS - 1];
  UNROLL for (int i = 0; i < n; i++) {
    if (edge && (t->at + i < t->first || t->at + i >= t->end)) d[i] = ZERO;
    else d[i] = whole ? LOAD(from + i * t->pixel) : MASKED_LOAD(from + i * t->pixel, mask);
  }
  const V s = SET(c->s);
  UNROLL for (int i = 0; i < n - 1; i++) e[i] = FNMA(s, d[i], d[i + 1]);
  V zero = MUL(SET(c->all[0]), e[0]), single = MUL(SET(c->all[0]), d[1]), last = MUL(SET(c->all[0]), e[1]);
  UNROLL for (int k = 1; k < pairs + 1; k++) {
    const V a = SET(c->all[k]);
    zero = FMA(a, e[2 * k], zero);
    single = FMA(a, d[2 * k + 1], single);
    last = FMA(a, e[2 * k + 1], last);
  }
  STORE(u, zero);
  STORE(u + (n - 2) * t->u_point, single);
  STORE(u + (n - 1) * t->u_point, last);
  UNROLL for (int j = 0; j < pairs; j++) {
    V low = MUL(SET(c->others[j][0]), e[1]), high = MUL(SET(c->others[j][0]), e[2]);
    UNROLL for (int k = 1; k < pairs; k++) {
      const V a = SET(c->others[j][k]);
      low = FMA(a, e[2 * k + 1], low);
      high = FMA(a, e[2 * k + 2], high);
    }
    const V q = SET(c->q[j]);
    STORE(u + (1 + 2 * j) * t->u_point, FMA(q, low, high));
    STORE(u + (2 + 2 * j) * t->u_point, FNMA(q, low, high));
  }
}

INLINE void line_in_tile(const kiln_line_input *t, const int pairs) {
  const bool edge = t->at < t->first || t->at + 2 * pairs + 3 > t->end;
  const float *corner = t->line + t->at * t->pixel;
  int64_t c = 0;
  const MASK none = LOW_LANES(0);
  if (edge) {
    for (; c + LANES <= t->channels; c += LANES) line_in_vector(t, corner + c, t->u + c, none, pairs, true, true);
  } else {
    for (; c + LANES <= t->channels; c += LANES) line_in_vector(t, corner + c, t->u + c, none, pairs, false, true);
  }
  if (c < t->channels)
    line_in_vector(t, corner + c, t->u + c, LOW_LANES((int32_t)(t->channels - c)), pairs, true, false);
}

INLINE void line_out_vector(const kiln_line_output *t, int32_t c, const MASK mask, const int pairs, const int size,
                            const bool whole) {
  const kiln_line_points *points = t->points;
  const int n = 2 * pairs + 3;
  V sum[KILN_LINE_MOST_POINTS], even[KILN_LINE_MOST_PAIRS], odd[KILN_LINE_MOST_PAIRS];
  UNROLL for (int j = 0; j < pairs; j++) {
    const V a = LOAD(t->m + (1 + 2 * j) * t->m_point + c), b = LOAD(t->m + (2 + 2 * j) * t->m_point + c);
    even[j] = ADD(a, b);
    odd[j] = SUB(a, b);
  }
  const V single = LOAD(t->m + (n - 2) * t->m_point + c);
  UNROLL for (int i = 0; i < size; i++) {
    V x = i == 0 ? ADD(single, LOAD(t->m + c)) : MUL(SET(points->s_power[i]), single);
    if (i == size - 1) x = ADD(x, LOAD(t->m + (n - 1) * t->m_point + c));
    UNROLL for (int j = 0; j < pairs; j++) x = FMA(SET(points->q_power[j][i]), i % 2 ? odd[j] : even[j], x);
    sum[i] = x;
  }
  if (t->bias) {
    const V bias = whole ? LOAD(t->bias + c) : MASKED_LOAD(t->bias + c, mask);
    UNROLL for (int i = 0; i < size; i++) sum[i] = ADD(sum[i], bias);
  }
  if (t->residual) {
    UNROLL for (int i = 0; i < size; i++) {
      const float *at = t->residual + i * t->pixel + c;
      if (i < t->valid) sum[i] = ADD(sum[i], whole ? LOAD(at) : MASKED_LOAD(at, mask));
    }
  }
  finish_vectors(sum, size, t->finish, t->p);
  UNROLL for (int i = 0; i < size; i++) {
    float *at = t->output + i * t->pixel + c;
    if (i < t->valid) {
      if (whole) STORE(at, sum[i]);
      else MASKED_STORE(at, mask, sum[i]);
    }
  }
}

INLINE void line_out_tile(const kiln_line_output *t, const int pairs, const int size) {
  int32_t c = 0;
  const MASK none = LOW_LANES(0);
  for (; c + LANES <= t->channels; c += LANES) line_out_vector(t, c, none, pairs, size, true);
  if (c < t->channels) line_out_vector(t, c, LOW_LANES(t->channels - c), pairs, size, false);
}

static void input7(const kiln_line_input *t) { line_in_tile(t, 2); }
static void input11(const kiln_line_input *t) { line_in_tile(t, 4); }
static void output7(const kiln_line_output *t) {
  switch (t->size) {
    case 3: line_out_tile(t, 2, 3); break;
    case 4: line_out_tile(t, 2, 4); break;
    default: line_out_tile(t, 2, 5); break;
  }
}
static void output11(const kiln_line_output *t) {
  switch (t->size) {
    case 4: line_out_tile(t, 4, 4); break;
    case 5: line_out_tile(t, 4, 5); break;
    case 6: line_out_tile(t, 4, 6); break;
    default: line_out_tile(t, 4, 7); break;
  }
}

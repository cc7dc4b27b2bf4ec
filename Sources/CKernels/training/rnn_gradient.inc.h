// One row of one step of a recurrent cell, backwards, for one tier.
#include "../elementwise/vmath.h"
#include "kiln_rnn.h"
#include "kiln_training.h"

// The slope of a function from its value.
KV_INLINE vf KV_NAME(slope)(const kiln_activation *a, vf y) {
  const vf zero = v_splat(0.0f), one = v_splat(1.0f);
  switch (a->function) {
    case KILN_FN_tanh: return 1.0f - y * y;
    case KILN_FN_sigmoid: return y * (1.0f - y);
    case KILN_FN_relu: return y > 0.0f ? one : zero;
    case KILN_FN_hard_sigmoid: return (y > 0.0f & y < 1.0f) ? v_splat(a->p[0]) : zero;
    case KILN_FN_exp: return y;
    case KILN_FN_softsign: return (1.0f - v_abs(y)) * (1.0f - v_abs(y));
    case KILN_FN_softplus: return -v_expm1(-y);
    case KILN_FN_elu: return y > 0.0f ? one : y + a->p[0];
    case KILN_FN_selu: return y > 0.0f ? v_splat(1.05070099f) : y + 1.75809933f;
    case KILN_FN_leaky_relu: return y > 0.0f ? one : v_splat(a->p[0]);
    case KILN_FN_clip: return (y > a->p[0] & y < a->p[1]) ? one : zero;
    default: return one;
  }
}

static __attribute__((noinline)) void KV_NAME(cell_activation)(const kiln_activation *a, float *x) { kiln_apply_f32(*a, x, KV_WIDTH); }

KV_INLINE vf KV_NAME(cell_value)(const kiln_activation *a, vf x) {
  if (a->function == KILN_FN_tanh) return v_tanh(x);
  if (a->function == KILN_FN_identity) return x;
  float buffer[KV_WIDTH];
  v_store(buffer, x);
  KV_NAME(cell_activation)(a, buffer);
  return v_load(buffer);
}

#define FIELD(g) v_load_n(trace + (g) * units + u, count)
#define PUT(to, g, value) v_store_n((to) + (g) * units + u, value, count)
#define ACT(y) KV_NAME(slope)(activation, y)
#define GATE(y) KV_NAME(slope)(recurrent, y)

KV_INLINE void KV_NAME(rnn_backward_of)(const kiln_rnn_gradient_params *p, const kiln_activation *activation, const kiln_activation *recurrent,
                                        const int cell, const float *trace, float *dh, float *dc, float *dz, float *ds) {
  const int64_t units = p->units;
  for (int64_t u = 0; u < units; u += KV_WIDTH) {
    const size_t count = units - u < KV_WIDTH ? (size_t)(units - u) : KV_WIDTH;
    const vf down = v_load_n(dh + u, count);
    vf rest = v_splat(0.0f);
    if (cell == KILN_RNN_SIMPLE) {
      PUT(dz, 0, down * ACT(FIELD(0)));
    } else if (cell == KILN_RNN_LSTM) {
      const vf i = FIELD(0), f = FIELD(1), g = FIELD(2), o = FIELD(3), before = FIELD(4);
      const vf c = KV_NAME(cell_value)(activation, v_fma(f, before, i * g));
      const vf through = v_fma(down * o, ACT(c), v_load_n(dc + u, count));
      PUT(dz, 3, down * c * GATE(o));
      PUT(dz, 0, through * g * GATE(i));
      PUT(dz, 1, through * before * GATE(f));
      PUT(dz, 2, through * i * ACT(g));
      v_store_n(dc + u, through * f, count);
    } else {
      const vf z = FIELD(0), r = FIELD(1), g = FIELD(2), h = FIELD(cell == KILN_RNN_GRU_RESET_AFTER ? 4 : 3);
      const vf update = down * (h - g) * GATE(z), candidate = down * (1.0f - z) * ACT(g);
      PUT(dz, 0, update);
      PUT(dz, 2, candidate);
      if (cell == KILN_RNN_GRU_RESET_AFTER) {
        const vf reset = candidate * FIELD(3) * GATE(r);
        PUT(dz, 1, reset);
        PUT(ds, 0, update);
        PUT(ds, 1, reset);
        PUT(ds, 2, candidate * r);
      }
      rest = down * z;
    }
    v_store_n(dh + u, rest, count);
  }
}

static void KV_NAME(rnn_backward)(const kiln_rnn_gradient_params *p, const float *trace, float *dh, float *dc, float *dz, float *ds) {
  // The usual functions as constants, so that no vector asks which they are.
  static const kiln_activation tanh_of = {KILN_FN_tanh, {0}}, sigmoid_of = {KILN_FN_sigmoid, {0}};
  const bool usual = p->activation.function == KILN_FN_tanh && (p->recurrent_activation.function == KILN_FN_sigmoid || p->cell == KILN_RNN_SIMPLE);
#define CELL(cell) \
  if (usual) KV_NAME(rnn_backward_of)(p, &tanh_of, &sigmoid_of, cell, trace, dh, dc, dz, ds); \
  else KV_NAME(rnn_backward_of)(p, &p->activation, &p->recurrent_activation, cell, trace, dh, dc, dz, ds)
  switch (p->cell) {
    case KILN_RNN_SIMPLE: CELL(KILN_RNN_SIMPLE); break;
    case KILN_RNN_LSTM: CELL(KILN_RNN_LSTM); break;
    case KILN_RNN_GRU_RESET_AFTER: CELL(KILN_RNN_GRU_RESET_AFTER); break;
    default: CELL(KILN_RNN_GRU_RESET_BEFORE); break;
  }
#undef CELL
}

static void KV_NAME(gru_reset)(const kiln_rnn_gradient_params *p, const float *trace, const float *product, float *dh, float *dz, float *gated) {
  const int64_t units = p->units;
  const kiln_activation *recurrent = &p->recurrent_activation;
  for (int64_t u = 0; u < units; u += KV_WIDTH) {
    const size_t count = units - u < KV_WIDTH ? (size_t)(units - u) : KV_WIDTH;
    const vf r = FIELD(1), h = FIELD(3), down = v_load_n(product + u, count);
    PUT(dz, 1, down * h * GATE(r));
    v_store_n(dh + u, v_fma(down, r, v_load_n(dh + u, count)), count);
    v_store_n(gated + u, r * h, count);
  }
}

#undef FIELD
#undef PUT
#undef ACT
#undef GATE

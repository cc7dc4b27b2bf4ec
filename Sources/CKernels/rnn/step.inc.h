// One recurrent step of one tier. A panel of packed weights yields every gate of its 16 units, so that the activations and
// the new state follow in registers and gates never go through memory. Included between tier_begin.h and tier_end.h.
#include "../elementwise/vmath.h"
#include "tier.h"

#define PANEL KILN_RNN_PANEL
#if KV_WIDTH == 16
#define ROW_BLOCK 8
#else
#define ROW_BLOCK 2
#endif
#define UNROLL _Pragma("clang loop unroll(full)")

typedef int8_t bytes_any __attribute__((ext_vector_type(KV_WIDTH), aligned(1), may_alias));
typedef uint16_t halves_any __attribute__((ext_vector_type(KV_WIDTH), aligned(2), may_alias));

static __attribute__((noinline)) void any_activation(const kiln_activation *a, float *x) { kiln_apply_f32(*a, x, KV_WIDTH); }

KV_INLINE vf activate(const kiln_activation *a, vf x) {
  switch (a->function) {
    case KILN_FN_identity: return x;
    case KILN_FN_tanh: return v_tanh(x);
    case KILN_FN_sigmoid: return v_sigmoid(x);
    case KILN_FN_relu: return v_max(v_splat(0.0f), x);
    case KILN_FN_hard_sigmoid:
      return v_max(v_splat(0.0f), v_min(v_splat(1.0f), v_fma(v_splat(a->p[0]), x, v_splat(a->p[1]))));
    default: {
      float buffer[KV_WIDTH];
      v_store(buffer, x);
      any_activation(a, buffer);
      return v_load(buffer);
    }
  }
}

// Element `at` and those beside it, as floats.
KV_INLINE vf wide(const void *weights, int64_t at, int form) {
  if (form == KILN_RNN_I8) return __builtin_convertvector(*(const bytes_any *)((const int8_t *)weights + at), vf);
  if (form == KILN_RNN_BF16) return (vf)(__builtin_convertvector(*(const halves_any *)((const uint16_t *)weights + at), vu) << 16);
  return v_load((const float *)weights + at);
}

// acc[r][g] += sum over k of h[r][k] * w[k][g]: `rows` x `gates` vectors, the k loop split in `split` chains of
// accumulators to cover the latency of fused multiply-add. `w` counts elements of `form`; `scales` are those of its columns.
KV_INLINE void dot(vf acc[ROW_BLOCK][4], const float *h, int64_t stride, const void *weights, int64_t w, const float *scales,
                   int64_t n, int rows, int gates, int split, int form) {
  vf s[8][ROW_BLOCK][4];
  UNROLL for (int j = 0; j < split; j++) {
    UNROLL for (int r = 0; r < rows; r++) {
      UNROLL for (int g = 0; g < gates; g++) s[j][r][g] = v_splat(0.0f);
    }
  }
  int64_t k = 0;
  for (; k + split <= n; k += split) {
    UNROLL for (int j = 0; j < split; j++) {
      UNROLL for (int g = 0; g < gates; g++) {
        const vf column = wide(weights, w + ((k + j) * gates + g) * PANEL, form);
        UNROLL for (int r = 0; r < rows; r++) s[j][r][g] = v_fma(v_splat(h[r * stride + k + j]), column, s[j][r][g]);
      }
    }
  }
  for (; k < n; k++) {
    UNROLL for (int g = 0; g < gates; g++) {
      const vf column = wide(weights, w + (k * gates + g) * PANEL, form);
      UNROLL for (int r = 0; r < rows; r++) s[0][r][g] = v_fma(v_splat(h[r * stride + k]), column, s[0][r][g]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int g = 0; g < gates; g++) {
      UNROLL for (int j = split / 2; j >= 1; j /= 2) {
        UNROLL for (int i = 0; i < j; i++) s[i][r][g] += s[i + j][r][g];
      }
      acc[r][g] += form == KILN_RNN_I8 ? s[0][r][g] * v_load(scales + g * PANEL) : s[0][r][g];
    }
  }
}

// Which product and update a block does. RESET_BEFORE takes two passes over the units: its gates, then its candidate.
enum { SIMPLE, LSTM, GRU_AFTER, GRU_GATES, GRU_CANDIDATE };
KV_INLINE int gates_of(int kind) { return kind == LSTM ? 4 : kind == GRU_AFTER ? 3 : kind == GRU_GATES ? 2 : 1; }

// The most rows of a block, so that its sums stay in registers.
KV_INLINE int rows_of(int kind) { return ROW_BLOCK == 2 ? 2 : kind == LSTM ? 6 : kind == GRU_AFTER ? 7 : 8; }

// `rows` batch rows from `row` on, KV_WIDTH units from `u` on. `standard`: the activations are tanh and sigmoid.
KV_INLINE void block(const kiln_rnn_step *s, const void *weights, int64_t w, const float *scales, int64_t row, int64_t u, int kind,
                     int rows, int standard, int form) {
  const int64_t units = s->p->units, at = row * s->padded;
  const size_t count = units - u < KV_WIDTH ? (size_t)(units - u) : KV_WIDTH;
  const int gates = gates_of(kind), first = kind == GRU_CANDIDATE ? 2 : 0;
  const int split = rows == 1 ? (gates == 1 ? 8 : gates == 2 ? 4 : 2) : (gates == 1 ? 2 : 1);
  vf acc[ROW_BLOCK][4];
  UNROLL for (int g = 0; g < gates; g++) {
    const vf b = s->bias ? v_load_n(s->bias + (first + g) * units + u, count) : v_splat(0.0f);
    UNROLL for (int r = 0; r < rows; r++) acc[r][g] = b;
  }
  dot(acc, (kind == GRU_CANDIDATE ? s->gated : s->h) + at, s->padded, weights, w, scales, units, rows, gates, split, form);
#define F(v) (standard ? v_sigmoid(v) : activate(&s->p->recurrent_activation, v))
#define A(v) (standard ? v_tanh(v) : activate(&s->p->activation, v))
#define KEEP(field, value) v_store_n(trace + (field) * units, value, count)
#define INPUT(g) v_load_n(x + (g) * units + u, count)
  UNROLL for (int r = 0; r < rows; r++) {
    const float *x = s->x + (row + r) * s->x_stride;
    const int64_t here = at + r * s->padded + u;
    const vf h = v_load(s->h + here);
    float *trace = s->trace ? s->trace + (row + r) * s->trace_stride + u : NULL;
    if (kind == GRU_GATES) {
      const vf z = F(acc[r][0] + INPUT(0)), reset = F(acc[r][1] + INPUT(1));
      v_store(s->z + here, z);
      v_store(s->gated + here, reset * h);
      if (trace) {
        KEEP(0, z);
        KEEP(1, reset);
      }
      continue;
    }
    if (trace) {
      if (kind == LSTM) KEEP(4, v_load(s->c + here));
      KEEP(kind == SIMPLE ? 1 : kind == LSTM ? 5 : kind == GRU_AFTER ? 4 : 3, h);
    }
    if (s->mask && !s->mask[(row + r) * s->mask_stride]) {
      v_store(s->next + here, h);
      const int fields = kind == SIMPLE ? 1 : kind == GRU_CANDIDATE ? 3 : 4;
      if (trace) for (int field = 0; field < fields; field++) KEEP(field, v_splat(0.0f));
      continue;
    }
    if (kind == SIMPLE) {
      const vf y = A(acc[r][0] + INPUT(0));
      v_store(s->next + here, y);
      if (trace) KEEP(0, y);
    } else if (kind == LSTM) {
      const vf i = F(acc[r][0] + INPUT(0)), f = F(acc[r][1] + INPUT(1)), g = A(acc[r][2] + INPUT(2)), o = F(acc[r][3] + INPUT(3));
      const vf c = v_fma(f, v_load(s->c + here), i * g);
      v_store(s->c + here, c);
      v_store(s->next + here, o * A(c));
      if (trace) {
        KEEP(0, i);
        KEEP(1, f);
        KEEP(2, g);
        KEEP(3, o);
      }
    } else if (kind == GRU_AFTER) {
      const vf z = F(acc[r][0] + INPUT(0)), reset = F(acc[r][1] + INPUT(1)), g = A(v_fma(reset, acc[r][2], INPUT(2)));
      v_store(s->next + here, v_fma(z, h, (1.0f - z) * g));
      if (trace) {
        KEEP(0, z);
        KEEP(1, reset);
        KEEP(2, g);
        KEEP(3, acc[r][2]);
      }
    } else {
      const vf z = v_load(s->z + here), g = A(acc[r][0] + INPUT(2));
      v_store(s->next + here, v_fma(z, h, (1.0f - z) * g));
      if (trace) KEEP(2, g);
    }
  }
#undef KEEP
#undef F
#undef A
#undef INPUT
}

#define BLOCK(height)                                                                                                    \
  case height:                                                                                                           \
    for (int v = 0; height <= rows_of(kind) && v < PANEL && u + v < units; v += KV_WIDTH)                                \
      block(s, weights, w + v, scale + v, row, u + v, kind, height, standard, form);                                     \
    break;

// The step's panels for all rows; a panel's weights serve every row before the next panel is read. Steps go through the
// panels in turn up and down: those that the step before used last are still in the first-level cache.
KV_INLINE void all_units(const kiln_rnn_step *s, const void *weights, const float *scales, int kind, int standard, int form) {
  const int64_t units = s->p->units;
  for (int64_t i = s->first; i < s->end; i++) {
    const int64_t panel = s->falling ? s->first + s->end - 1 - i : i, u = panel * PANEL;
    const int64_t w = panel * units * gates_of(kind) * PANEL;
    const float *scale = scales + panel * gates_of(kind) * PANEL;
    // Blocks of nearly equal height: a lone last row would read the panel's weights for little.
    const int64_t most = rows_of(kind), blocks = (s->rows + most - 1) / most;
    for (int64_t n = 0; n < blocks; n++) {
      const int64_t row = s->rows * n / blocks;
      switch (s->rows * (n + 1) / blocks - row) {
        BLOCK(1)
        BLOCK(2)
#if ROW_BLOCK > 2
        BLOCK(3)
        BLOCK(4)
        BLOCK(5)
        BLOCK(6)
        BLOCK(7)
        BLOCK(8)
#endif
        default: break;
      }
    }
  }
}
#undef BLOCK

typedef void (*pass)(const kiln_rnn_step *s, const void *weights, const float *scales);

// By form, then whether the activations are the standard ones.
#define FORM(name, kind, form, standard) \
  static void name(const kiln_rnn_step *s, const void *weights, const float *scales) { all_units(s, weights, scales, kind, standard, form); }
#define PASS(name, kind)                              \
  FORM(name##_f32_any, kind, KILN_RNN_F32, 0)         \
  FORM(name##_f32, kind, KILN_RNN_F32, 1)             \
  FORM(name##_bf16_any, kind, KILN_RNN_BF16, 0)       \
  FORM(name##_bf16, kind, KILN_RNN_BF16, 1)           \
  FORM(name##_i8_any, kind, KILN_RNN_I8, 0)           \
  FORM(name##_i8, kind, KILN_RNN_I8, 1)               \
  static const pass name[3][2] = {{name##_f32_any, name##_f32}, {name##_bf16_any, name##_bf16}, {name##_i8_any, name##_i8}};
PASS(simple, SIMPLE)
PASS(lstm, LSTM)
PASS(gru_after, GRU_AFTER)
PASS(gru_gates, GRU_GATES)
PASS(gru_candidate, GRU_CANDIDATE)

void KV_NAME(kiln_rnn_step)(const kiln_rnn_step *s) {
  const int standard = s->p->activation.function == KILN_FN_tanh
                    && (s->p->recurrent_activation.function == KILN_FN_sigmoid || s->p->cell == KILN_RNN_SIMPLE);
  const int form = s->p->form;
  switch (s->p->cell) {
    case KILN_RNN_SIMPLE: simple[form][standard](s, s->weights, s->scales); break;
    case KILN_RNN_LSTM: lstm[form][standard](s, s->weights, s->scales); break;
    case KILN_RNN_GRU_RESET_AFTER: gru_after[form][standard](s, s->weights, s->scales); break;
    default: {
      const int64_t panels = (s->p->units + PANEL - 1) / PANEL, size = form == KILN_RNN_I8 ? 1 : form == KILN_RNN_BF16 ? 2 : 4;
      gru_gates[form][standard](s, s->weights, s->scales);
      gru_candidate[form][standard](s, (const char *)s->weights + panels * s->p->units * 2 * PANEL * size, s->scales + panels * 2 * PANEL);
    }
  }
}

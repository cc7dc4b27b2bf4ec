// Backpropagation through time: the walk from the last step to the first, for a share of the batch's rows.
#include <string.h>
#include "../include/kiln_gemm.h"
#include "../include/kiln_rnn.h"
#include "choose.h"

static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }
static int64_t width_of(const kiln_rnn_gradient_params *p) { return kiln_rnn_gates(p->cell) * p->units; }
static bool has_own_sums(const kiln_rnn_gradient_params *p) { return p->cell == KILN_RNN_GRU_RESET_AFTER; }

// Scratch of one row of the batch: dz of a step, ds or the product with the candidate's kernel; dh, dc, last.
static int64_t row_floats(const kiln_rnn_gradient_params *p) { return 2 * width_of(p) + 3 * p->units; }

size_t kiln_rnn_gradient_scratch_bytes(const kiln_rnn_gradient_params *p) { return (size_t)(p->batch * padded(row_floats(p)) + 16) * sizeof(float); }

int32_t kiln_rnn_gradient_parts(const kiln_rnn_gradient_params *p, int32_t threads) {
  const int64_t units = (p->batch + 3) / 4;
  return units < threads ? (units < 1 ? 1 : (int32_t)units) : threads;
}

bool kiln_rnn_gradient_knows(int32_t function) {
  switch (function) {
    case KILN_FN_identity: case KILN_FN_tanh: case KILN_FN_sigmoid: case KILN_FN_relu: case KILN_FN_hard_sigmoid: case KILN_FN_exp:
    case KILN_FN_softsign: case KILN_FN_softplus: case KILN_FN_elu: case KILN_FN_selu: case KILN_FN_leaky_relu: case KILN_FN_clip: return true;
    default: return false;
  }
}

// RESET_BEFORE: the kernels of update and reset, then the candidate's.
static int64_t first_rows(const kiln_rnn_gradient_params *p) { return p->cell == KILN_RNN_GRU_RESET_BEFORE ? 2 * p->units : width_of(p); }
static int64_t first_floats(const kiln_rnn_gradient_params *p) { return padded((int64_t)(kiln_gemm_packed_bytes(p->units, first_rows(p)) / sizeof(float))); }

size_t kiln_rnn_gradient_packed_bytes(const kiln_rnn_gradient_params *p) {
  const size_t first = (size_t)first_floats(p) * sizeof(float);
  return p->cell == KILN_RNN_GRU_RESET_BEFORE ? first + kiln_gemm_packed_bytes(p->units, p->units) : first;
}

void kiln_rnn_gradient_pack(const void *params, void *const *operands, int32_t part, int32_t parts) {
  (void)part, (void)parts;
  const kiln_rnn_gradient_params *p = params;
  const float *kernel = operands[0];
  float *packed = operands[1];
  kiln_gemm_pack(kernel, 1, width_of(p), p->units, first_rows(p), packed);
  if (p->cell == KILN_RNN_GRU_RESET_BEFORE) kiln_gemm_pack(kernel + 2 * p->units, 1, width_of(p), p->units, p->units, packed + first_floats(p));
}

// What the walk has in common over its steps.
typedef struct {
  const kiln_rnn_gradient_params *p;
  const kiln_gradient_tier *tier;
  const float *trace, *packed;
  const uint8_t *mask;
  int64_t first, rows;
  float *dz, *ds;           // of all steps
  float *gated;
  float *own_dz, *own_ds;   // of this step, row by row
  float *dh, *dc;
} walk;

static bool is_masked(const walk *w, int64_t row, int64_t at) { return w->mask && !w->mask[(w->first + row) * w->p->time + at]; }

static const float *trace_of(const walk *w, int64_t row, int64_t at) {
  return w->trace + ((w->first + row) * w->p->time + at) * kiln_rnn_trace_fields(w->p->cell) * w->p->units;
}

static void product(const walk *w, const float *a, int64_t depth, int64_t stride, const float *packed, float *residual, float *c) {
  const int64_t units = w->p->units;
  const kiln_gemm_params g = {.m = w->rows, .n = units, .k = depth, .lda = stride, .ldc = units, .ldr = units, .activation = {KILN_FN_identity, {0}}};
  void *const operands[5] = {(void *)a, (void *)packed, NULL, residual, c};
  kiln_gemm_f32(&g, operands, 0, 1);
}

// The gates of one step; dh becomes what reaches the state before it.
static void one_step(const walk *w, int64_t at) {
  const kiln_rnn_gradient_params *p = w->p;
  const int64_t units = p->units, width = width_of(p), floats = kiln_rnn_trace_fields(p->cell) * units;
  for (int64_t row = 0; row < w->rows; row++) {
    float *slope = w->own_dz + row * width, *sums = w->own_ds + row * width;
    if (is_masked(w, row, at)) {
      memset(slope, 0, (size_t)width * sizeof(float));
      memset(sums, 0, (size_t)width * sizeof(float));
      continue;
    }
    const float *trace = trace_of(w, row, at);
    // The step that comes next lies before or behind this one.
    const float *next = p->go_backwards ? trace + floats : trace - floats;
    for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(next + i);
    w->tier->rnn_backward(p, trace, w->dh + row * units, w->dc + row * units, slope, sums);
  }
  if (p->cell == KILN_RNN_GRU_RESET_BEFORE) {
    float *down = w->own_ds;
    product(w, w->own_dz + 2 * units, units, width, w->packed + first_floats(p), NULL, down);
    for (int64_t row = 0; row < w->rows; row++) {
      float *gated = w->gated + ((w->first + row) * p->time + at) * units;
      if (is_masked(w, row, at)) memset(gated, 0, (size_t)units * sizeof(float));
      else w->tier->gru_reset(p, trace_of(w, row, at), down + row * units, w->dh + row * units, w->own_dz + row * width, gated);
    }
  }
  product(w, has_own_sums(p) ? w->own_ds : w->own_dz, first_rows(p), width, w->packed, w->dh, w->dh);
  for (int64_t row = 0; row < w->rows; row++) {
    const int64_t place = ((w->first + row) * p->time + at) * width;
    memcpy(w->dz + place, w->own_dz + row * width, (size_t)width * sizeof(float));
    if (has_own_sums(p)) memcpy(w->ds + place, w->own_ds + row * width, (size_t)width * sizeof(float));
  }
}

void kiln_rnn_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_rnn_gradient_params *p = params;
  const int64_t first = p->batch * part / parts, rows = p->batch * (part + 1) / parts - first;
  const int64_t units = p->units, time = p->time, width = width_of(p);
  if (rows <= 0) return;
  const float *dy = operands[3], *dh_end = operands[4], *dc_end = operands[5];
  float *dh0 = operands[9], *dc0 = operands[10];
  float *scratch = (float *)operands[11] + first * padded(row_floats(p));
  const bool is_lstm = p->cell == KILN_RNN_LSTM;
  const walk w = {
    .p = p, .tier = kiln_gradient_of_tier(), .trace = operands[0], .packed = operands[1], .mask = operands[2], .first = first, .rows = rows,
    .dz = operands[6], .ds = operands[7], .gated = operands[8], .own_dz = scratch, .own_ds = scratch + rows * width,
    .dh = scratch + 2 * rows * width, .dc = scratch + 2 * rows * width + rows * units,
  };
  float *last = w.dc + rows * units;  // of the output that masked steps repeat
  const size_t state = (size_t)(rows * units) * sizeof(float), row_bytes = (size_t)units * sizeof(float);
  memcpy(w.dh, dh_end + first * units, state);
  if (is_lstm) memcpy(w.dc, dc_end + first * units, state);
  if (p->return_sequences) memset(last, 0, state);
  else memcpy(last, dy + first * units, state);
  for (int64_t step = time - 1; step >= 0; step--) {
    const int64_t at = p->go_backwards ? time - 1 - step : step;
    for (int64_t row = 0; row < rows; row++) {
      float *own = last + row * units;
      if (p->return_sequences) w.tier->add(units, own, dy + ((first + row) * time + step) * units);
      if (is_masked(&w, row, at)) {
        if (p->zero_masked_output) memset(own, 0, row_bytes);
        continue;
      }
      w.tier->add(units, w.dh + row * units, own);
      memset(own, 0, row_bytes);
    }
    one_step(&w, at);
  }
  if (dh0) memcpy(dh0 + first * units, w.dh, state);
  if (dc0 && is_lstm) memcpy(dc0 + first * units, w.dc, state);
}

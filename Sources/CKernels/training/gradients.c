// Derivatives of pooling and of picking rows, and backpropagation through an LSTM.
#include <string.h>
#include "../include/kiln_gemm.h"
#include "choose.h"

void kiln_pool_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_pool_gradient_params *p = params;
  kiln_gradient_of_tier()->pool(p, operands[0], operands[1], operands[2], p->batch * part / parts, p->batch * (part + 1) / parts);
}

int32_t kiln_pool_gradient_parts(const kiln_pool_gradient_params *p, int32_t threads) {
  const double work = (double)p->batch * (double)(p->input[0] * p->input[1] * p->input[2] * p->channels);
  const int64_t parts = work < 20000 ? 1 : p->batch < threads ? p->batch : threads;
  return parts < 1 ? 1 : (int32_t)parts;
}

void kiln_scatter_add_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_scatter_add_params *p = params;
  const int64_t spans = (p->width + 15) / 16, first = spans * part / parts * 16;
  int64_t end = spans * (part + 1) / parts * 16;
  if (end > p->width) end = p->width;
  if (first >= end) return;
  const float *updates = operands[1];
  float *result = operands[2];
  for (int64_t row = 0; row < p->rows; row++) memset(result + row * p->width + first, 0, (size_t)(end - first) * sizeof(float));
  for (int64_t i = 0; i < p->count; i++) {
    const int64_t index = p->is_wide ? ((const int64_t *)operands[0])[i] : ((const int32_t *)operands[0])[i];
    if (index < 0 || index >= p->rows) {
      if (operands[3]) *(int32_t *)operands[3] = 1;
      continue;
    }
    kiln_gradient_of_tier()->add(end - first, result + index * p->width + first, updates + i * p->width + first);
  }
}

// Scratch of one row of the batch: gates, squashed cell states and cell states before of all steps; h, c, dh, dc, last.
static int64_t row_floats(const kiln_lstm_gradient_params *p) { return p->time * 6 * p->units + 5 * p->units; }

size_t kiln_lstm_gradient_scratch_bytes(const kiln_lstm_gradient_params *p) {
  return (size_t)(p->batch * row_floats(p) + 16) * sizeof(float);
}

int32_t kiln_lstm_gradient_parts(const kiln_lstm_gradient_params *p, int32_t threads) {
  const int64_t units = (p->batch + 3) / 4;
  return units < threads ? (units < 1 ? 1 : (int32_t)units) : threads;
}

static bool is_masked(const uint8_t *mask, int64_t at) { return mask && !mask[at]; }

void kiln_lstm_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_lstm_gradient_params *p = params;
  const int64_t first = p->batch * part / parts, rows = p->batch * (part + 1) / parts - first;
  const int64_t units = p->units, width = 4 * units, time = p->time;
  if (rows <= 0) return;
  const float *projected = operands[0], *bias = operands[3], *h0 = operands[4], *c0 = operands[5];
  const uint8_t *mask = operands[6];
  const float *dy = operands[7], *dh_end = operands[8], *dc_end = operands[9];
  float *dz = operands[10], *before = operands[11], *dh0 = operands[12], *dc0 = operands[13];
  float *scratch = (float *)operands[14] + first * row_floats(p);
  float *gates = scratch, *squashed = gates + time * rows * width, *cells = squashed + time * rows * units;
  float *h = cells + time * rows * units, *c = h + rows * units, *dh = c + rows * units, *dc = dh + rows * units, *last = dc + rows * units;
  const size_t state = (size_t)(rows * units) * sizeof(float);
  if (h0) memcpy(h, h0 + first * units, state); else memset(h, 0, state);
  if (c0) memcpy(c, c0 + first * units, state); else memset(c, 0, state);
  const kiln_gradient_tier *tier = kiln_gradient_of_tier();
  kiln_gemm_params forward = {.m = rows, .n = width, .k = units, .lda = units, .ldc = width, .ldr = time * width, .activation = {KILN_FN_identity, {0}}};
  kiln_gemm_params back = {.m = rows, .n = units, .k = width, .lda = time * width, .ldc = units, .ldr = units, .activation = {KILN_FN_identity, {0}}};
  for (int64_t step = 0; step < time; step++) {
    const int64_t at = p->go_backwards ? time - 1 - step : step;
    float *g = gates + step * rows * width, *t = squashed + step * rows * units, *old = cells + step * rows * units;
    void *const product[5] = {h, operands[1], (void *)bias, (void *)(projected + (first * time + at) * width), g};
    kiln_gemm_f32(&forward, product, 0, 1);
    memcpy(old, c, state);
    for (int64_t row = 0; row < rows; row++) {
      memcpy(before + ((first + row) * time + at) * units, h + row * units, (size_t)units * sizeof(float));
      if (is_masked(mask, (first + row) * time + at)) continue;
      float *own = g + row * width;
      kiln_apply_f32(p->recurrent_activation, own, (size_t)(2 * units));
      kiln_apply_f32(p->activation, own + 2 * units, (size_t)units);
      kiln_apply_f32(p->recurrent_activation, own + 3 * units, (size_t)units);
      tier->lstm_forward(units, own, c + row * units, t + row * units);
      kiln_apply_f32(p->activation, t + row * units, (size_t)units);
      for (int64_t u = 0; u < units; u++) h[row * units + u] = own[3 * units + u] * t[row * units + u];
    }
  }
  memcpy(dh, dh_end + first * units, state);
  memcpy(dc, dc_end + first * units, state);
  if (p->return_sequences) memset(last, 0, state); else memcpy(last, dy + first * units, state);
  for (int64_t step = time - 1; step >= 0; step--) {
    const int64_t at = p->go_backwards ? time - 1 - step : step;
    float *g = gates + step * rows * width, *t = squashed + step * rows * units, *old = cells + step * rows * units;
    bool has_masked = false;
    for (int64_t row = 0; row < rows; row++) {
      float *own = last + row * units, *slope = dz + ((first + row) * time + at) * width;
      if (p->return_sequences) tier->add(units, own, dy + ((first + row) * time + step) * units);
      if (is_masked(mask, (first + row) * time + at)) {
        if (p->zero_masked_output) memset(own, 0, (size_t)units * sizeof(float));
        memset(slope, 0, (size_t)width * sizeof(float));
        has_masked = true;
        continue;
      }
      tier->add(units, dh + row * units, own);
      memset(own, 0, (size_t)units * sizeof(float));
      tier->lstm_backward(units, p->activation.function, p->activation.p[0], p->recurrent_activation.function, p->recurrent_activation.p[0], g + row * width,
                          t + row * units, old + row * units, dh + row * units, dc + row * units, slope);
    }
    // A masked row keeps its slope: its sums' cotangents are zeros, so the product is added to what there is.
    if (has_masked)
      for (int64_t row = 0; row < rows; row++)
        if (!is_masked(mask, (first + row) * time + at)) memset(dh + row * units, 0, (size_t)units * sizeof(float));
    void *const product[5] = {dz + (first * time + at) * width, operands[2], NULL, has_masked ? dh : NULL, dh};
    kiln_gemm_f32(&back, product, 0, 1);
  }
  if (dh0) memcpy(dh0 + first * units, dh, state);
  if (dc0) memcpy(dc0 + first * units, dc, state);
}

// Sequences: packing, state buffers, masks, where outputs go, and the walk over time. The arithmetic is in step.inc.h.
// Scratch holds, per batch row and each padded to whole panels: h twice (old and new change places), c or z, and r h.
#include <string.h>
#include "tier.h"

#define PANEL KILN_RNN_PANEL
#define BUFFERS 4

int64_t kiln_rnn_gates(int32_t cell) { return cell == KILN_RNN_SIMPLE ? 1 : cell == KILN_RNN_LSTM ? 4 : 3; }
static int64_t panels_of(const kiln_rnn_params *p) { return (p->units + PANEL - 1) / PANEL; }

int64_t kiln_rnn_packed_bytes(const kiln_rnn_params *p) {
  return panels_of(p) * PANEL * p->units * kiln_rnn_gates(p->cell) * (int64_t)sizeof(float);
}

int64_t kiln_rnn_scratch_bytes(const kiln_rnn_params *p) {
  return p->batch * BUFFERS * panels_of(p) * PANEL * (int64_t)sizeof(float);
}

static float *pack_gates(const kiln_rnn_params *p, const float *weights, float *to, int64_t first, int64_t last) {
  const int64_t columns = kiln_rnn_gates(p->cell) * p->units;
  for (int64_t u = 0; u < p->units; u += PANEL) {
    for (int64_t k = 0; k < p->units; k++) {
      for (int64_t g = first; g < last; g++) {
        for (int64_t j = 0; j < PANEL; j++) *to++ = u + j < p->units ? weights[k * columns + g * p->units + u + j] : 0.0f;
      }
    }
  }
  return to;
}

void kiln_rnn_pack(const kiln_rnn_params *p, const float *weights, float *packed) {
  if (p->cell == KILN_RNN_GRU_RESET_BEFORE) {
    packed = pack_gates(p, weights, packed, 0, 2);
    pack_gates(p, weights, packed, 2, 3);
  } else {
    pack_gates(p, weights, packed, 0, kiln_rnn_gates(p->cell));
  }
}

static kiln_rnn_step_function step_function(void) {
#if defined(__x86_64__)
  switch (kiln_cpu_tier()) {
    case KILN_TIER_AVX512: return kiln_rnn_step_avx512;
    case KILN_TIER_AVX2: return kiln_rnn_step_avx2;
    default: break;
  }
#endif
  return kiln_rnn_step_scalar;
}

static void set_rows(float *to, const float *from, int64_t rows, int64_t units, int64_t padded) {
  for (int64_t r = 0; r < rows; r++) {
    if (from) memcpy(to + r * padded, from + r * units, (size_t)units * sizeof(float));
    else memset(to + r * padded, 0, (size_t)units * sizeof(float));
    memset(to + r * padded + units, 0, (size_t)(padded - units) * sizeof(float));
  }
}

void kiln_rnn(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_rnn_params *p = params;
  const int64_t first = p->batch * part / parts, rows = p->batch * (part + 1) / parts - first;
  if (rows == 0) return;
  const int64_t units = p->units, padded = panels_of(p) * PANEL, block = rows * padded;
  const int64_t input_stride = p->input_stride ? p->input_stride : kiln_rnn_gates(p->cell) * units;
  const int64_t time_stride = p->output_time_stride ? p->output_time_stride : units;
  const int64_t batch_stride = p->output_batch_stride ? p->output_batch_stride : p->return_sequences ? p->time * units : units;
  const float *initial_h = operands[3], *initial_c = operands[4];
  float *scratch = (float *)operands[9] + first * BUFFERS * padded;
  float *output = (float *)operands[6] + first * batch_stride, *final_h = operands[7], *final_c = operands[8];
  const uint8_t *mask = operands[5];
  float *h = scratch, *next = scratch + block;
  set_rows(h, initial_h ? initial_h + first * units : NULL, rows, units, padded);
  memset(next, 0, (size_t)block * sizeof(float));
  kiln_rnn_step s = {
    .p = p, .x_stride = p->time * input_stride, .weights = operands[1], .bias = operands[2],
    .c = scratch + 2 * block, .z = scratch + 2 * block, .gated = scratch + 3 * block,
    .mask_stride = p->time, .rows = rows, .padded = padded, .end = panels_of(p),
  };
  set_rows(s.c, p->cell == KILN_RNN_LSTM && initial_c ? initial_c + first * units : NULL, rows, units, padded);
  const kiln_rnn_step_function run = step_function();
  const size_t row_bytes = (size_t)units * sizeof(float);
  for (int64_t t = 0; t < p->time; t++) {
    const int64_t at = p->go_backwards ? p->time - 1 - t : t;
    s.x = (const float *)operands[0] + (first * p->time + at) * input_stride;
    s.mask = mask ? mask + first * p->time + at : NULL;
    s.h = h;
    s.next = next;
    s.falling = t % 2;
    run(&s);
    h = next;
    next = (float *)s.h;
    if (!p->return_sequences) continue;
    float *to = output + (p->output_by_input ? at : t) * time_stride;
    for (int64_t r = 0; r < rows; r++, to += batch_stride) {
      if (!s.mask || s.mask[r * s.mask_stride]) {
        memcpy(to, h + r * padded, row_bytes);
      } else if (p->zero_masked_output || t == 0) {
        memset(to, 0, row_bytes);
      } else {
        const int64_t back = p->output_by_input ? (p->go_backwards ? 1 : -1) : -1;
        memcpy(to, to + back * time_stride, row_bytes);
      }
    }
  }
  if (!p->return_sequences) {
    for (int64_t r = 0; r < rows; r++) {
      // The last output is 0 where no step ran, and where the last one was masked and masked outputs are 0.
      int live = p->time > 0 && !mask;
      if (mask) {
        const uint8_t *row = mask + (first + r) * p->time;
        if (p->zero_masked_output) live = p->time > 0 && row[p->go_backwards ? 0 : p->time - 1];
        else for (int64_t t = 0; t < p->time && !live; t++) live = row[t] != 0;
      }
      if (live) memcpy(output + r * batch_stride, h + r * padded, row_bytes);
      else memset(output + r * batch_stride, 0, row_bytes);
    }
  }
  for (int64_t r = 0; r < rows; r++) {
    if (final_h) memcpy(final_h + (first + r) * units, h + r * padded, row_bytes);
    if (final_c) memcpy(final_c + (first + r) * units, s.c + r * padded, row_bytes);
  }
}

int32_t kiln_rnn_parts(const kiln_rnn_params *p, int32_t threads) {
  // About 4 microseconds of arithmetic a part.
  const double flops = 2.0 * (double)(p->batch * p->time * p->units * p->units * kiln_rnn_gates(p->cell));
  const double parts = flops / 4e5;
  if (p->batch < threads) threads = p->batch < 1 ? 1 : (int32_t)p->batch;
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

void kiln_birnn(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_birnn_params *p = params;
  if (parts < 2) {
    kiln_rnn(&p->direction[0], operands, 0, 1);
    kiln_rnn(&p->direction[1], operands + 10, 0, 1);
    return;
  }
  const int32_t half = parts / 2, direction = part / half;
  if (direction < 2) kiln_rnn(&p->direction[direction], operands + 10 * direction, part % half, half);
}

int32_t kiln_birnn_parts(const kiln_birnn_params *p, int32_t threads) {
  if (threads < 2) return 1;
  const kiln_rnn_params *q = &p->direction[0];
  const double flops = 2.0 * (double)(q->batch * q->time * q->units * q->units * kiln_rnn_gates(q->cell));
  if (flops < 1e5) return 1;
  return 2 * kiln_rnn_parts(q, threads / 2);
}

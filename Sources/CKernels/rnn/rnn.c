// Sequences: packing, state buffers, masks, where outputs go, and the walk over time. The arithmetic is in step.inc.h.
// Scratch holds, per batch row and each padded to whole panels: h twice (old and new change places), c or z, and r h.
#include <math.h>
#include <string.h>
#include "../gemm/tile.h"
#include "tier.h"

#define PANEL KILN_RNN_PANEL
#define BUFFERS 4
enum { PROJECTED_BYTES = 128 * 1024 };  // of a chunk of steps: beside both kernels of a layer in the second-level cache

int64_t kiln_rnn_gates(int32_t cell) { return cell == KILN_RNN_SIMPLE ? 1 : cell == KILN_RNN_LSTM ? 4 : 3; }
int64_t kiln_rnn_trace_fields(int32_t cell) {
  return cell == KILN_RNN_SIMPLE ? 2 : cell == KILN_RNN_LSTM ? 6 : cell == KILN_RNN_GRU_RESET_AFTER ? 5 : 4;
}
static int64_t panels_of(const kiln_rnn_params *p) { return (p->units + PANEL - 1) / PANEL; }

static int64_t element(const kiln_rnn_params *p) {
  return p->form == KILN_RNN_I8 ? 1 : p->form == KILN_RNN_BF16 ? 2 : (int64_t)sizeof(float);
}

static int64_t columns_of(const kiln_rnn_params *p) { return panels_of(p) * PANEL * kiln_rnn_gates(p->cell); }

static int64_t scales_at(const kiln_rnn_params *p) { return (columns_of(p) * p->units * element(p) + 63) / 64 * 64; }

int64_t kiln_rnn_packed_bytes(const kiln_rnn_params *p) {
  return scales_at(p) + (p->form == KILN_RNN_I8 ? columns_of(p) * (int64_t)sizeof(float) : 0);
}

int64_t kiln_rnn_scratch_bytes(const kiln_rnn_params *p) {
  return p->batch * BUFFERS * panels_of(p) * PANEL * (int64_t)sizeof(float);
}

// Batch rows of the largest part.
static int64_t most_rows(const kiln_rnn_params *p, int32_t parts) { return (p->batch + parts - 1) / parts; }

// Steps whose inputs a part projects together.
static int64_t chunk_steps(const kiln_rnn_params *p, int32_t parts) {
  const int64_t step = most_rows(p, parts) * kiln_rnn_gates(p->cell) * p->units * (int64_t)sizeof(float), height = kiln_tiles()->rows;
  int64_t steps = step > 0 ? PROJECTED_BYTES / step : 1;
  if (steps > height) steps = steps / height * height;
  return steps < 1 ? 1 : steps < p->time ? steps : p->time;
}

static int64_t projection_floats(const kiln_rnn_params *p, int32_t parts) {
  return (chunk_steps(p, parts) * most_rows(p, parts) * kiln_rnn_gates(p->cell) * p->units + 15) / 16 * 16;
}

int64_t kiln_rnn_projection_bytes(const kiln_rnn_params *p, int32_t parts) {
  return p->features ? projection_floats(p, parts) * parts * (int64_t)sizeof(float) : 0;
}

// Where the next element and the next scale go.
typedef struct {
  char *element;
  float *scale;
} packing;

static void put(packing *to, int32_t form, float x, float scale) {
  switch (form) {
    case KILN_RNN_I8:
      *(int8_t *)to->element++ = scale > 0 ? (int8_t)fmaxf(-127, fminf(127, (x / scale + 12582912.0f) - 12582912.0f)) : 0;  // to nearest even
      break;
    case KILN_RNN_BF16: {
      uint32_t bits;
      memcpy(&bits, &x, sizeof bits);
      const uint16_t high = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
      memcpy(to->element, &high, sizeof high);
      to->element += sizeof high;
      break;
    }
    default:
      memcpy(to->element, &x, sizeof x);
      to->element += sizeof x;
  }
}

static void pack_gates(const kiln_rnn_params *p, const float *weights, packing *to, int64_t first, int64_t last) {
  const int64_t columns = kiln_rnn_gates(p->cell) * p->units;
  for (int64_t u = 0; u < p->units; u += PANEL) {
    float scales[4 * PANEL] = {0};
    if (p->form == KILN_RNN_I8) {
      for (int64_t k = 0; k < p->units; k++) {
        for (int64_t g = first; g < last; g++) {
          for (int64_t j = 0; j < PANEL && u + j < p->units; j++) {
            float *scale = &scales[(g - first) * PANEL + j];
            *scale = fmaxf(*scale, fabsf(weights[k * columns + g * p->units + u + j]) / 127);
          }
        }
      }
      memcpy(to->scale, scales, (size_t)((last - first) * PANEL) * sizeof(float));
      to->scale += (last - first) * PANEL;
    }
    for (int64_t k = 0; k < p->units; k++) {
      for (int64_t g = first; g < last; g++) {
        for (int64_t j = 0; j < PANEL; j++) {
          const float x = u + j < p->units ? weights[k * columns + g * p->units + u + j] : 0.0f;
          put(to, p->form, x, scales[(g - first) * PANEL + j]);
        }
      }
    }
  }
}

void kiln_rnn_pack(const kiln_rnn_params *p, const float *weights, float *packed) {
  packing to = {(char *)packed, (float *)((char *)packed + scales_at(p))};
  if (p->cell == KILN_RNN_GRU_RESET_BEFORE) {
    pack_gates(p, weights, &to, 0, 2);
    pack_gates(p, weights, &to, 2, 3);
  } else {
    pack_gates(p, weights, &to, 0, kiln_rnn_gates(p->cell));
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

// A sequence over a range of batch rows: what every step has in common, and where its rows begin.
typedef struct {
  kiln_rnn_step step;
  const float *x;
  const uint8_t *mask;
  float *h[2];  // the state after an even number of steps, and after an odd one
  int64_t input_stride;
  float *trace;
  float *projected;  // NULL, or the projections of a chunk of steps in the order of steps: [chunk, rows, gates * units]
  int64_t chunk;
} sequence;

static kiln_rnn_step step_of(const void *context, int64_t t) {
  const sequence *q = context;
  const kiln_rnn_params *p = q->step.p;
  const int64_t at = p->go_backwards ? p->time - 1 - t : t;
  kiln_rnn_step s = q->step;
  s.x = q->projected ? q->projected + t % q->chunk * s.rows * s.x_stride : q->x + at * q->input_stride;
  s.mask = q->mask ? q->mask + at : NULL;
  s.trace = q->trace ? q->trace + at * (s.trace_stride / p->time) : NULL;
  s.h = q->h[t % 2];
  s.next = q->h[(t + 1) % 2];
  s.falling = t % 2;
  return s;
}

// The inputs of `count` steps from t on times their kernel.
static void project(const sequence *q, void *const *operands, int64_t t, int64_t count) {
  const kiln_rnn_params *p = q->step.p;
  const int64_t rows = q->step.rows, width = q->step.x_stride;
  const kiln_gemm_params product = {.n = width, .k = p->features, .ldc = width, .activation.function = KILN_FN_identity};
  void *const product_operands[] = {NULL, operands[12], operands[13]};
  const kiln_block block = kiln_gemm_block(&product, product_operands);
  const float *inputs[KILN_CHUNK_ROWS];
  for (int64_t first = 0, end = count * rows; first < end;) {
    const int64_t height = end - first < KILN_CHUNK_ROWS ? end - first : KILN_CHUNK_ROWS;
    for (int64_t i = 0; i < height; i++) {
      const int64_t s = t + (first + i) / rows, at = p->go_backwards ? p->time - 1 - s : s;
      inputs[i] = q->x + ((first + i) % rows * p->time + at) * p->features;
    }
    kiln_block_run(&block, inputs, height, NULL, q->projected + first * width);
    first += height;
  }
}

void kiln_rnn(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_rnn_params *p = params;
  struct kiln_rnn_team *team = p->shared && parts > 1 ? operands[10] : NULL;
  const int64_t first = team ? 0 : p->batch * part / parts;
  const int64_t rows = (team ? p->batch : p->batch * (part + 1) / parts) - first;
  if (rows == 0) return;
  const int64_t units = p->units, padded = panels_of(p) * PANEL, block = rows * padded;
  const int64_t width = kiln_rnn_gates(p->cell) * units;
  const int64_t input_stride = p->features ? p->features : p->input_stride ? p->input_stride : width;
  const int64_t time_stride = p->output_time_stride ? p->output_time_stride : units;
  const int64_t batch_stride = p->output_batch_stride ? p->output_batch_stride : p->return_sequences ? p->time * units : units;
  const float *initial_h = operands[3], *initial_c = operands[4];
  float *scratch = (float *)operands[9] + first * BUFFERS * padded;
  float *output = (float *)operands[6] + first * batch_stride, *final_h = operands[7], *final_c = operands[8];
  const uint8_t *mask = operands[5];
  const int64_t trace_stride = p->time * kiln_rnn_trace_fields(p->cell) * units;
  const sequence q = {
    .step = {.p = p, .x_stride = p->features ? width : p->time * input_stride, .weights = operands[1],
             .scales = (const float *)((const char *)operands[1] + scales_at(p)), .bias = operands[2],
             .c = scratch + 2 * block, .z = scratch + 2 * block, .gated = scratch + 3 * block,
             .mask_stride = p->time, .trace_stride = trace_stride, .rows = rows, .padded = padded, .end = panels_of(p)},
    .x = (const float *)operands[0] + first * p->time * input_stride, .mask = mask ? mask + first * p->time : NULL,
    .h = {scratch, scratch + block}, .input_stride = input_stride,
    .trace = operands[11] ? (float *)operands[11] + first * trace_stride : NULL,
    .projected = p->features ? (float *)operands[14] + part * projection_floats(p, parts) : NULL, .chunk = chunk_steps(p, parts),
  };
  const kiln_rnn_step_function run = step_function();
  if (team && part > 0) {
    kiln_rnn_team_follow(team, step_of, &q, run, part, parts);
    return;
  }
  set_rows(q.h[0], initial_h ? initial_h + first * units : NULL, rows, units, padded);
  memset(q.h[1], 0, (size_t)block * sizeof(float));
  set_rows(q.step.c, p->cell == KILN_RNN_LSTM && initial_c ? initial_c + first * units : NULL, rows, units, padded);
  const size_t row_bytes = (size_t)units * sizeof(float);
  for (int64_t t = 0; t < p->time; t++) {
    if (q.projected && t % q.chunk == 0) project(&q, operands, t, p->time - t < q.chunk ? p->time - t : q.chunk);
    const kiln_rnn_step s = step_of(&q, t);
    if (team) kiln_rnn_team_lead(team, &s, run, t, parts);
    else run(&s);
    if (!p->return_sequences) continue;
    const int64_t at = p->go_backwards ? p->time - 1 - t : t;
    float *to = output + (p->output_by_input ? at : t) * time_stride;
    for (int64_t r = 0; r < rows; r++, to += batch_stride) {
      if (!s.mask || s.mask[r * s.mask_stride]) {
        memcpy(to, s.next + r * padded, row_bytes);
      } else if (p->zero_masked_output || t == 0) {
        memset(to, 0, row_bytes);
      } else {
        const int64_t back = p->output_by_input ? (p->go_backwards ? 1 : -1) : -1;
        memcpy(to, to + back * time_stride, row_bytes);
      }
    }
  }
  if (team) kiln_rnn_team_end(team);
  const float *h = q.h[p->time % 2];
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
    if (final_c) memcpy(final_c + (first + r) * units, q.step.c + r * padded, row_bytes);
  }
}

int32_t kiln_rnn_parts(kiln_rnn_params *p, int32_t threads) {
  p->shared = 0;
  const int64_t panels = panels_of(p);
  const double step_flops = 2.0 * (double)(p->batch * p->units * p->units * kiln_rnn_gates(p->cell));
  // Fewer rows than threads, and steps of a microsecond or more: far longer than the way of a cache line between cores.
  if (p->batch < threads && p->cell != KILN_RNN_GRU_RESET_BEFORE && panels >= 4 && step_flops >= 6e4 && p->time > 0) {
    int64_t parts = panels / 2 < threads ? panels / 2 : threads;
    if (parts > KILN_RNN_MOST_PARTS) parts = KILN_RNN_MOST_PARTS;
    p->shared = parts > 1;
    return (int32_t)parts;
  }
  // About 4 microseconds of arithmetic a part.
  const double parts = step_flops * (double)p->time / 4e5;
  if (p->batch < threads) threads = p->batch < 1 ? 1 : (int32_t)p->batch;
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

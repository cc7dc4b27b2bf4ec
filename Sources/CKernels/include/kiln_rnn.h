// Recurrent sequence kernels: LSTM, GRU and the simple RNN, with Keras' equations and gate orders. The projection of the
// inputs (x W + bias) is a matrix product: of all time steps before, or here, of as many steps at a time as stay in the cache.
#ifndef KILN_RNN_H
#define KILN_RNN_H
#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// With x_g the projection's gate g, R_g the recurrent weights and b_g the recurrent bias (0 where absent), f the recurrent
// activation, a the activation, all of the previous state h, c:
typedef enum {
  KILN_RNN_SIMPLE = 0,            // 1 gate:  h' = a(x + h R + b)
  KILN_RNN_LSTM = 1,              // i f c o: c' = f(f) c + f(i) a(c), h' = f(o) a(c'), each gate x_g + h R_g + b_g
  KILN_RNN_GRU_RESET_AFTER = 2,   // z r h:   h' = z h + (1 - z) a(x_h + r (h R_h + b_h)), z and r = f(x_g + h R_g + b_g)
  KILN_RNN_GRU_RESET_BEFORE = 3,  // z r h:   h' = z h + (1 - z) a(x_h + (r h) R_h + b_h)
} kiln_rnn_cell;

// Sums are float32 in all forms.
typedef enum {
  KILN_RNN_F32 = 0,
  KILN_RNN_BF16 = 1,  // rounded to nearest even
  KILN_RNN_I8 = 2,    // -127...127 times a scale for each gate of each unit
} kiln_rnn_form;

typedef struct {
  int32_t cell;               // kiln_rnn_cell
  int32_t go_backwards;       // 1: step s looks at input time - 1 - s
  int32_t return_sequences;   // 1: output has one row per step, 0: the last row only
  int32_t output_by_input;    // 1: with go_backwards, a step's output goes to the row of its input time, not of the step
  int32_t zero_masked_output; // 1: a masked step's output is 0, otherwise the previous step's output (0 at first)
  int32_t shared;             // 1: parts share each step's units, not the batch; kiln_rnn_choose sets it
  int64_t batch, time, units;
  int64_t input_stride;       // elements between time steps of xproj; 0: gates * units. Batches are time * that apart
  int64_t output_batch_stride, output_time_stride;  // in elements; 0: dense ([batch, time, units] or [batch, units])
  kiln_activation activation, recurrent_activation;
  int32_t form;               // a kiln_rnn_form: how the recurrent weights are packed
  int64_t features;           // 0: operand 0 is projected; else it is the input and has so many features. Not with `shared`
} kiln_rnn_params;

// The number of gates of a cell: 1, 4, 3, 3.
int64_t kiln_rnn_gates(int32_t cell);

// The trace is what a derivative needs of the forward pass, [batch, time, fields * units]:
//   simple h' h | LSTM i f c o, then c and h before | GRU z r h~, with RESET_AFTER the product that r multiplies, then h before
// with gates after their activations. At a masked step all but the states before are zeros.
int64_t kiln_rnn_trace_fields(int32_t cell);

// Packed recurrent weights: for each block of 16 units, for each of the `units` rows, 16 columns of each gate (so that
// one block's stream gives all gates of 16 units); padded with zeros. For RESET_BEFORE gates z and r, then gate h. With
// KILN_RNN_I8 the scales follow, 16 for each gate of each block, in the same order.
int64_t kiln_rnn_packed_bytes(const kiln_rnn_params *params);
// `weights` is [units, gates * units] row-major, as Keras' recurrent kernel.
void kiln_rnn_pack(const kiln_rnn_params *params, const float *weights, float *packed);

int64_t kiln_rnn_scratch_bytes(const kiln_rnn_params *params);
// Of operand 14.
int64_t kiln_rnn_projection_bytes(const kiln_rnn_params *params, int32_t parts);

// Operands, all f32 but the mask:
//  0 xproj [batch, time, gates * units]     1 packed recurrent weights        2 recurrent bias [gates * units] | NULL
//  3 initial h [batch, units] | NULL (0)    4 initial c | NULL                5 mask u8 [batch, time] | NULL (0: masked)
//  6 output                                 7 final h [batch, units] | NULL   8 final c | NULL
//  9 scratch, 64-byte aligned             10 with `shared`: a team, kiln_rnn_team_bytes long, 64-byte aligned, or NULL
// 11 trace | NULL
// With `features` operand 0 is the input [batch, time, features], and there are also
// 12 its kernel [features, gates * units], by kiln_gemm_pack   13 its bias | NULL   14 scratch, 64-byte aligned
// A masked step keeps h and c. The initial and final states may share memory. With time == 0 the last output is 0 and the
// final state the initial one. Parts share the batch's rows, or the units of each step (all parts of a step at once or in
// rising order; kiln_rnn_team_reset runs before).
void kiln_rnn(const void *params, void *const *operands, int32_t part, int32_t parts);
// Sets `shared` and returns how many parts are worth it.
int32_t kiln_rnn_parts(kiln_rnn_params *params, int32_t threads);

#define KILN_RNN_MOST_PARTS 8
int64_t kiln_rnn_team_bytes(void);
// Operand: the team.
void kiln_rnn_team_reset(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

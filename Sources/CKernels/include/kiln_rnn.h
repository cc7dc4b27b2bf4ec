// Recurrent sequence kernels: LSTM, GRU and the simple RNN, with Keras' equations and gate orders. The projection of the
// inputs (x W + bias) for all time steps is a matrix product that runs before; these kernels do the recurrence.
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

typedef struct {
  int32_t cell;               // kiln_rnn_cell
  int32_t go_backwards;       // 1: step s looks at input time - 1 - s
  int32_t return_sequences;   // 1: output has one row per step, 0: the last row only
  int32_t output_by_input;    // 1: with go_backwards, a step's output goes to the row of its input time, not of the step
  int32_t zero_masked_output; // 1: a masked step's output is 0, otherwise the previous step's output (0 at first)
  int32_t reserved;
  int64_t batch, time, units;
  int64_t input_stride;       // elements between time steps of xproj; 0: gates * units. Batches are time * that apart
  int64_t output_batch_stride, output_time_stride;  // in elements; 0: dense ([batch, time, units] or [batch, units])
  kiln_activation activation, recurrent_activation;
} kiln_rnn_params;

// The number of gates of a cell: 1, 4, 3, 3.
int64_t kiln_rnn_gates(int32_t cell);

// Packed recurrent weights: for each block of 16 units, for each of the `units` rows, 16 columns of each gate (so that
// one block's stream gives all gates of 16 units); padded with zeros. For RESET_BEFORE gates z and r, then gate h.
int64_t kiln_rnn_packed_bytes(const kiln_rnn_params *params);
// `weights` is [units, gates * units] row-major, as Keras' recurrent kernel.
void kiln_rnn_pack(const kiln_rnn_params *params, const float *weights, float *packed);

int64_t kiln_rnn_scratch_bytes(const kiln_rnn_params *params);

// Operands, all f32 but the mask:
//  0 xproj [batch, time, gates * units]     1 packed recurrent weights        2 recurrent bias [gates * units] | NULL
//  3 initial h [batch, units] | NULL (0)    4 initial c | NULL                5 mask u8 [batch, time] | NULL (0: masked)
//  6 output                                 7 final h [batch, units] | NULL   8 final c | NULL
//  9 scratch, 64-byte aligned
// A masked step keeps h and c. The initial and final states may share memory. With time == 0 the last output is 0 and the
// final state the initial one. Parts share the batch's rows; they never wait for one another.
void kiln_rnn(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_rnn_parts(const kiln_rnn_params *params, int32_t threads);

// Two directions of a bidirectional layer in one step: operands are two consecutive groups of the ten above, with the
// scratch of each its own. With one part both run in turn; with `parts` even, half of the parts run each direction.
typedef struct {
  kiln_rnn_params direction[2];
} kiln_birnn_params;
void kiln_birnn(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_birnn_parts(const kiln_birnn_params *params, int32_t threads);

#ifdef __cplusplus
}
#endif
#endif

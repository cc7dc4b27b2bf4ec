// Attention, float32: softmax(Q K^T) V by blocks of rows, so that the matrix of scores is never stored whole.
#ifndef KILN_ATTENTION_H
#define KILN_ATTENTION_H

#include "kiln_base.h"
#include "kiln_elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_ATTENTION_AXES (KILN_MAX_RANK - 2)

// Matrices of an operand: element (batch, row, column) is `sum of batch[axis] * index + row * row + column * column` floats from its start.
typedef struct {
  int64_t batch[KILN_ATTENTION_AXES], row, column;
} kiln_attention_matrix;

// What an input of a program is, where it is no operand of the step.
enum { KILN_ATTENTION_SCORES = -1, KILN_ATTENTION_MAXIMA = -2 };

typedef struct {
  int32_t operand;                      // of the step; or one of the above
  int64_t batch[KILN_ATTENTION_AXES];   // in elements; strides of rows and columns are the chain's
} kiln_attention_input;

// Elementwise functions over a block of rows of the scores or weights, in place. `chain` is prepared, and after that of rank 2 with
// dims [m, n], whose first the kernel replaces; its result is f32.
typedef struct {
  kiln_chain_params chain;
  const kiln_attention_input *inputs;   // as many as the chain has; owned by the plan
} kiln_attention_program;

// For each batch: y[m, width] = after(softmax(before(scale * q[m, depth] * k[n, depth]^T))) * v[n, width].
// Columns of q, v and y are adjacent. A stride of 0 broadcasts. y overlaps nothing else.
typedef struct {
  int32_t axes;                            // of batches, outermost first
  int64_t lengths[KILN_ATTENTION_AXES];
  int64_t m, n, depth, width;
  kiln_attention_matrix q, k, v, y;
  float scale;
  int32_t before_count, after_count;
  const kiln_attention_program *before, *after;   // owned by the plan
} kiln_attention_params;

// How many parts are worth it on `threads` threads.
int32_t kiln_attention_parts(const kiln_attention_params *params, int32_t threads);
// Bytes of scratch for `parts` parts.
size_t kiln_attention_scratch_bytes(const kiln_attention_params *params, int32_t parts);
// Rows of scores that a part holds at a time.
int64_t kiln_attention_rows(const kiln_attention_params *params, int32_t parts);
// Operands: q, k, v, y, scratch (64-byte aligned), then those of the programs.
void kiln_attention_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

// Matrix products, float32.
#ifndef KILN_GEMM_H
#define KILN_GEMM_H

#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// The axis along which a product's parts divide C.
typedef enum {
  KILN_SPLIT_ROWS = 0,
  KILN_SPLIT_COLUMNS = 1,
} kiln_split;

// What A's elements go through on their way in: f(a * scale[column] + shift[column]). A itself may be in `sources` pieces, dense
// matrices of `widths` columns side by side.
typedef struct {
  int32_t sources;         // 0: no prologue
  const int64_t *widths;   // owned by the plan
  int64_t scale_rows;  // rows of A for each row of `scale` (the rows of a sample); 0: one row for all
  kiln_activation activation;
} kiln_gemm_prologue;

// C[m, n] = activation(A[m, k] * B[k, n] + bias[n] + residual[m, n]), with B packed beforehand.
// Strides count floats between rows; columns are adjacent. `residual` may be C itself (same stride), C overlaps nothing else.
typedef struct {
  int64_t m, n, k;
  int64_t lda, ldc;
  int64_t ldr;  // of the residual
  kiln_activation activation;
  int32_t split;  // a kiln_split; kiln_gemm_parts sets it
  kiln_gemm_prologue prologue;
} kiln_gemm_params;

// Bytes of packed B for the current tier.
size_t kiln_gemm_packed_bytes(int64_t n, int64_t k);
// Packs B, whose element (row, column) is b[row * row_stride + column * column_stride]: (n, 1) for [k, n], (1, k) for
// [n, k]. `out` should be 64-byte aligned. The layout is the tier's own and is never saved.
void kiln_gemm_pack(const float *b, int64_t row_stride, int64_t column_stride, int64_t n, int64_t k, float *out);
// Chooses `split` and returns how many parts are worth it on `threads` threads; 1 for small products. Any other number
// of parts is correct too.
int32_t kiln_gemm_parts(kiln_gemm_params *params, int32_t threads);
// Bytes of scratch for `parts` parts; 0 without a prologue.
size_t kiln_gemm_scratch_bytes(const kiln_gemm_params *params, int32_t parts);
// Operands: A, packed B, bias or NULL, residual or NULL, C; with a prologue also scale [samples, k] or NULL, shift [k] or NULL,
// scratch (64-byte aligned), and the pieces of A behind the first.
void kiln_gemm_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

// Two products with constant weights, the second of the first's result, which nothing else reads: neither has a prologue, the first no
// residual.
typedef struct {
  kiln_gemm_params first, second;  // second.k = first.n
} kiln_gemm_pair_params;

// Whether that is faster than one after the other.
bool kiln_gemm_pair_worth(const kiln_gemm_pair_params *params, int32_t threads);
int32_t kiln_gemm_pair_parts(const kiln_gemm_pair_params *params, int32_t threads);
size_t kiln_gemm_pair_scratch_bytes(const kiln_gemm_pair_params *params, int32_t parts);
// Operands: A, the first's packed B and its bias or NULL, the second's packed B, bias or NULL and residual or NULL, C, scratch
// (64-byte aligned).
void kiln_gemm_pair_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

// For each batch (i, j): C[m, n] = alpha * A[m, k] * B[k, n], all of them activations, each with its own strides in
// floats. Batches are two-dimensional so that attention heads need no transposed copies; a stride of 0 broadcasts. Outer batches
// of several axes whose strides do not join are in a table.
// Transposed operands are strides as well: element (row, column) of A is a[row * a_row + column * a_column].
typedef struct {
  int64_t batch_outer, batch_inner;
  int64_t m, n, k;
  int64_t a_outer, a_inner, a_row, a_column;
  int64_t b_outer, b_inner, b_row, b_column;
  int64_t c_outer, c_inner, c_row;  // C's columns are adjacent
  const int64_t *outer;  // NULL, or for each i where its matrices of A, B and C begin, in place of strides; owned by the plan
  float alpha;
  int32_t split;   // used when there are more parts than batches; kiln_matmul_parts sets it
} kiln_matmul_params;

// Bytes of scratch for `parts` parts.
size_t kiln_matmul_scratch_bytes(const kiln_matmul_params *params, int32_t parts);
// Chooses `split` and returns how many parts are worth it.
int32_t kiln_matmul_parts(kiln_matmul_params *params, int32_t threads);
// Operands: A, B, C, scratch (64-byte aligned).
void kiln_matmul_f32(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

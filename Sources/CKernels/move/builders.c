// Strided copies for the operations that are one.
#include <string.h>
#include "kiln_move.h"

static void begin(kiln_copy_params *p, int32_t element_size, int32_t rank) {
  memset(p, 0, sizeof *p);
  p->element_size = element_size;
  p->rank = rank;
}

static void dense(int64_t *strides, const int64_t *dims, int32_t rank) {
  int64_t n = 1;
  for (int32_t d = rank - 1; d >= 0; d--) {
    strides[d] = n;
    n *= dims[d];
  }
}

void kiln_copy_transpose(kiln_copy_params *p, int32_t element_size, int32_t rank, const int64_t *dims, const int32_t *permutation) {
  int64_t strides[KILN_COPY_MAX_RANK];
  begin(p, element_size, rank);
  dense(strides, dims, rank);
  for (int32_t d = 0; d < rank; d++) {
    p->dims[d] = dims[permutation[d]];
    p->source_strides[d] = strides[permutation[d]];
  }
  dense(p->target_strides, p->dims, rank);
}

void kiln_copy_slice(kiln_copy_params *p, int32_t element_size, int32_t rank, const int64_t *dims, const int64_t *start,
                     const int64_t *step, const int64_t *count) {
  int64_t strides[KILN_COPY_MAX_RANK];
  begin(p, element_size, rank);
  dense(strides, dims, rank);
  for (int32_t d = 0; d < rank; d++) {
    p->dims[d] = count[d];
    p->source_strides[d] = strides[d] * step[d];
    p->source_offset += strides[d] * start[d];
  }
  dense(p->target_strides, p->dims, rank);
}

void kiln_copy_broadcast(kiln_copy_params *p, int32_t element_size, int32_t rank, const int64_t *dims, const int64_t *target_dims) {
  begin(p, element_size, rank);
  dense(p->source_strides, dims, rank);
  for (int32_t d = 0; d < rank; d++) {
    p->dims[d] = target_dims[d];
    if (dims[d] == 1) p->source_strides[d] = 0;
  }
  dense(p->target_strides, p->dims, rank);
}

void kiln_copy_tile(kiln_copy_params *p, int32_t element_size, int32_t rank, const int64_t *dims, const int64_t *repeats) {
  int64_t strides[KILN_COPY_MAX_RANK];
  begin(p, element_size, 2 * rank);
  dense(strides, dims, rank);
  for (int32_t d = 0; d < rank; d++) {
    p->dims[2 * d] = repeats[d];
    p->dims[2 * d + 1] = dims[d];
    p->source_strides[2 * d + 1] = strides[d];
  }
  dense(p->target_strides, p->dims, p->rank);
}

void kiln_copy_repeat(kiln_copy_params *p, int32_t element_size, int32_t rank, const int64_t *dims, int32_t axis, int64_t count) {
  int64_t strides[KILN_COPY_MAX_RANK];
  begin(p, element_size, rank + 1);
  dense(strides, dims, rank);
  for (int32_t d = 0, e = 0; d < rank; d++, e++) {
    p->dims[e] = dims[d];
    p->source_strides[e] = strides[d];
    if (d == axis) p->dims[++e] = count;
  }
  dense(p->target_strides, p->dims, p->rank);
}

void kiln_copy_concat(kiln_copy_params *p, int32_t element_size, int64_t outer, int64_t width, int64_t total, int64_t at) {
  begin(p, element_size, 2);
  p->dims[0] = outer;
  p->dims[1] = width;
  p->source_strides[0] = width;
  p->target_strides[0] = total;
  p->source_strides[1] = p->target_strides[1] = 1;
  p->target_offset = at;
}

void kiln_copy_space_to_depth(kiln_copy_params *p, int32_t element_size, int64_t n, int64_t h, int64_t w, int64_t c, int64_t b) {
  const int64_t dims[6] = {n, h / b, b, w / b, b, c};
  const int32_t permutation[6] = {0, 1, 3, 2, 4, 5};
  kiln_copy_transpose(p, element_size, 6, dims, permutation);
}

void kiln_copy_depth_to_space(kiln_copy_params *p, int32_t element_size, int64_t n, int64_t h, int64_t w, int64_t c, int64_t b) {
  const int64_t dims[6] = {n, h, w, b, b, c / (b * b)};
  const int32_t permutation[6] = {0, 1, 3, 2, 4, 5};
  kiln_copy_transpose(p, element_size, 6, dims, permutation);
}

// Gather along an axis, and one-hot rows.
#include <string.h>
#include "share.h"

static int64_t index_at(int32_t dtype, const void *indices, int64_t i) {
  switch (dtype) {
    case KILN_I64: return ((const int64_t *)indices)[i];
    case KILN_U8: return ((const uint8_t *)indices)[i];
    default: return ((const int32_t *)indices)[i];
  }
}

void kiln_gather(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_gather_params *p = params;
  const int64_t bytes = p->inner * p->element_size, total = p->outer * p->count;
  const char *source = operands[0];
  char *target = operands[2];
  int32_t *error = operands[3];
  for (int64_t k = total * part / parts; k < total * (part + 1) / parts; k++) {
    const int64_t outer = k / p->count;
    int64_t i = index_at(p->index_dtype, operands[1], k % p->count);
    if (i < 0) i += p->axis;
    char *to = target + k * bytes;
    if (i < 0 || i >= p->axis) {
      memset(to, 0, (size_t)bytes);
      if (error) __atomic_store_n(error, 1, __ATOMIC_RELAXED);
      continue;
    }
    const char *from = source + (outer * p->axis + i) * bytes;
    switch (bytes) {
      case 1: *to = *from; break;
      case 2: memcpy(to, from, 2); break;
      case 4: memcpy(to, from, 4); break;
      case 8: memcpy(to, from, 8); break;
      default: memcpy(to, from, (size_t)bytes); break;
    }
  }
}

int32_t kiln_gather_parts(const kiln_gather_params *p, int32_t threads) {
  return kiln_move_parts(p->outer * p->count * p->inner * p->element_size, p->outer * p->count, threads);
}

void kiln_one_hot(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_one_hot_params *p = params;
  const int64_t plane = p->depth * p->inner;
  const size_t size = (size_t)p->element_size;
  for (int64_t o = p->outer * part / parts; o < p->outer * (part + 1) / parts; o++) {
    char *to = (char *)operands[1] + (size_t)(o * plane) * size;
    kiln_move_fill(to, p->off, p->element_size, plane);
    for (int64_t c = 0; c < p->inner; c++) {
      const int64_t i = index_at(p->index_dtype, operands[0], o * p->inner + c);
      if (i >= 0 && i < p->depth) memcpy(to + (size_t)(i * p->inner + c) * size, p->on, size);
    }
  }
}

int32_t kiln_one_hot_parts(const kiln_one_hot_params *p, int32_t threads) {
  return kiln_move_parts(p->outer * p->depth * p->inner * p->element_size, p->outer, threads);
}

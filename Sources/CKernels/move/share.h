// How movement is shared: a part has at least 64 KiB to write. Internal to the target.
#ifndef KILN_MOVE_SHARE_H
#define KILN_MOVE_SHARE_H
#include "kiln_move.h"

static inline int32_t kiln_move_parts(int64_t bytes, int64_t limit, int32_t threads) {
  int64_t parts = bytes >> 16;
  if (parts > limit) parts = limit;
  if (parts > threads) parts = threads;
  return parts < 1 ? 1 : (int32_t)parts;
}

// n elements of `value`'s bytes.
void kiln_move_fill(char *target, const void *value, int32_t element_size, int64_t n);
#endif

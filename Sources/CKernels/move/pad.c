// Padding. Trailing dims without padding are one block of bytes; the last padded dim is then a row of blocks, whose
// middle is one copy; the dims before it are walked position by position.
#include <string.h>
#include "share.h"

// The source coordinate for position i of the padded dim, or -1 for the constant.
static int64_t source_of(int32_t mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case KILN_PAD_REFLECT: return i < 0 ? -i : 2 * n - 2 - i;
    case KILN_PAD_SYMMETRIC: return i < 0 ? -1 - i : 2 * n - 1 - i;
    case KILN_PAD_EDGE: return i < 0 ? 0 : n - 1;
    default: return -1;
  }
}

static int32_t padded_rank(const kiln_pad_params *p) {
  int32_t rank = p->rank;
  while (rank > 0 && p->before[rank - 1] == 0 && p->after[rank - 1] == 0) rank--;
  return rank;
}

static int64_t padded_rows(const kiln_pad_params *p) {
  int64_t rows = 1;
  for (int32_t d = 0; d + 1 < padded_rank(p); d++) rows *= p->before[d] + p->dims[d] + p->after[d];
  return rows;
}

void kiln_pad(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_pad_params *p = params;
  const int32_t rank = padded_rank(p), last = rank - 1;
  int64_t block = 1;
  for (int32_t d = rank; d < p->rank; d++) block *= p->dims[d];
  const int64_t bytes = block * p->element_size;
  const char *source = operands[0];
  char *target = operands[1];
  if (rank == 0) {
    if (part == 0) memcpy(target, source, (size_t)bytes);
    return;
  }
  const int64_t rows = padded_rows(p), n = p->dims[last], before = p->before[last], after = p->after[last];
  const int64_t width = before + n + after;
  for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; r++) {
    char *to = target + r * width * bytes;
    int64_t rest = r, stride = n, from = 0;
    int constant = 0;
    for (int32_t d = last - 1; d >= 0; d--) {
      const int64_t length = p->before[d] + p->dims[d] + p->after[d];
      const int64_t i = source_of(p->mode, rest % length - p->before[d], p->dims[d]);
      rest /= length;
      constant |= i < 0;
      from += i * stride;
      stride *= p->dims[d];
    }
    if (constant) {
      kiln_move_fill(to, p->value, p->element_size, width * block);
      continue;
    }
    const char *row = source + from * bytes;
    if (p->mode == KILN_PAD_CONSTANT) {
      kiln_move_fill(to, p->value, p->element_size, before * block);
      kiln_move_fill(to + (before + n) * bytes, p->value, p->element_size, after * block);
    } else {
      for (int64_t i = 0; i < before; i++) memcpy(to + i * bytes, row + source_of(p->mode, i - before, n) * bytes, (size_t)bytes);
      for (int64_t i = n; i < n + after; i++) memcpy(to + (before + i) * bytes, row + source_of(p->mode, i, n) * bytes, (size_t)bytes);
    }
    memcpy(to + before * bytes, row, (size_t)(n * bytes));
  }
}

int32_t kiln_pad_parts(const kiln_pad_params *p, int32_t threads) {
  int64_t bytes = p->element_size;
  for (int32_t d = 0; d < p->rank; d++) bytes *= p->before[d] + p->dims[d] + p->after[d];
  return kiln_move_parts(bytes, padded_rows(p), threads);
}

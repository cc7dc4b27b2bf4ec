// The strided copy. Dims are ordered by falling target stride and merged; what remains is an outer odometer over either
// rows (the last dim) or, where the source is contiguous along another dim than the target, tiles of the plane that the
// two span: a transpose of 16 x 16 tiles, so that lines of both sides are used whole while they are in cache.
#include <string.h>
#include "share.h"

#define TILE 16
#define CHUNK 16384  // elements of a long row in one unit of work

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

static void swap_dims(kiln_copy_params *p, int32_t a, int32_t b) {
  const int64_t d = p->dims[a], s = p->source_strides[a], t = p->target_strides[a];
  p->dims[a] = p->dims[b];
  p->source_strides[a] = p->source_strides[b];
  p->target_strides[a] = p->target_strides[b];
  p->dims[b] = d;
  p->source_strides[b] = s;
  p->target_strides[b] = t;
}

static int even(int64_t x) { return (x & 1) == 0; }

// A last dim of 2 elements, contiguous on both sides, becomes one element of twice the size where all else is even.
static int widen(kiln_copy_params *p) {
  const int32_t last = p->rank - 1;
  if (p->rank < 2 || p->element_size > 8 || p->dims[last] % 2 || p->dims[last] > 4) return 0;
  if (p->source_strides[last] != 1 || p->target_strides[last] != 1) return 0;
  if (!even(p->source_offset) || !even(p->target_offset)) return 0;
  for (int32_t d = 0; d < last; d++) if (!even(p->source_strides[d]) || !even(p->target_strides[d])) return 0;
  for (int32_t d = 0; d < last; d++) {
    p->source_strides[d] /= 2;
    p->target_strides[d] /= 2;
  }
  p->source_offset /= 2;
  p->target_offset /= 2;
  p->element_size *= 2;
  p->dims[last] /= 2;
  if (p->dims[last] == 1) p->rank--;
  return 1;
}

int32_t kiln_copy_prepare(kiln_copy_params *p) {
  if (p->rank < 0 || p->rank > KILN_COPY_MAX_RANK) return -1;
  if (p->element_size != 1 && p->element_size != 2 && p->element_size != 4 && p->element_size != 8) return -1;
  int32_t kept = 0;
  for (int32_t d = 0; d < p->rank; d++) if (p->dims[d] != 1) { swap_dims(p, kept, d); kept++; }
  p->rank = kept;
  for (int32_t a = 1; a < p->rank; a++) {
    for (int32_t b = a; b > 0 && magnitude(p->target_strides[b - 1]) < magnitude(p->target_strides[b]); b--) swap_dims(p, b - 1, b);
  }
  int32_t rank = 0;
  for (int32_t d = 0; d < p->rank; d++) {
    const int32_t e = rank - 1;
    if (rank > 0 && p->source_strides[e] == p->source_strides[d] * p->dims[d] && p->target_strides[e] == p->target_strides[d] * p->dims[d]) {
      p->dims[e] *= p->dims[d];
      p->source_strides[e] = p->source_strides[d];
      p->target_strides[e] = p->target_strides[d];
    } else {
      swap_dims(p, rank, d);
      rank++;
    }
  }
  p->rank = rank;
  while (widen(p)) {}
  p->plane = -1;
  const int32_t last = p->rank - 1;
  if (p->rank > 1 && p->target_strides[last] == 1 && p->source_strides[last] != 1) {
    for (int32_t d = 0; d < last; d++) if (p->source_strides[d] == 1 && p->dims[d] > 1) p->plane = d;
  }
  p->prepared = 1;
  return 0;
}

typedef uint32_t four __attribute__((ext_vector_type(4), aligned(4), may_alias));
typedef struct { uint64_t low, high; } sixteen;

// Source (a, b) is at source + a * source_row + b elements, target (b, a) at target + b * target_row + a elements.
#define TRANSPOSE(NAME, T)                                                                                         \
  static void NAME(const char *source, int64_t source_row, char *target, int64_t target_row, int64_t na, int64_t nb) { \
    for (int64_t b = 0; b < nb; b++) {                                                                             \
      const char *s = source + b * (int64_t)sizeof(T);                                                             \
      char *t = target + b * target_row * (int64_t)sizeof(T);                                                      \
      for (int64_t a = 0; a < na; a++) memcpy(t + a * (int64_t)sizeof(T), s + a * source_row * (int64_t)sizeof(T), sizeof(T)); \
    }                                                                                                              \
  }

// Rows of 3 in the target, the channels of an image: three streams are interleaved.
static void interleave_3(const char *source, int64_t source_row, char *target, int64_t n) {
  const char *s1 = source + source_row * 4, *s2 = s1 + source_row * 4;
  for (int64_t b = 0; b < n; b++) {
    memcpy(target + b * 12, source + b * 4, 4);
    memcpy(target + b * 12 + 4, s1 + b * 4, 4);
    memcpy(target + b * 12 + 8, s2 + b * 4, 4);
  }
}

TRANSPOSE(transpose_1, uint8_t)
TRANSPOSE(transpose_2, uint16_t)
TRANSPOSE(transpose_4_edge, uint32_t)
TRANSPOSE(transpose_8, uint64_t)
TRANSPOSE(transpose_16, sixteen)

static void transpose_4(const char *source, int64_t source_row, char *target, int64_t target_row, int64_t na, int64_t nb) {
  if (na == 3 && target_row == 3) {
    interleave_3(source, source_row, target, nb);
    return;
  }
  int64_t b = 0;
  for (; b + 4 <= nb; b += 4) {
    int64_t a = 0;
    for (; a + 4 <= na; a += 4) {
      const char *s = source + (a * source_row + b) * 4;
      char *t = target + (b * target_row + a) * 4;
      const four r0 = *(const four *)(const void *)s, r1 = *(const four *)(const void *)(s + source_row * 4);
      const four r2 = *(const four *)(const void *)(s + source_row * 8), r3 = *(const four *)(const void *)(s + source_row * 12);
      const four l0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), h0 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
      const four l1 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), h1 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
      *(four *)(void *)t = __builtin_shufflevector(l0, l1, 0, 1, 4, 5);
      *(four *)(void *)(t + target_row * 4) = __builtin_shufflevector(l0, l1, 2, 3, 6, 7);
      *(four *)(void *)(t + target_row * 8) = __builtin_shufflevector(h0, h1, 0, 1, 4, 5);
      *(four *)(void *)(t + target_row * 12) = __builtin_shufflevector(h0, h1, 2, 3, 6, 7);
    }
    if (a < na) transpose_4_edge(source + (a * source_row + b) * 4, source_row, target + (b * target_row + a) * 4, target_row, na - a, 4);
  }
  if (b < nb) transpose_4_edge(source + b * 4, source_row, target + b * target_row * 4, target_row, na, nb - b);
}

static void transpose_tile(int32_t size, const char *s, int64_t source_row, char *t, int64_t target_row, int64_t na, int64_t nb) {
  switch (size) {
    case 1: transpose_1(s, source_row, t, target_row, na, nb); break;
    case 2: transpose_2(s, source_row, t, target_row, na, nb); break;
    case 4: transpose_4(s, source_row, t, target_row, na, nb); break;
    case 8: transpose_8(s, source_row, t, target_row, na, nb); break;
    default: transpose_16(s, source_row, t, target_row, na, nb); break;
  }
}

#define ROW(T)                                                                                       \
  for (int64_t i = 0; i < n; i++) {                                                                  \
    T v;                                                                                             \
    memcpy(&v, s + i * ss * (int64_t)sizeof(T), sizeof(T));                                          \
    memcpy(t + i * ts * (int64_t)sizeof(T), &v, sizeof(T));                                          \
  }

static void row(int32_t size, const char *s, int64_t ss, char *t, int64_t ts, int64_t n) {
  if (ss == 1 && ts == 1) {
    if (s != t) memcpy(t, s, (size_t)(n * size));
  } else if (ss == 0 && ts == 1 && size <= 8) {
    kiln_move_fill(t, s, size, n);
  } else {
    switch (size) {
      case 1: ROW(uint8_t) break;
      case 2: ROW(uint16_t) break;
      case 4: ROW(uint32_t) break;
      case 8: ROW(uint64_t) break;
      default: ROW(sixteen) break;
    }
  }
}

void kiln_move_fill(char *target, const void *value, int32_t size, int64_t n) {
  if (size == 1) {
    memset(target, *(const uint8_t *)value, (size_t)n);
    return;
  }
  // The first elements one by one, then ever longer stretches of what is there.
  const size_t total = (size_t)(n * size);
  size_t done = 0;
  for (; done < total && done < 64; done += (size_t)size) memcpy(target + done, value, (size_t)size);
  while (done < total) {
    size_t more = done < total - done ? done : total - done;
    if (more > 4096) more = 4096;
    memcpy(target + done, target, more);
    done += more;
  }
}

// The extent of a tile along the plane's second dim: longer where the first is short.
static int64_t plane_tile(const kiln_copy_params *p) { return p->dims[p->rank - 1] < TILE ? 16 * TILE : TILE; }

// The units of work: outer positions (all dims but the last and, for a plane, its second) times pieces of the row or plane.
typedef struct {
  int64_t outer, pieces;
} units;
static units units_of(const kiln_copy_params *p) {
  units u = {1, 1};
  for (int32_t d = 0; d + 1 < p->rank; d++) if (d != p->plane) u.outer *= p->dims[d];
  if (p->plane >= 0) u.pieces = (p->dims[p->plane] + plane_tile(p) - 1) / plane_tile(p);
  else if (p->rank > 0) u.pieces = (p->dims[p->rank - 1] + CHUNK - 1) / CHUNK;
  return u;
}

void kiln_copy(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_copy_params *p = params;
  const int32_t size = p->element_size, last = p->rank - 1;
  for (int32_t d = 0; d < p->rank; d++) if (p->dims[d] == 0) return;
  const char *source = (const char *)operands[0] + p->source_offset * size;
  char *target = (char *)operands[1] + p->target_offset * size;
  if (p->rank == 0) {
    if (part == 0) memcpy(target, source, (size_t)size);
    return;
  }
  const units u = units_of(p);
  const int64_t first = u.outer * u.pieces * part / parts, end = u.outer * u.pieces * (part + 1) / parts;
  int64_t index[KILN_COPY_MAX_RANK] = {0}, from = 0, to = 0, piece = first % u.pieces;
  for (int64_t d = last - 1, rest = first / u.pieces; d >= 0; d--) {
    if (d == p->plane) continue;
    index[d] = rest % p->dims[d];
    rest /= p->dims[d];
    from += index[d] * p->source_strides[d];
    to += index[d] * p->target_strides[d];
  }
  for (int64_t k = first; k < end; k++) {
    if (p->plane >= 0) {
      const int64_t tile = plane_tile(p), b = piece * tile, nb = p->dims[p->plane] - b < tile ? p->dims[p->plane] - b : tile;
      const int64_t source_row = p->source_strides[last], target_row = p->target_strides[p->plane];
      for (int64_t a = 0; a < p->dims[last]; a += TILE) {
        const int64_t na = p->dims[last] - a < TILE ? p->dims[last] - a : TILE;
        transpose_tile(size, source + (from + a * source_row + b) * size, source_row, target + (to + b * target_row + a) * size, target_row, na, nb);
      }
    } else {
      const int64_t i = piece * CHUNK, n = p->dims[last] - i < CHUNK ? p->dims[last] - i : CHUNK;
      row(size, source + (from + i * p->source_strides[last]) * size, p->source_strides[last],
          target + (to + i * p->target_strides[last]) * size, p->target_strides[last], n);
    }
    if (++piece < u.pieces) continue;
    piece = 0;
    for (int32_t d = last - 1; d >= 0; d--) {
      if (d == p->plane) continue;
      from += p->source_strides[d];
      to += p->target_strides[d];
      if (++index[d] < p->dims[d]) break;
      from -= index[d] * p->source_strides[d];
      to -= index[d] * p->target_strides[d];
      index[d] = 0;
    }
  }
}

int32_t kiln_copy_parts(const kiln_copy_params *p, int32_t threads) {
  int64_t bytes = p->element_size;
  for (int32_t d = 0; d < p->rank; d++) bytes *= p->dims[d];
  const units u = units_of(p);
  return kiln_move_parts(bytes, u.outer * u.pieces, threads);
}

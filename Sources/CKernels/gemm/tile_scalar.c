// The portable tile: plain loops of fixed length, which compilers turn into whatever vectors the target has.
#include "scalar_finish.h"

enum { LANES = 8, ROWS = 4 };

static inline __attribute__((always_inline)) void run(const kiln_tile *t, const int rows, const bool transposed) {
  float sum[ROWS][LANES] = {{0}};
  const float *b = t->b;
  if (transposed) {
    for (int64_t k = 0; k < t->k; k++, b += t->ldb)
      for (int r = 0; r < rows; r++)
        for (int j = 0; j < LANES; j++) sum[r][j] += t->rows[0][k * t->step + r] * b[j];
  }
  for (int32_t o = 0; o < (transposed ? 0 : t->outer); o++) {
    for (int32_t i = 0; i < t->inner; i++) {
      const int64_t at = o * t->outer_stride + i * t->inner_stride;
      for (int64_t k = 0; k < t->k; k++, b += t->ldb)
        for (int r = 0; r < rows; r++)
          for (int j = 0; j < LANES; j++) sum[r][j] += t->rows[r][at + k] * b[j];
    }
  }
  for (int r = 0; r < rows; r++) {
    for (int32_t j = 0; j < t->columns; j++) {
      float x = sum[r][j];
      if (t->bias) x += t->bias[j];
      if (t->residual) x += t->residual[r * t->ldr + j];
      t->c[r * t->ldc + j] = kiln_finished(t->finish, t->p, x);
    }
  }
}

#define TILES(n)                                                  \
  static void rows##n(const kiln_tile *t) { run(t, n, false); } \
  static void columns##n(const kiln_tile *t) { run(t, n, true); }
TILES(1)
TILES(2)
TILES(3)
TILES(4)

const kiln_tile_function kiln_tiles_scalar[] = {rows1, rows2, rows3, rows4}, kiln_transposed_scalar[] = {columns1, columns2, columns3, columns4};
const kiln_strip kiln_strips_scalar[] = {{0}};

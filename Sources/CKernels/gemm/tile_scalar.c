// The portable tile: plain loops of fixed length, which compilers turn into whatever vectors the target has.
#include "scalar_finish.h"

enum { LANES = 8, ROWS = 4 };

static inline __attribute__((always_inline)) void run(const kiln_tile *t, const int rows) {
  float sum[ROWS][LANES] = {{0}};
  const float *b = t->b;
  for (int32_t o = 0; o < t->outer; o++) {
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

static void rows1(const kiln_tile *t) { run(t, 1); }
static void rows2(const kiln_tile *t) { run(t, 2); }
static void rows3(const kiln_tile *t) { run(t, 3); }
static void rows4(const kiln_tile *t) { run(t, 4); }

const kiln_tile_function kiln_tiles_scalar[] = {rows1, rows2, rows3, rows4};

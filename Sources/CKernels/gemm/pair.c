// Block after block of rows through two products, so that what lies between stays in the second-level cache.
#include "tile.h"

enum {
  BLOCK_FLOATS = 96 * 1024,  // of a block between the products
  BLOCK_ROWS = 128,
  WORTH_FLOATS = 512 * 1024,  // between the products in all
  // Packed, of both products: every block reads them again.
  MOST_WEIGHTS = 384 * 1024,
};

// The pad breaks power-of-two strides.
static int64_t pitch_of(const kiln_gemm_pair_params *p) { return (p->first.n + 15) / 16 * 16 + 16; }

static int64_t block_rows(const kiln_gemm_pair_params *p) {
  const int64_t height = kiln_tiles()->rows, fit = BLOCK_FLOATS / pitch_of(p), rows = (fit < BLOCK_ROWS ? fit : BLOCK_ROWS) / height * height;
  return rows < height ? height : rows;
}

bool kiln_gemm_pair_worth(const kiln_gemm_pair_params *p, int32_t threads) {
  const kiln_gemm_params *first = &p->first, *second = &p->second;
  if (first->n > BLOCK_FLOATS / 64 || first->k > MOST_WEIGHTS || second->n > MOST_WEIGHTS) return false;
  return first->m >= 64 * (int64_t)threads && first->m * first->n >= WORTH_FLOATS && first->n * (first->k + second->n) <= MOST_WEIGHTS;
}

int32_t kiln_gemm_pair_parts(const kiln_gemm_pair_params *p, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const double macs = (double)p->first.m * (double)p->first.n * ((double)p->first.k + (double)p->second.n);
  const int32_t parts = kiln_worthwhile_parts(2 * macs / (set->lanes * set->vectors * 2.5), threads);
  const int64_t most = (p->first.m + set->rows - 1) / set->rows;
  return (int32_t)(most < 1 ? 1 : parts < most ? parts : most);
}

size_t kiln_gemm_pair_scratch_bytes(const kiln_gemm_pair_params *p, int32_t parts) {
  return (size_t)(block_rows(p) * pitch_of(p) * parts) * sizeof(float);
}

void kiln_gemm_pair_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_gemm_pair_params *p = params;
  const float *a = operands[0], *residual = operands[5];
  float *c = operands[6];
  const int64_t pitch = pitch_of(p), step = block_rows(p), height = kiln_tiles()->rows, units = (p->first.m + height - 1) / height;
  float *const between = (float *)operands[7] + part * step * pitch;
  kiln_block first = kiln_gemm_block(&p->first, operands), second = kiln_gemm_block(&p->second, operands + 2);
  first.ldc = pitch;
  second.bias = operands[4];
  int64_t row = kiln_share(units, part, parts) * height, end = kiln_share(units, part + 1, parts) * height;
  if (end > p->first.m) end = p->first.m;
  const float *rows[BLOCK_ROWS];
  while (row < end) {
    // Blocks of nearly equal height.
    const int64_t blocks = (end - row + step - 1) / step, even = ((end - row + blocks - 1) / blocks + height - 1) / height * height;
    const int64_t count = end - row < even ? end - row : even;
    for (int64_t i = 0; i < count; i++) rows[i] = a + (row + i) * p->first.lda;
    kiln_block_run(&first, rows, count, NULL, between);
    for (int64_t i = 0; i < count; i++) rows[i] = between + i * pitch;
    kiln_block_run(&second, rows, count, residual ? residual + row * p->second.ldr : NULL, c + row * p->second.ldc);
    row += count;
  }
}

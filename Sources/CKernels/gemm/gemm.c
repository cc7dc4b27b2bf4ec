#include "../include/kiln_gemm.h"
#include "tile.h"

size_t kiln_gemm_packed_bytes(int64_t n, int64_t k) {
  return (size_t)(kiln_padded_columns(kiln_tiles(), n) * k) * sizeof(float);
}

void kiln_gemm_pack(const float *b, int64_t row_stride, int64_t column_stride, int64_t n, int64_t k, float *out) {
  const kiln_tile_set *set = kiln_tiles();
  kiln_pack_panels(set, b, row_stride, column_stride, n, k, 1, 0, k, 0, kiln_panel_count(set, n), out);
}

int32_t kiln_gemm_parts(kiln_gemm_params *g, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const double flops = 2.0 * (double)g->m * (double)g->n * (double)g->k;
  const double bytes = 4.0 * ((double)g->n * (double)g->k + (double)g->m * (double)(g->k + g->n));
  const double nanoseconds = flops / (set->lanes * set->vectors * 2.5) + bytes / 60;
  const int32_t parts = kiln_worthwhile_parts(nanoseconds, threads);
  const int64_t row_units = (g->m + set->rows - 1) / set->rows, panels = kiln_panel_count(set, g->n);
  // Rows share one copy of B; columns are for when rows are few against them.
  const bool few_rows = row_units < 2 * parts, wide = g->m <= 196 && g->n >= 1024;
  const bool columns = panels >= parts && (few_rows ? panels > row_units : wide);
  g->split = columns ? KILN_SPLIT_COLUMNS : KILN_SPLIT_ROWS;
  const int64_t most = columns ? panels : row_units;
  return (int32_t)(most < 1 ? 1 : parts < most ? parts : most);
}

void kiln_gemm_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_gemm_params *g = params;
  const float *a = operands[0], *residual = operands[3];
  float *c = operands[4];
  const kiln_tile_set *set = kiln_tiles();
  int64_t row = 0, end_row = g->m, panel = 0, end_panel = kiln_panel_count(set, g->n);
  if (g->split == KILN_SPLIT_COLUMNS) {
    panel = kiln_share(end_panel, part, parts);
    end_panel = kiln_share(end_panel, part + 1, parts);
  } else {
    const int64_t units = (g->m + set->rows - 1) / set->rows;
    row = kiln_share(units, part, parts) * set->rows;
    end_row = kiln_share(units, part + 1, parts) * set->rows;
    if (end_row > g->m) end_row = g->m;
  }
  const kiln_block block = {
      .set = set, .packed = operands[1], .n = g->n, .depth = g->k, .first_panel = panel, .end_panel = end_panel,
      .outer = 1, .inner = 1, .k = g->k, .bias = operands[2], .ldr = g->ldr, .ldc = g->ldc, .activation = g->activation,
  };
  const float *rows[KILN_CHUNK_ROWS];
  while (row < end_row) {
    const int64_t count = end_row - row < KILN_CHUNK_ROWS ? end_row - row : KILN_CHUNK_ROWS;
    for (int64_t i = 0; i < count; i++) rows[i] = a + (row + i) * g->lda;
    kiln_block_run(&block, rows, count, residual ? residual + row * g->ldr : NULL, c + row * g->ldc);
    row += count;
  }
}

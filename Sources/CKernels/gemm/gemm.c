#include "../include/kiln_gemm.h"
#include "../elementwise/tier.h"
#include "tile.h"

enum { PREPARED_FLOATS = 48 * 1024 };  // of rows that went through the prologue, to stay in the second-level cache

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

// The pad breaks power-of-two strides, as in Winograd's blocks.
static int64_t prepared_pitch(const kiln_gemm_params *g) { return (g->k + 15) / 16 * 16 + 16; }

static int64_t chunk_rows(const kiln_gemm_params *g) {
  if (!g->prologue.sources) return KILN_CHUNK_ROWS;
  const int64_t height = kiln_tiles()->rows, fit = PREPARED_FLOATS / prepared_pitch(g) / height * height;
  return fit < 2 * height ? 2 * height : fit < KILN_CHUNK_ROWS ? fit : KILN_CHUNK_ROWS;
}

size_t kiln_gemm_scratch_bytes(const kiln_gemm_params *g, int32_t parts) {
  return g->prologue.sources ? (size_t)(chunk_rows(g) * prepared_pitch(g) * parts) * sizeof(float) : 0;
}

// Rows row..row + count of A through the prologue.
static void prepare(const kiln_gemm_params *g, void *const *operands, int64_t row, int64_t count, float *to, const float **rows) {
  const kiln_gemm_prologue *p = &g->prologue;
  const float *scale = operands[5], *shift = operands[6];
  const bool relu = p->activation.function == KILN_FN_relu;
  const kiln_ew_tier *tier = kiln_ew_best();
  const int64_t pitch = prepared_pitch(g), end = row + count;
  for (int64_t i = 0; i < count; i++) rows[i] = to + i * pitch;
  for (int64_t first = row; first < end;) {
    // Rows of one sample.
    int64_t until = end, column = 0;
    if (scale && p->scale_rows && (first / p->scale_rows + 1) * p->scale_rows < end) until = (first / p->scale_rows + 1) * p->scale_rows;
    const float *own = scale && p->scale_rows ? scale + first / p->scale_rows * g->k : scale;
    for (int32_t s = 0; s < p->sources; s++) {
      // A piece's last whole vector may run over the next one, which is written after it.
      const int64_t width = p->widths[s];
      const float *from = (const float *)operands[s == 0 ? 0 : 7 + s] + first * width;
      tier->affine(to + (first - row) * pitch + column, (size_t)pitch, from, (size_t)(until - first), own ? own + column : NULL,
                   shift ? shift + column : NULL, relu, (size_t)width);
      column += width;
    }
    first = until;
  }
  if (!relu) kiln_apply_rows_f32(p->activation, to, (size_t)count, (size_t)g->k, (size_t)pitch);
}

kiln_block kiln_gemm_block(const kiln_gemm_params *g, void *const *operands) {
  const kiln_tile_set *set = kiln_tiles();
  return (kiln_block){
      .set = set, .packed = operands[1], .n = g->n, .depth = g->k, .end_panel = kiln_panel_count(set, g->n),
      .outer = 1, .inner = 1, .k = g->k, .bias = operands[2], .ldr = g->ldr, .ldc = g->ldc, .activation = g->activation,
  };
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
  kiln_block block = kiln_gemm_block(g, operands);
  block.first_panel = panel;
  block.end_panel = end_panel;
  const float *rows[KILN_CHUNK_ROWS];
  const int64_t chunk = chunk_rows(g);
  float *prepared = g->prologue.sources ? (float *)operands[7] + part * chunk * prepared_pitch(g) : NULL;
  while (row < end_row) {
    const int64_t count = end_row - row < chunk ? end_row - row : chunk;
    if (prepared) prepare(g, operands, row, count, prepared, rows);
    for (int64_t i = 0; i < count && !prepared; i++) rows[i] = a + (row + i) * g->lda;
    kiln_block_run(&block, rows, count, residual ? residual + row * g->ldr : NULL, c + row * g->ldc);
    row += count;
  }
}

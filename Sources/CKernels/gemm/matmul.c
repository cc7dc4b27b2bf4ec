// A part owns whole batches, or, when parts outnumber batches, a share of one batch's rows or columns. It packs the
// panels of B that it needs (and the rows of A, if A's columns are not adjacent) into its own slice of the scratch. With few
// rows packing would cost more than the product, so whole panels are then read from B in place if its columns are adjacent.
#include "../include/kiln_gemm.h"
#include "tile.h"

enum { FEW_ROWS = 8 };

static int64_t packed_a(const kiln_matmul_params *p) { return p->a_column == 1 ? 0 : (KILN_CHUNK_ROWS * p->k + 15) / 16 * 16; }

static int64_t slice(const kiln_matmul_params *p) {
  return (kiln_padded_columns(kiln_tiles(), p->n) * p->k + 15) / 16 * 16 + packed_a(p);
}

size_t kiln_matmul_scratch_bytes(const kiln_matmul_params *p, int32_t parts) {
  return (size_t)(slice(p) * parts) * sizeof(float);
}

int32_t kiln_matmul_parts(kiln_matmul_params *p, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const int64_t batches = p->batch_outer * p->batch_inner;
  const double m = (double)p->m, n = (double)p->n, k = (double)p->k;
  const double each = 2 * m * n * k / (set->lanes * set->vectors * 2.5) + n * k / 8 + (m * k + m * n) / 15;
  const int32_t parts = kiln_worthwhile_parts(each * (double)batches, threads);
  const int64_t row_units = (p->m + set->rows - 1) / set->rows, panels = kiln_panel_count(set, p->n);
  p->split = panels >= parts && panels * 4 > row_units ? KILN_SPLIT_COLUMNS : KILN_SPLIT_ROWS;
  if (batches >= parts) return parts;
  if (batches <= 0) return 1;
  const int64_t most = batches * (p->split == KILN_SPLIT_COLUMNS ? panels : row_units);
  // A multiple of the batches, so that no part straddles two.
  const int64_t per_batch = (parts + batches - 1) / batches;
  return (int32_t)(most < 1 ? 1 : per_batch * batches < most ? per_batch * batches : most);
}

// Rows row..end_row and panels panel..end_panel of one batch.
static void product(const kiln_matmul_params *p, const float *a, const float *b, float *c, float *scratch, int64_t row,
                    int64_t end_row, int64_t panel, int64_t end_panel) {
  const kiln_tile_set *set = kiln_tiles();
  if (row >= end_row || panel >= end_panel) return;
  const bool in_place = p->b_column == 1 && end_row - row <= FEW_ROWS;
  const int64_t whole = p->n % set->lanes ? kiln_panel_count(set, p->n) - 1 : kiln_panel_count(set, p->n);
  const int64_t packed_from = !in_place || panel > whole ? panel : whole;
  kiln_pack_panels(set, b, p->b_row, p->b_column, p->n, p->k, in_place ? 1 : p->alpha, 0, p->k, packed_from, end_panel, scratch);
  float *own = scratch + slice(p) - packed_a(p);
  const kiln_block block = {
      .set = set, .packed = scratch, .plain = in_place ? b : NULL, .plain_stride = p->b_row, .n = p->n, .depth = p->k, .first_panel = panel, .end_panel = end_panel,
      .outer = 1, .inner = 1, .k = p->k, .ldc = p->c_row, .activation = {KILN_FN_identity, {0}},
  };
  const float *rows[KILN_CHUNK_ROWS];
  while (row < end_row) {
    const int64_t count = end_row - row < KILN_CHUNK_ROWS ? end_row - row : KILN_CHUNK_ROWS;
    const float *from = a + row * p->a_row;
    if (p->a_column == 1) {
      for (int64_t i = 0; i < count; i++) rows[i] = from + i * p->a_row;
    } else {
      for (int64_t i0 = 0; i0 < count; i0 += 16) {
        const int64_t i1 = i0 + 16 < count ? i0 + 16 : count;
        for (int64_t k = 0; k < p->k; k++)
          for (int64_t i = i0; i < i1; i++) own[i * p->k + k] = from[i * p->a_row + k * p->a_column];
      }
      for (int64_t i = 0; i < count; i++) rows[i] = own + i * p->k;
    }
    kiln_block_run(&block, rows, count, NULL, c + row * p->c_row);
    if (in_place && p->alpha != 1) {
      const int64_t from_column = kiln_panel_at(set, p->n, panel).column;
      const int64_t end_column = end_panel < kiln_panel_count(set, p->n) ? kiln_panel_at(set, p->n, end_panel).column : p->n;
      for (int64_t i = row; i < row + count; i++)
        for (int64_t j = from_column; j < end_column; j++) c[i * p->c_row + j] *= p->alpha;
    }
    row += count;
  }
}

void kiln_matmul_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_matmul_params *p = params;
  const kiln_tile_set *set = kiln_tiles();
  float *scratch = (float *)operands[3] + part * slice(p);
  const int64_t batches = p->batch_outer * p->batch_inner, panels = kiln_panel_count(set, p->n);
  // Shares within a batch: `parts / batches`, remaining parts idle.
  const int64_t per_batch = batches > 0 && parts > batches ? parts / batches : 1;
  const int64_t units = batches * per_batch;
  for (int64_t u = kiln_share(units, part, parts); u < kiln_share(units, part + 1, parts); u++) {
    const int64_t batch = u / per_batch, share = u % per_batch;
    const int64_t outer = batch / p->batch_inner, inner = batch % p->batch_inner;
    const float *a = (const float *)operands[0] + outer * p->a_outer + inner * p->a_inner;
    const float *b = (const float *)operands[1] + outer * p->b_outer + inner * p->b_inner;
    float *c = (float *)operands[2] + outer * p->c_outer + inner * p->c_inner;
    if (p->split == KILN_SPLIT_COLUMNS)
      product(p, a, b, c, scratch, 0, p->m, kiln_share(panels, share, per_batch), kiln_share(panels, share + 1, per_batch));
    else
      product(p, a, b, c, scratch, kiln_share(p->m, share, per_batch), kiln_share(p->m, share + 1, per_batch), 0, panels);
  }
}

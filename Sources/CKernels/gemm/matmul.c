// A part owns whole batches, or, when parts outnumber batches, a share of one batch's rows or columns. It packs the
// panels of B that it needs (and the rows of A, if A's columns are not adjacent) into its own slice of the scratch. With few
// rows packing would cost more than the product, so whole panels are then read from B in place if its columns are adjacent.
// Deep products go by chunks of depth whose panels stay in the first-level cache, each added to C. Columns of A whose
// neighbours are adjacent (a transposed A) are read in place.
#include "../include/kiln_gemm.h"
#include "tile.h"

enum { FEW_ROWS = 8, WHOLE_DEPTH = 256, CHUNK_DEPTH = 192 };

static bool is_transposed(const kiln_matmul_params *p) { return p->a_row == 1 && p->a_column != 1; }

int64_t kiln_chunk_depth(int64_t depth) {
  if (depth <= WHOLE_DEPTH) return depth;
  const int64_t chunks = (depth + CHUNK_DEPTH - 1) / CHUNK_DEPTH;
  return (depth + chunks - 1) / chunks;
}

// No chunk is deeper; a product that is less deep needs no more, so that one scratch serves products of several depths.
static int64_t deepest(const kiln_matmul_params *p) { return p->k < WHOLE_DEPTH ? p->k : WHOLE_DEPTH; }

static int64_t packed_a(const kiln_matmul_params *p) {
  return p->a_column == 1 || is_transposed(p) ? 0 : (KILN_CHUNK_ROWS * deepest(p) + 15) / 16 * 16;
}

static int64_t slice(const kiln_matmul_params *p) {
  return (kiln_padded_columns(kiln_tiles(), p->n) * deepest(p) + 15) / 16 * 16 + packed_a(p);
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

// Rows row..end_row and panels panel..end_panel of one batch, `depth` of its depth from `at` on.
static void product(const kiln_matmul_params *p, const float *a, const float *b, float *c, float *scratch, int64_t row,
                    int64_t end_row, int64_t panel, int64_t end_panel, int64_t at, int64_t depth) {
  const kiln_tile_set *set = kiln_tiles();
  const bool in_place = p->b_column == 1 && end_row - row <= FEW_ROWS;
  const int64_t whole = p->n % set->lanes ? kiln_panel_count(set, p->n) - 1 : kiln_panel_count(set, p->n);
  const int64_t packed_from = !in_place || panel > whole ? panel : whole;
  a += at * p->a_column;
  b += at * p->b_row;
  kiln_pack_panels(set, b, p->b_row, p->b_column, p->n, depth, in_place ? 1 : p->alpha, 0, depth, packed_from, end_panel, scratch);
  float *own = scratch + slice(p) - packed_a(p);
  const kiln_block block = {
      .set = set, .packed = scratch, .plain = in_place ? b : NULL, .plain_stride = p->b_row, .n = p->n, .depth = depth, .first_panel = panel, .end_panel = end_panel,
      .outer = 1, .inner = 1, .k = depth, .step = is_transposed(p) ? p->a_column : 0, .ldr = p->c_row, .ldc = p->c_row,
      .activation = {KILN_FN_identity, {0}},
  };
  const float *rows[KILN_CHUNK_ROWS];
  while (row < end_row) {
    const int64_t count = end_row - row < KILN_CHUNK_ROWS ? end_row - row : KILN_CHUNK_ROWS;
    const float *from = a + row * p->a_row;
    if (p->a_column == 1 || is_transposed(p)) {
      for (int64_t i = 0; i < count; i++) rows[i] = from + i * p->a_row;
    } else {
      for (int64_t i0 = 0; i0 < count; i0 += 16) {
        const int64_t i1 = i0 + 16 < count ? i0 + 16 : count;
        for (int64_t k = 0; k < depth; k++)
          for (int64_t i = i0; i < i1; i++) own[i * depth + k] = from[i * p->a_row + k * p->a_column];
      }
      for (int64_t i = 0; i < count; i++) rows[i] = own + i * depth;
    }
    float *to = c + row * p->c_row;
    kiln_block_run(&block, rows, count, at > 0 ? to : NULL, to);
    row += count;
  }
}

// All of the depth, by chunks.
static void chunks(const kiln_matmul_params *p, const float *a, const float *b, float *c, float *scratch, int64_t row,
                   int64_t end_row, int64_t panel, int64_t end_panel) {
  if (row >= end_row || panel >= end_panel) return;
  const int64_t step = kiln_chunk_depth(p->k);
  int64_t at = 0;
  do {
    const int64_t depth = p->k - at < step ? p->k - at : step;
    product(p, a, b, c, scratch, row, end_row, panel, end_panel, at, depth);
    at += step;
  } while (at < p->k);
  // B that was read in place was not scaled.
  if (p->alpha == 1 || p->b_column != 1 || end_row - row > FEW_ROWS) return;
  const kiln_tile_set *set = kiln_tiles();
  const int64_t from_column = kiln_panel_at(set, p->n, panel).column;
  const int64_t end_column = end_panel < kiln_panel_count(set, p->n) ? kiln_panel_at(set, p->n, end_panel).column : p->n;
  for (int64_t i = row; i < end_row; i++)
    for (int64_t j = from_column; j < end_column; j++) c[i * p->c_row + j] *= p->alpha;
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
    const int64_t strided[3] = {outer * p->a_outer, outer * p->b_outer, outer * p->c_outer};
    const int64_t *at = p->outer ? p->outer + outer * 3 : strided;
    const float *a = (const float *)operands[0] + at[0] + inner * p->a_inner;
    const float *b = (const float *)operands[1] + at[1] + inner * p->b_inner;
    float *c = (float *)operands[2] + at[2] + inner * p->c_inner;
    if (p->split == KILN_SPLIT_COLUMNS)
      chunks(p, a, b, c, scratch, 0, p->m, kiln_share(panels, share, per_batch), kiln_share(panels, share + 1, per_batch));
    else
      chunks(p, a, b, c, scratch, kiln_share(p->m, share, per_batch), kiln_share(p->m, share + 1, per_batch), 0, panels);
  }
}

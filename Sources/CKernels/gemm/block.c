#include "tile.h"

#include <math.h>

// Deep products hide what a tile costs besides its multiplications.
enum { MOST_DEPTH_OF_STRIPS = 256 };

#define KILN_TILE_SET(tier, name, lanes, vectors, rows) extern const kiln_tile_function kiln_tiles_##name[], kiln_transposed_##name[]; \
  extern const kiln_strip kiln_strips_##name[];
#include "kernels.inc"
#undef KILN_TILE_SET

#define KILN_TILE_SET(tier, name, lanes, vectors, rows) [tier] = {lanes, vectors, rows, kiln_tiles_##name, kiln_transposed_##name, kiln_strips_##name},
static const kiln_tile_set sets[] = {
#include "kernels.inc"
};
#undef KILN_TILE_SET

const kiln_tile_set *kiln_tiles(void) { return &sets[kiln_cpu_tier()]; }

int64_t kiln_padded_columns(const kiln_tile_set *set, int64_t n) { return (n + set->lanes - 1) / set->lanes * set->lanes; }

int64_t kiln_panel_count(const kiln_tile_set *set, int64_t n) {
  const int64_t vectors = kiln_padded_columns(set, n) / set->lanes;
  return (vectors + set->vectors - 1) / set->vectors;
}

kiln_panel kiln_panel_at(const kiln_tile_set *set, int64_t n, int64_t index) {
  const int64_t vectors = kiln_padded_columns(set, n) / set->lanes, widest = set->vectors;
  const int64_t count = (vectors + widest - 1) / widest;
  // With widest = 3 and one vector over, the last two panels are 2 + 2 in place of 3 + 1.
  const bool even = widest == 3 && vectors % 3 == 1 && vectors > 3;
  int64_t first = index * widest, width = vectors - first < widest ? vectors - first : widest;
  if (even && index >= count - 2) {
    first = vectors - 2 * (count - index);
    width = 2;
  }
  return (kiln_panel){first * set->lanes, (int32_t)width};
}

typedef float four __attribute__((ext_vector_type(4), aligned(4), may_alias));

// to[k * width + j] = from[j * stride + k].
static void transpose(const float *from, int64_t stride, float *to, int64_t width, int64_t columns, int64_t depth) {
  int64_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    const float *f = from + j * stride;
    float *t = to + j;
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4, t += 4 * width) {
      const four r0 = *(const four *)(f + k), r1 = *(const four *)(f + stride + k);
      const four r2 = *(const four *)(f + 2 * stride + k), r3 = *(const four *)(f + 3 * stride + k);
      const four l0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), h0 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
      const four l1 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), h1 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
      *(four *)t = __builtin_shufflevector(l0, l1, 0, 1, 4, 5);
      *(four *)(t + width) = __builtin_shufflevector(l0, l1, 2, 3, 6, 7);
      *(four *)(t + 2 * width) = __builtin_shufflevector(h0, h1, 0, 1, 4, 5);
      *(four *)(t + 3 * width) = __builtin_shufflevector(h0, h1, 2, 3, 6, 7);
    }
    for (; k < depth; k++, t += width)
      for (int64_t i = 0; i < 4; i++) t[i] = f[i * stride + k];
  }
  for (; j < columns; j++)
    for (int64_t k = 0; k < depth; k++) to[k * width + j] = from[j * stride + k];
}

void kiln_pack_panels(const kiln_tile_set *set, const float *b, int64_t row_stride, int64_t column_stride, int64_t n,
                      int64_t depth, float scale, int64_t at, int64_t total, int64_t first, int64_t end, float *out) {
  for (int64_t p = first; p < end; p++) {
    const kiln_panel panel = kiln_panel_at(set, n, p);
    const int64_t width = panel.vectors * set->lanes;
    const int64_t columns = n - panel.column < width ? n - panel.column : width;
    float *to = out + panel.column * total + at * width;
    const float *from = b + panel.column * column_stride;
    if (column_stride == 1) {
      for (int64_t k = 0; k < depth; k++) {
        for (int64_t j = 0; j < columns; j++) to[k * width + j] = scale * from[k * row_stride + j];
        for (int64_t j = columns; j < width; j++) to[k * width + j] = 0;
      }
      continue;
    }
    if (row_stride == 1) {
      transpose(from, column_stride, to, width, columns, depth);
      for (int64_t k = 0; k < depth; k++)
        for (int64_t j = columns; j < width; j++) to[k * width + j] = 0;
      for (int64_t i = 0; i < width * depth && scale != 1; i++) to[i] *= scale;
      continue;
    }
    // Short runs of depth keep the panel's lines in cache while each column is read along its rows.
    for (int64_t k0 = 0; k0 < depth; k0 += 16) {
      const int64_t k1 = k0 + 16 < depth ? k0 + 16 : depth;
      for (int64_t j = 0; j < columns; j++)
        for (int64_t k = k0; k < k1; k++) to[k * width + j] = scale * from[k * row_stride + j * column_stride];
      for (int64_t j = columns; j < width; j++)
        for (int64_t k = k0; k < k1; k++) to[k * width + j] = 0;
    }
  }
}

bool kiln_finish_of(kiln_activation a, kiln_finish *finish, float *p) {
  p[0] = a.p[0];
  p[1] = a.p[1];
  switch (a.function) {
    case KILN_FN_relu:
      *finish = KILN_FINISH_CLIP;
      p[0] = 0;
      p[1] = INFINITY;
      return true;
    case KILN_FN_clip: *finish = KILN_FINISH_CLIP; return true;
    case KILN_FN_leaky_relu: *finish = KILN_FINISH_LEAKY; return true;
    case KILN_FN_hard_sigmoid: *finish = KILN_FINISH_HARD_SIGMOID; return true;
    case KILN_FN_hard_swish: *finish = KILN_FINISH_HARD_SWISH; return true;
    default: *finish = KILN_FINISH_NONE; return a.function == KILN_FN_identity;
  }
}

// How many of the rows from `first` on lie equally far apart.
static int64_t even_rows(const float *const *rows, int64_t first, int64_t count) {
  if (first + 1 >= count) return count - first;
  const ptrdiff_t apart = rows[first + 1] - rows[first];
  int64_t end = first + 2;
  while (end < count && rows[end] - rows[end - 1] == apart) end++;
  return end - first;
}

// What all tiles of a panel share.
typedef struct {
  const kiln_block *block;
  kiln_panel panel;
  const float *const *rows;
  const float *residual;
  float *c;
  bool finishes;
} column;

static void run_tile(const column *p, kiln_tile *tile, kiln_tile_function function, int64_t row, int64_t height) {
  const kiln_block *block = p->block;
  tile->rows = p->rows + row;
  tile->residual = p->residual ? p->residual + row * block->ldr + p->panel.column : NULL;
  tile->c = p->c + row * block->ldc + p->panel.column;
  function(tile);
  if (!p->finishes) kiln_apply_rows_f32(block->activation, tile->c, (size_t)height, (size_t)tile->columns, (size_t)block->ldc);
}

// Rows first..end in tiles of nearly equal height: a lone last row would read the whole panel for little.
static void run_tiles(const column *p, kiln_tile *tile, int64_t first, int64_t end, int64_t bytes) {
  const kiln_block *block = p->block;
  const kiln_tile_set *set = block->set;
  const int64_t width = p->panel.vectors * set->lanes, count = end - first, tiles = (count + set->rows - 1) / set->rows;
  for (int64_t i = 0; i < tiles; i++) {
    const int64_t r = kiln_share(count, i, tiles), height = kiln_share(count, i + 1, tiles) - r;
    tile->ahead = height < 4 ? kiln_ahead_of_few(tile->b, bytes)
                             : kiln_ahead(tile->b + block->depth * width, block->depth, i, tiles, height == set->rows, bytes);
    const int64_t index = (height - 1) * set->vectors + p->panel.vectors - 1;
    run_tile(p, tile, (block->step ? set->transposed : set->functions)[index], first + r, height);
  }
}

void kiln_block_run(const kiln_block *block, const float *const *rows, int64_t count, const float *residual, float *c) {
  if (count <= 0 || block->first_panel >= block->end_panel) return;
  const kiln_tile_set *set = block->set;
  kiln_tile tile = {
      .outer = block->outer, .inner = block->inner, .k = block->k,
      .outer_stride = block->outer_stride, .inner_stride = block->inner_stride,
      .ldr = block->ldr, .ldc = block->ldc,
  };
  column part = {.block = block, .rows = rows, .residual = residual, .c = c};
  part.finishes = kiln_finish_of(block->activation, &tile.finish, tile.p);
  const int64_t bytes = block->plain ? 0 : block->n * block->depth * (int64_t)sizeof(float);
  for (int64_t p = block->first_panel; p < block->end_panel; p++) {
    const kiln_panel panel = part.panel = kiln_panel_at(set, block->n, p);
    const int64_t width = panel.vectors * set->lanes, left = block->n - panel.column;
    tile.b = block->packed + panel.column * block->depth;
    tile.ldb = width;
    tile.columns = (int32_t)(left < width ? left : width);
    if (block->plain && tile.columns == width) {
      tile.b = block->plain + panel.column;
      tile.ldb = block->plain_stride;
    }
    tile.bias = block->bias ? block->bias + panel.column : NULL;
    const kiln_strip strip = set->strips[panel.vectors - 1];
    if (!strip.rows || block->step || block->depth > MOST_DEPTH_OF_STRIPS) {
      tile.step = block->step;
      run_tiles(&part, &tile, 0, count, bytes);
      continue;
    }
    for (int64_t first = 0; first < count;) {
      const int64_t even = even_rows(rows, first, count), end = first + even;
      tile.step = even > 1 ? rows[first + 1] - rows[first] : 0;
      for (; first + strip.rows <= end; first += strip.rows) run_tile(&part, &tile, strip.function, first, strip.rows);
      run_tiles(&part, &tile, first, end, bytes);
      first = end;
    }
  }
}

int32_t kiln_worthwhile_parts(double nanoseconds, int32_t threads) {
  // One-thread work that pays for handing a share over: more where processors are far from each other.
  const double far = 12 * kiln_handover_nanoseconds(), least = far > 1500 ? far : 1500;
  const double worth = nanoseconds / least;
  if (worth < 2) return 1;
  return worth < threads ? (int32_t)worth : threads < 1 ? 1 : threads;
}

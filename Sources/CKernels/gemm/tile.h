// The register tile that matrix products and convolutions share, and the loops around it.
//
//                     columns: panels of 1..vectors vectors, the wide ones first
//                      |<---- 48 ---->|<---- 48 ---->|<- 32 ->|<- 32 ->|
//   rows[0] -> a0 ---- +--------------+              .        .        |   tile: rows x panel, held in registers over
//   rows[1] -> a1 ---- |     tile     |              .        .        |   the whole depth, then finished (bias,
//   ...                |              |              .        .        |   residual, activation) and stored once
//   rows[7] -> a7 ---- +--------------+              .        .        |
//
// Depth: `outer * inner` segments of `k` consecutive floats. Segment (o, i) of row r begins at
// rows[r] + o * outer_stride + i * inner_stride. A matrix product has one segment; a convolution has one a kernel row
// (k = kernel_w * C) or one a tap (k = C). Rows are pointers, so a tile may cross output rows of an image.
//
// Packed B of a panel is [depth][width], width a multiple of the tier's lanes, columns beyond n zero. Panels follow
// each other, so the panel whose first column is j begins at float j * depth. A panel of one vector occurs only when
// n has one vector in all: four vectors left are cut 2 + 2.
#ifndef KILN_TILE_H
#define KILN_TILE_H

#include "../include/kiln_gemm.h"

enum { KILN_MAX_TILE_ROWS = 8, KILN_CHUNK_ROWS = 256 };

// How a tile finishes its values. Functions other than these run over the finished rows (KILN_FINISH_NONE in the tile).
typedef enum {
  KILN_FINISH_NONE,
  KILN_FINISH_CLIP,          // p[0] <= x <= p[1]
  KILN_FINISH_LEAKY,         // p[0] * x below 0
  KILN_FINISH_HARD_SIGMOID,  // clip(p[0] * x + p[1], 0, 1)
  KILN_FINISH_HARD_SWISH,    // x * clip(x + 3, 0, 6) / 6
} kiln_finish;

typedef struct {
  const float *const *rows;
  const float *b;
  int64_t ldb;  // floats between two depths of b
  const float *ahead;  // NULL, or what to bring towards the core meanwhile: up to 32 floats a depth
  int32_t outer, inner;
  int64_t k, outer_stride, inner_stride;
  int64_t step;           // of tiles over a transposed A: floats between two depths of rows[0], whose rows lie side by side; of
                          // strips: floats between two rows, of which only rows[0] is looked at
  const float *bias;      // NULL or `columns` values
  const float *residual;  // NULL or rows x columns
  float *c;
  int64_t ldr, ldc;
  int32_t columns;  // valid ones in this panel
  kiln_finish finish;
  float p[2];
} kiln_tile;

// True if tiles apply the activation themselves, with `finish` and p[0..1]; otherwise it runs over their finished rows.
bool kiln_finish_of(kiln_activation activation, kiln_finish *finish, float *p);

typedef void (*kiln_tile_function)(const kiln_tile *tile);

// A taller tile of narrow panels, over rows that lie equally far apart.
typedef struct {
  int32_t rows;  // 0: there is none
  kiln_tile_function function;
} kiln_strip;

// A tier's tiles: functions[(rows - 1) * vectors + (v - 1)]; `transposed` those over columns of A, of one segment;
// `strips` one for each number of vectors.
typedef struct {
  int32_t lanes, vectors, rows;
  const kiln_tile_function *functions, *transposed;
  const kiln_strip *strips;
} kiln_tile_set;

const kiln_tile_set *kiln_tiles(void);  // the current tier's

// Panels of n columns.
typedef struct {
  int64_t column;
  int32_t vectors;
} kiln_panel;
int64_t kiln_panel_count(const kiln_tile_set *set, int64_t n);
kiln_panel kiln_panel_at(const kiln_tile_set *set, int64_t n, int64_t index);
int64_t kiln_padded_columns(const kiln_tile_set *set, int64_t n);

// Packs `depth` rows of n columns at b[row * row_stride + column * column_stride] times `scale`, panels first..end.
// `out` is where panel 0 begins or would begin; rows go to depths at, at + 1, ... of panels `total` deep.
void kiln_pack_panels(const kiln_tile_set *set, const float *b, int64_t row_stride, int64_t column_stride, int64_t n,
                      int64_t depth, float scale, int64_t at, int64_t total, int64_t first, int64_t end, float *out);

// The depth of a chunk of a product of computed matrices, whose panels then stay in the first-level cache: all, or equal shares of it.
int64_t kiln_chunk_depth(int64_t depth);

// B beyond this size comes from main memory.
enum { KILN_LAST_CACHE_BYTES = 16 * 1024 * 1024 };

// Where tiles of less than 4 rows look ahead in their own panel: if B comes from the last cache, since main memory is no faster for it.
static inline const float *kiln_ahead_of_few(const float *b, int64_t bytes) {
  return bytes > 512 * 1024 && bytes < KILN_LAST_CACHE_BYTES ? b : NULL;
}

// Where tile `index` of `tiles` over a panel looks ahead. The first two fetch the panel behind it, while the rest of the work hides
// the way from memory. A few tiles that are not whole read B faster than they could fetch it, unless it comes from main memory;
// B that fits a core's cache anyway (`bytes` in all) is left alone.
static inline const float *kiln_ahead(const float *next, int64_t depth, int64_t index, int64_t tiles, bool whole, int64_t bytes) {
  const bool few = tiles <= 4 && !whole && bytes < KILN_LAST_CACHE_BYTES;
  return index < 2 && bytes > 96 * 1024 && !few ? next + index * depth * 32 : NULL;
}

// A product of up to KILN_CHUNK_ROWS rows with panels first..end of packed B.
typedef struct {
  const kiln_tile_set *set;
  const float *packed;
  const float *plain;  // NULL, or B unpacked with `plain_stride` floats a depth: whole panels are read there
  int64_t plain_stride;
  int64_t n, depth;  // depth = outer * inner * k
  int64_t first_panel, end_panel;
  int32_t outer, inner;
  int64_t k, outer_stride, inner_stride;
  int64_t step;  // over a transposed A: floats between its rows; rows[i] are then pointers to adjacent columns. Else 0
  const float *bias;
  int64_t ldr, ldc;
  kiln_activation activation;
} kiln_block;

// All panels of the product's packed B. Operands as those of kiln_gemm_f32.
kiln_block kiln_gemm_block(const kiln_gemm_params *product, void *const *operands);

// Computes `count` rows; c and residual point at row 0, column 0.
void kiln_block_run(const kiln_block *block, const float *const *rows, int64_t count, const float *residual, float *c);

// Input positions under `count` windows along an axis.
static inline int64_t kiln_span(int64_t count, int64_t stride, int64_t taps, int64_t dilation) {
  return (count - 1) * stride + (taps - 1) * dilation + 1;
}

// The equal share of `count` units that `part` of `parts` does.
static inline int64_t kiln_share(int64_t count, int64_t part, int64_t parts) { return count * part / parts; }

// How many threads are worth waking for `nanoseconds` of one-thread work.
int32_t kiln_worthwhile_parts(double nanoseconds, int32_t threads);

#endif

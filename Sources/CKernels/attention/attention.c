// A unit of work is a block of rows of one batch:
//
//   q rows --(packed K^T)--> scores [rows, n] --before, softmax, after--> weights, in place --(packed V)--> y rows
//
// A part owns successive units. It packs K and V of a batch into its own scratch when it comes to the batch's first unit; the block of
// scores beside them stays in the core's cache. Rows alone in a block add up in another order, so the last bits depend on the number of parts.
#include "../include/kiln_attention.h"
#include "../elementwise/registers.h"
#include "../gemm/tile.h"
#include "../norm/tier.h"

enum { BLOCK_FLOATS = 32 * 1024, LEAST_TILES = 4 };  // of scores; tiles of rows below which reading K and V would cost too much

static int64_t whole_lines(int64_t floats) { return (floats + 15) / 16 * 16; }

static int64_t batches_of(const kiln_attention_params *p) {
  int64_t count = 1;
  for (int32_t axis = 0; axis < p->axes; axis++) count *= p->lengths[axis];
  return count;
}

// Blocks of a batch: as many as fit, or more so that every part gets its share.
static int64_t blocks_of(const kiln_attention_params *p, int32_t parts) {
  const int64_t height = kiln_tiles()->rows, batches = batches_of(p), tiles = (p->m + height - 1) / height;
  int64_t fit = BLOCK_FLOATS / p->n / height;
  if (fit < LEAST_TILES) fit = LEAST_TILES;
  if (fit * height > KILN_CHUNK_ROWS) fit = KILN_CHUNK_ROWS / height;
  int64_t blocks = (tiles + fit - 1) / fit;
  const int64_t even = batches % parts == 0 ? 1 : (4 * parts + batches - 1) / batches;
  if (blocks < even) blocks = even;
  return blocks < tiles ? blocks : tiles;
}

int64_t kiln_attention_rows(const kiln_attention_params *p, int32_t parts) {
  const int64_t height = kiln_tiles()->rows, tiles = (p->m + height - 1) / height, blocks = blocks_of(p, parts);
  const int64_t rows = (tiles + blocks - 1) / blocks * height;
  return rows < p->m ? rows : p->m;
}

// Floats of a part's scratch, one behind the other.
typedef struct {
  int64_t k, v, scores, all;
} layout;
static layout layout_of(const kiln_attention_params *p, int32_t parts) {
  const kiln_tile_set *set = kiln_tiles();
  const int64_t rows = kiln_attention_rows(p, parts);
  layout l;
  l.k = whole_lines(kiln_padded_columns(set, p->n) * p->depth);
  l.v = l.k + whole_lines(kiln_padded_columns(set, p->width) * p->n);
  l.scores = l.v + whole_lines(rows * p->n);
  l.all = l.scores + whole_lines(rows);
  return l;
}

size_t kiln_attention_scratch_bytes(const kiln_attention_params *p, int32_t parts) {
  return (size_t)(layout_of(p, parts).all * parts) * sizeof(float);
}

int32_t kiln_attention_parts(const kiln_attention_params *p, int32_t threads) {
  const kiln_tile_set *set = kiln_tiles();
  const double m = (double)p->m, n = (double)p->n, columns = (double)(p->depth + p->width), batches = (double)batches_of(p);
  const double each = m * n * (2 * columns / (set->lanes * set->vectors * 2.5) + 4.0 / set->lanes) + (n + m / 2) * columns / 8;
  const int32_t parts = kiln_worthwhile_parts(each * batches, threads);
  const int64_t most = batches_of(p) * ((p->m + set->rows - 1) / set->rows);
  return most < 1 ? 1 : most < parts ? (int32_t)most : parts;
}

// Packs b[depth, n] in the chunks of `product`.
static void pack(const kiln_tile_set *set, const float *b, int64_t row_stride, int64_t column_stride, int64_t n, int64_t depth,
                 float scale, float *packed) {
  const int64_t step = kiln_chunk_depth(depth), padded = kiln_padded_columns(set, n);
  for (int64_t at = 0; at < depth; at += step) {
    const int64_t count = depth - at < step ? depth - at : step;
    kiln_pack_panels(set, b + at * row_stride, row_stride, column_stride, n, count, scale, 0, count, 0, kiln_panel_count(set, n),
                     packed + at * padded);
  }
}

// c[count, n] = a * b with rows of `a` at a + i * lda.
static void product(const kiln_tile_set *set, const float *a, int64_t lda, const float *packed, int64_t n, int64_t depth, int64_t count,
                    float *c, int64_t ldc) {
  const int64_t step = kiln_chunk_depth(depth), padded = kiln_padded_columns(set, n);
  const float *rows[KILN_CHUNK_ROWS];
  for (int64_t at = 0; at < depth; at += step) {
    const int64_t now = depth - at < step ? depth - at : step;
    for (int64_t i = 0; i < count; i++) rows[i] = a + i * lda + at;
    const kiln_block block = {
        .set = set, .packed = packed + at * padded, .n = n, .depth = now, .end_panel = kiln_panel_count(set, n),
        .outer = 1, .inner = 1, .k = now, .ldr = ldc, .ldc = ldc, .activation = {KILN_FN_identity, {0}},
    };
    kiln_block_run(&block, rows, count, at > 0 ? c : NULL, c);
  }
}

static int64_t offset_of(const int64_t *strides, const int64_t *index, int32_t axes) {
  int64_t offset = 0;
  for (int32_t axis = 0; axis < axes; axis++) offset += strides[axis] * index[axis];
  return offset;
}

// Rows row..row + count of the batch.
static void apply(const kiln_attention_params *p, const kiln_attention_program *programs, int32_t program_count, void *const *operands,
                  const int64_t *index, int64_t row, int64_t count, float *scores, float *maxima) {
  for (int32_t i = 0; i < program_count; i++) {
    kiln_chain_params chain = programs[i].chain;
    chain.dims[0] = count;
    void *addresses[KILN_CHAIN_MAX_INPUTS + 1];
    for (int32_t k = 0; k < chain.input_count; k++) {
      const kiln_attention_input *input = &programs[i].inputs[k];
      if (input->operand == KILN_ATTENTION_SCORES) addresses[k] = scores;
      else if (input->operand == KILN_ATTENTION_MAXIMA) addresses[k] = maxima;
      else addresses[k] = (char *)operands[input->operand]
                        + (offset_of(input->batch, index, p->axes) + row * chain.inputs[k].strides[0]) * (int64_t)kiln_dtype_size(chain.inputs[k].dtype);
    }
    addresses[chain.input_count] = scores;
    kiln_chain(&chain, addresses, 0, 1);
  }
}

static bool reads_maxima(const kiln_attention_params *p) {
  for (int32_t i = 0; i < p->after_count; i++)
    for (int32_t k = 0; k < p->after[i].chain.input_count; k++)
      if (p->after[i].inputs[k].operand == KILN_ATTENTION_MAXIMA) return true;
  return false;
}

void kiln_attention_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_attention_params *p = params;
  const kiln_tile_set *set = kiln_tiles();
  const kiln_norm_tier *norm = kiln_norm_best();
  const layout l = layout_of(p, parts);
  float *packed_k = (float *)operands[4] + part * l.all;
  float *packed_v = packed_k + l.k, *scores = packed_k + l.v, *maxima = packed_k + l.scores;
  const bool needs_maxima = reads_maxima(p);
  const int64_t height = set->rows, tiles = (p->m + height - 1) / height, blocks = blocks_of(p, parts), units = batches_of(p) * blocks;
  const float *last_k = NULL, *last_v = NULL;
  for (int64_t unit = kiln_share(units, part, parts); unit < kiln_share(units, part + 1, parts); unit++) {
    int64_t index[KILN_ATTENTION_AXES] = {0}, rest = unit / blocks;
    for (int32_t axis = p->axes - 1; axis >= 0; axis--) {
      index[axis] = rest % p->lengths[axis];
      rest /= p->lengths[axis];
    }
    const float *k = (const float *)operands[1] + offset_of(p->k.batch, index, p->axes);
    const float *v = (const float *)operands[2] + offset_of(p->v.batch, index, p->axes);
    if (k != last_k) pack(set, k, p->k.column, p->k.row, p->n, p->depth, p->scale, packed_k);
    if (v != last_v) pack(set, v, p->v.row, p->v.column, p->width, p->n, 1, packed_v);
    last_k = k;
    last_v = v;
    const int64_t row = kiln_share(tiles, unit % blocks, blocks) * height;
    int64_t end = kiln_share(tiles, unit % blocks + 1, blocks) * height;
    if (end > p->m) end = p->m;
    const float *q = (const float *)operands[0] + offset_of(p->q.batch, index, p->axes) + row * p->q.row;
    float *y = (float *)operands[3] + offset_of(p->y.batch, index, p->axes) + row * p->y.row;
    product(set, q, p->q.row, packed_k, p->n, p->depth, end - row, scores, p->n);
    apply(p, p->before, p->before_count, operands, index, row, end - row, scores, NULL);
    if (needs_maxima) norm->reduce_rows(KILN_REDUCE_MAX, scores, maxima, end - row, p->n);
    norm->softmax_rows(scores, scores, end - row, p->n, 0);
    apply(p, p->after, p->after_count, operands, index, row, end - row, scores, maxima);
    product(set, scores, p->n, packed_v, p->width, p->n, end - row, y, p->y.row);
  }
}

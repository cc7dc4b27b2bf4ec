// The chain kernel. Iteration is seen as an outer odometer over a plane of `rows` x `columns` (the last two merged dims).
// A block is one stretch of a row when rows are long, and several whole rows when they are short, so that a block has
// about BLOCK elements in either case. For each block every input becomes a register (a pointer straight into memory
// where type and layout allow, a scalar, or a converted copy), the program runs over the block register by register, and
// outputs that could not be written in place are stored.
#include <string.h>
#include "kiln_elementwise.h"
#include "registers.h"
#include "tier.h"

#define BLOCK 512
// A program of one instruction whose operands all lie in memory as registers do needs no block for its copies' sake.
#define LONG_BLOCK 16384

static const uint8_t arity_of[KILN_FN_COUNT] = {
#define KILN_ARITY(name, arity, parameters) arity,
  KILN_FUNCTIONS(KILN_ARITY)
#undef KILN_ARITY
};

int32_t kiln_chain_prepare(kiln_chain_params *c) {
  if (c->rank < 0 || c->rank > KILN_MAX_RANK || c->register_type < 0 || c->register_type > KILN_REGISTER_I64) return -1;
  if (c->input_count < 0 || c->input_count > KILN_CHAIN_MAX_INPUTS) return -1;
  if (c->output_count < 1 || c->output_count > KILN_CHAIN_MAX_OUTPUTS) return -1;
  if (c->instruction_count < 0 || c->instruction_count > KILN_CHAIN_MAX_INSTRUCTIONS) return -1;
  c->last_input_use = -1;
  uint64_t defined = ((uint64_t)1 << c->input_count) - 1;
  for (int32_t k = 0; k < c->instruction_count; k++) {
    const kiln_chain_instruction *q = &c->instructions[k];
    if (q->function < 0 || q->function >= KILN_FN_COUNT) return -1;
    if (q->dst < c->input_count || q->dst >= KILN_CHAIN_MAX_REGISTERS) return -1;
    for (int j = 0; j < arity_of[q->function]; j++) {
      if (q->src[j] < KILN_CHAIN_CONSTANT_2 || q->src[j] >= KILN_CHAIN_MAX_REGISTERS) return -1;
      if (q->src[j] >= 0 && !(defined >> q->src[j] & 1)) return -1;
      if (q->src[j] >= 0 && q->src[j] < c->input_count) c->last_input_use = k;
    }
    defined |= (uint64_t)1 << q->dst;
  }
  for (int32_t k = 0; k < c->output_count; k++) {
    if (c->outputs[k].source < 0 || c->outputs[k].source >= KILN_CHAIN_MAX_REGISTERS) return -1;
    if (!(defined >> c->outputs[k].source & 1)) return -1;
    // An output that is an input itself is read after the program.
    if (c->outputs[k].source < c->input_count) c->last_input_use = c->instruction_count;
  }
  int32_t rank = 0;
  for (int32_t d = 0; d < c->rank; d++) {
    if (c->dims[d] == 1) continue;
    int merge = rank > 0;
    for (int32_t k = 0; k < c->input_count && merge; k++) {
      const int64_t *s = c->inputs[k].strides;
      merge = s[rank - 1] == s[d] * c->dims[d];
    }
    if (!merge) rank++;
    c->dims[rank - 1] = merge ? c->dims[rank - 1] * c->dims[d] : c->dims[d];
    for (int32_t k = 0; k < c->input_count; k++) c->inputs[k].strides[rank - 1] = c->inputs[k].strides[d];
  }
  c->rank = rank;
  c->prepared = 1;
  return 0;
}

static int64_t element_count(const kiln_chain_params *c) {
  int64_t n = 1;
  for (int32_t d = 0; d < c->rank; d++) n *= c->dims[d];
  return n;
}

static int is_cheap(int32_t f) {
  switch (f) {
    case KILN_FN_exp: case KILN_FN_exp2: case KILN_FN_expm1: case KILN_FN_log: case KILN_FN_log2: case KILN_FN_log10:
    case KILN_FN_log1p: case KILN_FN_sin: case KILN_FN_cos: case KILN_FN_tan: case KILN_FN_tanh: case KILN_FN_erf:
    case KILN_FN_sigmoid: case KILN_FN_softplus: case KILN_FN_silu: case KILN_FN_gelu: case KILN_FN_gelu_tanh:
    case KILN_FN_mish: case KILN_FN_log_sigmoid: case KILN_FN_selu: case KILN_FN_elu: case KILN_FN_celu:
    case KILN_FN_tanh_shrink: case KILN_FN_pow: case KILN_FN_mod: case KILN_FN_floor_div: case KILN_FN_atan2:
    case KILN_FN_asin: case KILN_FN_acos: case KILN_FN_atan: case KILN_FN_sinh: case KILN_FN_cosh: case KILN_FN_asinh:
    case KILN_FN_acosh: case KILN_FN_atanh: case KILN_FN_erfc: return 0;
    default: return 1;
  }
}

int32_t kiln_chain_parts(const kiln_chain_params *c, int32_t threads) {
  // Rough picoseconds per element.
  double cost = 60.0 * (c->input_count + c->output_count);
  for (int32_t k = 0; k < c->instruction_count; k++) {
    cost += is_cheap(c->instructions[k].function) ? 30 : c->register_type == KILN_REGISTER_F32 ? 600 : 10000;
  }
  const double parts = cost * 1e-6 * (double)element_count(c) / 4.0;  // 4 microseconds a part
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

typedef union {
  float f[KILN_SPLAT];
  double d[KILN_SPLAT];
  int64_t i[KILN_SPLAT];
} splat;

typedef struct {
  const kiln_chain_params *c;
  void *const *operands;
  int64_t rows, columns, row_block, column_block;
  size_t size;                                       // of a register's element
  kiln_ew_source source[KILN_CHAIN_MAX_REGISTERS];
  void *home[KILN_CHAIN_MAX_REGISTERS];              // a register's own block
  const void *cached[KILN_CHAIN_MAX_INPUTS];         // the address that an input's block was last filled from,
  int64_t cached_count[KILN_CHAIN_MAX_INPUTS];       // and with how many elements
  splat scalar[KILN_CHAIN_MAX_INPUTS];
  splat constant[KILN_CHAIN_MAX_INSTRUCTIONS][3];
} state;

static void fill_splat(int32_t type, splat *s, const void *value) {
  for (int k = 0; k < KILN_SPLAT; k++) {
    if (type == KILN_REGISTER_F32) s->f[k] = *(const float *)value;
    else s->i[k] = *(const int64_t *)value;
  }
}

// Fills input k's register for `rows` rows of `columns` elements from `base`.
static void bind_input(state *s, int32_t k, const char *base, int64_t row_stride, int64_t rows, int64_t columns) {
  const kiln_chain_input *in = &s->c->inputs[k];
  const int32_t type = s->c->register_type, rank = s->c->rank;
  const int64_t column_stride = rank > 0 ? in->strides[rank - 1] : 0;
  const int native = in->dtype == kiln_register_dtype(type);
  if (column_stride == 0 && (rows == 1 || row_stride == 0)) {
    if (s->cached[k] != base) {
      char value[8];
      kiln_register_load(type, in->dtype, value, base, 1, 1);
      fill_splat(type, &s->scalar[k], value);
      s->cached[k] = base;
    }
    s->source[k] = (kiln_ew_source){&s->scalar[k], 0};
    return;
  }
  if (native && column_stride == 1 && (rows == 1 || row_stride == columns)) {
    s->source[k] = (kiln_ew_source){base, ~(size_t)0};
    return;
  }
  char *home = s->home[k];
  s->source[k] = (kiln_ew_source){home, ~(size_t)0};
  if (column_stride == 1 && row_stride == columns) {
    kiln_register_load(type, in->dtype, home, base, 1, (size_t)(rows * columns));
    return;
  }
  if (row_stride == 0 && rows > 1 && s->cached[k] == base && s->cached_count[k] >= rows * columns) return;
  const size_t row_bytes = (size_t)columns * s->size, dtype_size = kiln_dtype_size(in->dtype);
  if (row_stride == 0) {  // One row, repeated by doubling.
    kiln_register_load(type, in->dtype, home, base, column_stride, (size_t)columns);
    size_t done = row_bytes;
    const size_t total = row_bytes * (size_t)rows;
    while (done < total) {
      const size_t more = done < total - done ? done : total - done;
      memcpy(home + done, home, more);
      done += more;
    }
    s->cached[k] = base;
    s->cached_count[k] = rows * columns;
    return;
  }
  for (int64_t r = 0; r < rows; r++) {
    char *row = home + (size_t)r * row_bytes;
    const char *from = base + r * row_stride * (int64_t)dtype_size;
    if (column_stride != 0) {
      kiln_register_load(type, in->dtype, row, from, column_stride, (size_t)columns);
    } else if (type == KILN_REGISTER_F32) {
      float value;
      if (native) memcpy(&value, from, sizeof value);
      else kiln_register_load(type, in->dtype, &value, from, 1, 1);
      for (int64_t j = 0; j < columns; j++) ((float *)(void *)row)[j] = value;
    } else {
      int64_t value;
      kiln_register_load(type, in->dtype, &value, from, 1, 1);
      for (int64_t j = 0; j < columns; j++) memcpy(row + j * 8, &value, 8);
    }
  }
}

static void run_program(state *s, const kiln_ew_tier *tier, int64_t offset, size_t n) {
  const kiln_chain_params *c = s->c;
  const kiln_ew_source none = {0, 0};
  int written[KILN_CHAIN_MAX_OUTPUTS] = {0};
  for (int32_t k = 0; k < c->instruction_count; k++) {
    const kiln_chain_instruction *q = &c->instructions[k];
    kiln_ew_source operand[3] = {none, none, none};
    for (int j = 0; j < arity_of[q->function]; j++) {
      operand[j] = q->src[j] < 0 ? (kiln_ew_source){&s->constant[k][-1 - q->src[j]], 0} : s->source[q->src[j]];
    }
    void *dst = s->home[q->dst];
    // An output's last definition goes straight to memory once no input is read any more (inputs may share it).
    for (int32_t o = 0; o < c->output_count && k >= c->last_input_use; o++) {
      if (c->outputs[o].source != q->dst || c->outputs[o].dtype != kiln_register_dtype(c->register_type)) continue;
      int last = 1;
      for (int32_t later = k + 1; later < c->instruction_count; later++) last &= c->instructions[later].dst != q->dst;
      if (!last) continue;
      dst = (char *)s->operands[c->input_count + o] + (size_t)offset * s->size;
      written[o] = 1;
      break;
    }
    switch (c->register_type) {
      case KILN_REGISTER_F32: {
        const float p[3] = {(float)q->p[0], (float)q->p[1], (float)q->p[2]};
        tier->f32(q->function, p, dst, operand[0], operand[1], operand[2], n);
        break;
      }
      case KILN_REGISTER_F64: kiln_ew_f64(q->function, q->p, dst, operand[0], operand[1], operand[2], n); break;
      default: kiln_ew_i64(q->function, q->i, dst, operand[0], operand[1], operand[2], n); break;
    }
    s->source[q->dst] = (kiln_ew_source){dst, ~(size_t)0};
  }
  for (int32_t o = 0; o < c->output_count; o++) {
    if (written[o]) continue;
    const kiln_ew_source from = s->source[c->outputs[o].source];
    const size_t size = kiln_dtype_size(c->outputs[o].dtype);
    char *dst = (char *)s->operands[c->input_count + o] + (size_t)offset * size;
    if (from.mask) {
      kiln_register_store(c->register_type, c->outputs[o].dtype, dst, from.data, n);
    } else {
      for (size_t i = 0; i < n; i += KILN_SPLAT) {
        kiln_register_store(c->register_type, c->outputs[o].dtype, dst + i * size, from.data, n - i < KILN_SPLAT ? n - i : KILN_SPLAT);
      }
    }
  }
}

void kiln_chain(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_chain_params *c = params;
  if (element_count(c) == 0) return;
  _Alignas(64) char memory[KILN_CHAIN_MAX_REGISTERS * BLOCK * 8];
  state s;
  s.c = c;
  s.operands = operands;
  s.size = kiln_register_size(c->register_type);
  s.columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
  s.rows = c->rank > 1 ? c->dims[c->rank - 2] : 1;
  for (int32_t k = 0; k < KILN_CHAIN_MAX_REGISTERS; k++) s.home[k] = memory + (size_t)k * BLOCK * s.size;
  for (int32_t k = 0; k < KILN_CHAIN_MAX_INPUTS; k++) s.cached[k] = NULL;
  for (int32_t k = 0; k < c->instruction_count; k++) {
    const kiln_chain_instruction *q = &c->instructions[k];
    for (int j = 0; j < 3; j++) {
      const float f = (float)q->p[j];
      const void *value = c->register_type == KILN_REGISTER_F32 ? (const void *)&f
                        : c->register_type == KILN_REGISTER_F64 ? (const void *)&q->p[j] : (const void *)&q->i[j];
      fill_splat(c->register_type, &s.constant[k][j], value);
    }
  }
  // Whether registers are only ever memory or scalars, so that nothing limits a block.
  int direct = c->instruction_count == 1 && c->output_count == 1 && c->outputs[0].dtype == kiln_register_dtype(c->register_type)
            && c->outputs[0].source == c->instructions[0].dst;
  // Several rows at once need a copy of an input that is not the same scalar, or one stretch of memory, over all of them.
  int joins = 1;
  for (int32_t k = 0; k < c->input_count && direct; k++) {
    const int64_t stride = c->rank > 0 ? c->inputs[k].strides[c->rank - 1] : 0;
    joins = joins && (c->rank > 1 ? c->inputs[k].strides[c->rank - 2] : 0) == stride * s.columns;
    direct = stride == 0 || (stride == 1 && c->inputs[k].dtype == kiln_register_dtype(c->register_type));
  }
  int64_t limit = direct && s.columns > BLOCK / 4 ? LONG_BLOCK : BLOCK;
  if (s.rows * (element_count(c) / s.rows / s.columns) == 1 && direct && s.columns < limit * parts) {
    limit = (s.columns / parts + 63) / 64 * 64;  // One row: equal shares.
    if (limit < 64) limit = 64;
  }
  s.row_block = s.columns > limit / 2 || (limit > BLOCK && !joins) ? 1 : limit / s.columns < s.rows ? limit / s.columns : s.rows;
  s.column_block = s.row_block > 1 || s.columns < limit ? s.columns : limit;

  const int64_t row_blocks = (s.rows + s.row_block - 1) / s.row_block;
  const int64_t column_blocks = (s.columns + s.column_block - 1) / s.column_block;
  const int64_t per_plane = row_blocks * column_blocks;
  const int64_t total = element_count(c) / (s.rows * s.columns) * per_plane;
  const int64_t first = total * part / parts, end = total * (part + 1) / parts;
  const kiln_ew_tier *tier = kiln_ew_best();
  for (int64_t b = first; b < end; b++) {
    const int64_t plane = b / per_plane, row = b % per_plane / column_blocks * s.row_block;
    const int64_t column = b % column_blocks * s.column_block;
    const int64_t rows = s.rows - row < s.row_block ? s.rows - row : s.row_block;
    const int64_t columns = s.columns - column < s.column_block ? s.columns - column : s.column_block;
    for (int32_t k = 0; k < c->input_count; k++) {
      const int64_t *stride = c->inputs[k].strides;
      const int64_t row_stride = c->rank > 1 ? stride[c->rank - 2] : 0;
      int64_t offset = row * row_stride + (c->rank > 0 ? column * stride[c->rank - 1] : 0);
      int64_t rest = plane;
      for (int32_t d = c->rank - 3; d >= 0; d--) {
        offset += rest % c->dims[d] * stride[d];
        rest /= c->dims[d];
      }
      bind_input(&s, k, (const char *)operands[k] + offset * (int64_t)kiln_dtype_size(c->inputs[k].dtype), row_stride, rows, columns);
    }
    run_program(&s, tier, plane * s.rows * s.columns + row * s.columns + column, (size_t)(rows * columns));
  }
}

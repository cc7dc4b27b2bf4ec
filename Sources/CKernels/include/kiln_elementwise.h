// Elementwise arithmetic: one kernel that runs a straight-line program of kiln_function instructions over blocks of
// elements that stay in the first-level cache. Unary, binary, select, cast and broadcast are programs of 0 or 1 instruction.
#ifndef KILN_ELEMENTWISE_H
#define KILN_ELEMENTWISE_H
#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a register's elements are. f32 is vectorised; f64 and i64 are for data that f32 cannot hold exactly.
typedef enum {
  KILN_REGISTER_F32 = 0,
  KILN_REGISTER_F64 = 1,
  KILN_REGISTER_I64 = 2,  // integers and booleans, wrapping modulo 2^64
} kiln_register_type;

#define KILN_CHAIN_MAX_INPUTS 32
#define KILN_CHAIN_MAX_OUTPUTS 16
#define KILN_CHAIN_MAX_REGISTERS 48      // inputs and temporaries together
#define KILN_CHAIN_MAX_INSTRUCTIONS 64
// As an instruction's source: its constant number k (0, 1, 2), that is p[k], or i[k] in i64 registers.
#define KILN_CHAIN_CONSTANT_0 (-1)
#define KILN_CHAIN_CONSTANT_1 (-2)
#define KILN_CHAIN_CONSTANT_2 (-3)

typedef struct {
  int32_t function;   // kiln_function
  int32_t dst;        // a register not below the number of inputs; may be one of the sources
  int32_t src[3];     // registers or KILN_CHAIN_CONSTANT_k, as many as the function's arity
  double p[3];        // the function's parameters, or the constants named by src
  int64_t i[3];       // the same where registers are i64
} kiln_chain_instruction;

typedef struct {
  int32_t dtype;                   // kiln_dtype
  int64_t strides[KILN_MAX_RANK];  // in elements, one for each dim of the iteration shape; 0 broadcasts
} kiln_chain_input;

typedef struct {
  int32_t dtype;
  int32_t source;     // the register to store when the program has run (an input's: cast or copy)
} kiln_chain_output;

// Iteration over `dims` (row-major). Register r < input_count holds input r; no instruction writes it.
//
// Operands: input_count inputs, then output_count outputs. Outputs are dense in the iteration shape. An output may share
// an input's memory where both have the same element size, the input has the iteration's own dense strides, and no
// output's source is that input itself.
//
// Semantics: f32 and f64 as C's libm. Comparisons and logic give 1 or 0; max and min return NaN when either side is NaN;
// mod has the divisor's sign and floor_div rounds down (Python's). In i64: division (all three kinds) by 0 gives 0, div
// truncates, a negative exponent gives 0 unless the base is 1 or -1, and functions without an integer meaning are
// computed in double and truncated. Loads convert exactly where the register can hold the value. Stores from floating
// registers round to nearest even (f16, bf16, f32), truncate towards zero with saturation and NaN -> 0 (integers), and
// test x != 0 (bool); stores from i64 wrap to the type's width.
typedef struct {
  int32_t register_type;           // kiln_register_type
  int32_t rank;                    // 0 ... KILN_MAX_RANK
  int32_t input_count, output_count, instruction_count;
  int32_t prepared;                // set by kiln_chain_prepare, with the fields below
  int64_t dims[KILN_MAX_RANK];
  kiln_chain_input *inputs;        // owned by the plan; prepare rewrites their strides
  const kiln_chain_output *outputs;
  const kiln_chain_instruction *instructions;
  int32_t last_input_use;          // the last instruction that reads an input register, or -1
  int32_t reserved;
} kiln_chain_params;

// Checks the program and merges adjacent dims wherever every input allows it, so that iteration has few, long rows.
// Call once at plan time. Returns 0, or -1 when the program is malformed (a count, function or
// register out of range, or a register read before it is written).
int32_t kiln_chain_prepare(kiln_chain_params *params);

// The number of parts worth using on a pool of `threads` (1 when the work is too small to share).
int32_t kiln_chain_parts(const kiln_chain_params *params, int32_t threads);

// kiln_kernel; params is a prepared kiln_chain_params.
void kiln_chain(const void *params, void *const *operands, int32_t part, int32_t parts);

#ifdef __cplusplus
}
#endif
#endif

// The conventions that every kernel family in this target follows.
//
// A *step* is one call of a kernel over its operands, split in `parts` equal shares of work. A prediction is a
// flat array of steps; `kiln_execute` walks it and never allocates. A kernel never allocates either: scratch memory
// is one more operand, sized by the family's `..._scratch_bytes` function at plan time.
#ifndef KILN_BASE_H
#define KILN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Instruction-set tiers, in rising order. A tier's functions are called only on a CPU that `kiln_cpu_tier` says has it.
typedef enum {
  KILN_TIER_SCALAR = 0,
  KILN_TIER_AVX2 = 1,    // AVX2 + FMA + F16C
  KILN_TIER_AVX512 = 2,  // AVX-512 F, BW, DQ, VL
} kiln_tier;

// The best tier of this CPU (and operating system), capped by the environment variable KILN_ISA_MAX
// (`scalar`, `avx2`, `avx512`). Computed once.
kiln_tier kiln_cpu_tier(void);
const char *kiln_tier_name(kiln_tier tier);

// Element types, numbered as TensorModule's DType.
typedef enum {
  KILN_F32 = 0, KILN_F64 = 1, KILN_F16 = 2, KILN_BF16 = 3,
  KILN_I8 = 4, KILN_I16 = 5, KILN_I32 = 6, KILN_I64 = 7, KILN_U8 = 8, KILN_BOOL = 9,
} kiln_dtype;

// One share of one step: `operands` are resolved addresses in the order that the family documents (NULL where an
// optional operand is absent); this call does share `part` of `parts`. Shares touch disjoint output.
typedef void (*kiln_kernel)(const void *params, void *const *operands, int32_t part, int32_t parts);

// Where an operand lives: `bases[base] + offset`; base < 0 means absent.
typedef struct {
  int32_t base;
  int64_t offset;
} kiln_operand;

typedef struct {
  kiln_kernel kernel;
  const void *params;      // owned by the plan, unchanged while it lives
  int32_t first_operand;   // index in the plan's operand table
  int32_t operand_count;   // at most KILN_MAX_OPERANDS
  int32_t parts;           // 1: runs on the calling thread
} kiln_step;

#define KILN_MAX_OPERANDS 64
#define KILN_MAX_RANK 8

// Steps that do not depend on each other and cannot be divided, as one step with a part for each.
#define KILN_MOST_CONCURRENT 4
typedef struct {
  kiln_kernel kernel;
  const void *params;
  int32_t first_operand;  // among the operands of the whole step
} kiln_concurrent_step;
typedef struct {
  int32_t count;
  kiln_concurrent_step steps[KILN_MOST_CONCURRENT];
} kiln_concurrent_params;
void kiln_concurrent(const void *params, void *const *operands, int32_t part, int32_t parts);

// A pool of `threads - 1` workers. They spin between `kiln_pool_begin` and `kiln_pool_end` and sleep on a futex soon
// after. One prediction at a time owns the pool; another caller meanwhile runs its shares on its own thread.
typedef struct kiln_pool kiln_pool;
kiln_pool *kiln_pool_create(int32_t threads);
void kiln_pool_destroy(kiln_pool *pool);
int32_t kiln_pool_threads(const kiln_pool *pool);
// Nanoseconds from handing a share to another thread until its answer is seen: the best of several tries, found when the
// process makes its first pool; 0 before. Twice as long where two processors share no cache.
double kiln_handover_nanoseconds(void);

// Runs `count` steps in order. `bases[0]` is the call's arena. `pool` may be NULL.
void kiln_execute(const kiln_step *steps, int32_t count, const kiln_operand *operands, void *const *bases, kiln_pool *pool);
// What one thread did of one step: `thread` 0 is the caller's, times are nanoseconds of a monotonic clock.
typedef struct {
  int64_t begin, end;
  int32_t step, thread;
} kiln_event;
// That clock.
int64_t kiln_pool_now(void);
// Takes the first `capacity` events; `count` goes on counting.
typedef struct {
  kiln_event *events;
  int32_t capacity, count;
} kiln_event_log;
// The same, adding the nanoseconds of each step to `nanoseconds[count]`; `log` may be NULL.
void kiln_execute_timed(const kiln_step *steps, int32_t count, const kiln_operand *operands, void *const *bases, kiln_pool *pool,
                        int64_t *nanoseconds, kiln_event_log *log);

// Elementwise functions: X(NAME, arity, parameters). Names are those of GraphModule's functions.
// Parameters are p[0..2]; see the comment of each.
#define KILN_FUNCTIONS(X) \
  X(identity,1,0) X(abs,1,0) X(neg,1,0) X(exp,1,0) X(exp2,1,0) X(expm1,1,0) X(log,1,0) X(log2,1,0) X(log10,1,0) X(log1p,1,0) \
  X(sqrt,1,0) X(rsqrt,1,0) X(square,1,0) X(reciprocal,1,0) X(sign,1,0) X(floor,1,0) X(ceil,1,0) X(round,1,0) /* half to even */ X(trunc,1,0) \
  X(sin,1,0) X(cos,1,0) X(tan,1,0) X(asin,1,0) X(acos,1,0) X(atan,1,0) X(sinh,1,0) X(cosh,1,0) X(tanh,1,0) X(asinh,1,0) X(acosh,1,0) X(atanh,1,0) \
  X(erf,1,0) X(erfc,1,0) X(not,1,0) X(isnan,1,0) X(isinf,1,0) X(isfinite,1,0) \
  X(relu,1,0) X(sigmoid,1,0) X(softplus,1,0) X(softsign,1,0) X(silu,1,0) X(gelu,1,0) /* exact, erf */ X(gelu_tanh,1,0) X(mish,1,0) X(log_sigmoid,1,0) X(selu,1,0) \
  X(hard_swish,1,0) /* x * clip(x + 3, 0, 6) / 6 */ X(tanh_shrink,1,0) X(sparse_plus,1,0) X(sparse_sigmoid,1,0) \
  X(clip,1,2) /* min p0, max p1 */ X(leaky_relu,1,1) /* slope p0 for x < 0 */ X(elu,1,1) /* alpha p0 */ X(celu,1,1) /* alpha p0 */ \
  X(hard_sigmoid,1,2) /* clip(p0 * x + p1, 0, 1) */ X(soft_shrink,1,1) X(hard_shrink,1,1) /* threshold p0 */ X(squareplus,1,1) /* b p0 */ \
  X(threshold,1,2) /* x > p0 ? x : p1 */ X(general_relu,1,3) /* slope p0, threshold p1, max p2: x >= p2 ? p2 : x >= p1 ? x : p0 * (x - p1) */ \
  X(affine,1,2) /* p0 * x + p1 */ \
  X(add,2,0) X(sub,2,0) X(mul,2,0) X(div,2,0) X(floor_div,2,0) X(mod,2,0) /* sign of the divisor */ X(pow,2,0) X(max,2,0) X(min,2,0) /* NaN wins */ X(atan2,2,0) \
  X(squared_difference,2,0) X(prelu,2,0) /* x >= 0 ? x : b * x */ \
  X(equal,2,0) X(not_equal,2,0) X(less,2,0) X(less_equal,2,0) X(greater,2,0) X(greater_equal,2,0) X(and,2,0) X(or,2,0) X(xor,2,0) \
  X(select,3,0) /* a != 0 ? b : c */
#define KILN_ENUM_ENTRY(name, arity, parameters) KILN_FN_##name,
typedef enum { KILN_FUNCTIONS(KILN_ENUM_ENTRY) KILN_FN_COUNT } kiln_function;
#undef KILN_ENUM_ENTRY

// The function's number by its name, or -1.
int32_t kiln_function_by_name(const char *name);

// An activation fused after a matrix product or convolution; `function` is a unary kiln_function (identity: none).
typedef struct {
  int32_t function;
  float p[3];
} kiln_activation;

// Applies a unary function in place on n floats, with the best tier's code. Max error of transcendental functions: 4 ULP; of
// gelu and gelu_tanh: 2e-7 times |x|.
void kiln_apply_f32(kiln_activation activation, float *x, size_t n);
// The same for `rows` runs of `columns` floats, `stride` floats apart.
void kiln_apply_rows_f32(kiln_activation activation, float *x, size_t rows, size_t columns, size_t stride);

#ifdef __cplusplus
}
#endif
#endif

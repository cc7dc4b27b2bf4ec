#include "pool.h"

static inline void walk(const kiln_step *steps, int32_t count, const kiln_operand *table, void *const *bases,
                        kiln_pool *pool, int64_t *nanoseconds) {
  // Workers wake once, at the start, and only for a plan that has work for them.
  bool wants_pool = false;
  for (int32_t i = 0; i < count && !wants_pool; i++) wants_pool = steps[i].parts > 1;
  const bool owner = wants_pool && kiln_pool_begin(pool);
  int64_t before = nanoseconds ? kiln_pool_now() : 0;
  for (int32_t i = 0; i < count; i++) {
    const kiln_step *step = &steps[i];
    void *operands[KILN_MAX_OPERANDS];
    for (int32_t o = 0; o < step->operand_count; o++) {
      const kiln_operand operand = table[step->first_operand + o];
      operands[o] = operand.base < 0 ? NULL : (char *)bases[operand.base] + operand.offset;
    }
    if (owner && step->parts > 1) {
      kiln_pool_run(pool, step->kernel, step->params, operands, step->parts);
    } else {
      for (int32_t part = 0; part < step->parts; part++) step->kernel(step->params, operands, part, step->parts);
    }
    if (nanoseconds) {
      const int64_t after = kiln_pool_now();
      nanoseconds[i] = after - before;
      before = after;
    }
  }
  if (owner) kiln_pool_end(pool);
}

void kiln_execute(const kiln_step *steps, int32_t count, const kiln_operand *operands, void *const *bases, kiln_pool *pool) {
  walk(steps, count, operands, bases, pool, NULL);
}

void kiln_execute_timed(const kiln_step *steps, int32_t count, const kiln_operand *operands, void *const *bases,
                        kiln_pool *pool, int64_t *nanoseconds) {
  walk(steps, count, operands, bases, pool, nanoseconds);
}

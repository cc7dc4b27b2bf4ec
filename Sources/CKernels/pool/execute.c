#include "pool.h"

static inline void walk(const kiln_step *steps, int32_t count, const kiln_operand *table, void *const *bases,
                        kiln_pool *pool, int64_t *nanoseconds, kiln_event_log *log) {
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
      kiln_pool_run(pool, (kiln_region){step->kernel, step->params, operands, step->parts, 0, log, i});
    } else if (log) {
      const kiln_region alone = {step->kernel, step->params, operands, step->parts, 1, log, i};
      kiln_region_run(&alone, 0, 0);
    } else {
      for (int32_t part = 0; part < step->parts; part++) step->kernel(step->params, operands, part, step->parts);
    }
    if (nanoseconds) {
      const int64_t after = kiln_pool_now();
      nanoseconds[i] += after - before;
      before = after;
    }
  }
  if (owner) kiln_pool_end(pool);
}

void kiln_execute(const kiln_step *steps, int32_t count, const kiln_operand *operands, void *const *bases, kiln_pool *pool) {
  walk(steps, count, operands, bases, pool, NULL, NULL);
}

void kiln_execute_timed(const kiln_step *steps, int32_t count, const kiln_operand *operands, void *const *bases,
                        kiln_pool *pool, int64_t *nanoseconds, kiln_event_log *log) {
  walk(steps, count, operands, bases, pool, nanoseconds, log);
}

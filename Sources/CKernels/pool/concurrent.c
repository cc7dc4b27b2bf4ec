#include "kiln_base.h"

void kiln_concurrent(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_concurrent_params *p = params;
  for (int32_t i = part; i < p->count; i += parts) {
    const kiln_concurrent_step *step = &p->steps[i];
    step->kernel(step->params, operands + step->first_operand, 0, 1);
  }
}

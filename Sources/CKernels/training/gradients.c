// Derivatives of pooling and of picking rows.
#include <string.h>
#include "choose.h"

void kiln_pool_gradient_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_pool_gradient_params *p = params;
  kiln_gradient_of_tier()->pool(p, operands[0], operands[1], operands[2], p->batch * part / parts, p->batch * (part + 1) / parts);
}

int32_t kiln_pool_gradient_parts(const kiln_pool_gradient_params *p, int32_t threads) {
  const double work = (double)p->batch * (double)(p->input[0] * p->input[1] * p->input[2] * p->channels);
  const int64_t parts = work < 20000 ? 1 : p->batch < threads ? p->batch : threads;
  return parts < 1 ? 1 : (int32_t)parts;
}

void kiln_scatter_add_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_scatter_add_params *p = params;
  const int64_t spans = (p->width + 15) / 16, first = spans * part / parts * 16;
  int64_t end = spans * (part + 1) / parts * 16;
  if (end > p->width) end = p->width;
  if (first >= end) return;
  const float *updates = operands[1];
  float *result = operands[2];
  for (int64_t row = 0; row < p->rows; row++) memset(result + row * p->width + first, 0, (size_t)(end - first) * sizeof(float));
  for (int64_t i = 0; i < p->count; i++) {
    const int64_t index = p->is_wide ? ((const int64_t *)operands[0])[i] : ((const int32_t *)operands[0])[i];
    if (index < 0 || index >= p->rows) {
      if (operands[3]) *(int32_t *)operands[3] = 1;
      continue;
    }
    kiln_gradient_of_tier()->add(end - first, result + index * p->width + first, updates + i * p->width + first);
  }
}

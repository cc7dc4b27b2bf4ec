// The choice of tier for training's loops over all weights.
#include "tier.h"

static const kiln_training_tier *tier(void) {
#if defined(__x86_64__)
  switch (kiln_cpu_tier()) {
    case KILN_TIER_AVX512: return kiln_training_avx512();
    case KILN_TIER_AVX2: return kiln_training_avx2();
    default: break;
  }
#endif
  return kiln_training_scalar();
}

void kiln_update(const kiln_update_params *params, int64_t n, float *w, float *g, const float *squares, float *s0, float *s1, float *s2) {
  tier()->update(params, n, w, g, squares, s0, s1, s2);
}
double kiln_sum_of_squares(int64_t n, const float *x) { return tier()->sum_of_squares(n, x); }
void kiln_add_scaled(int64_t n, float *w, const float *x, float factor) { tier()->add_scaled(n, w, x, factor); }
void kiln_blend(int64_t n, float *y, const float *x, float a, float b) { tier()->blend(n, y, x, a, b); }
bool kiln_all_finite(int64_t n, const float *x) { return tier()->all_finite(n, x); }

// The tier of the derivatives. Internal to the target.
#ifndef KILN_TRAINING_CHOOSE_H
#define KILN_TRAINING_CHOOSE_H
#include "tier.h"

static inline const kiln_gradient_tier *kiln_gradient_of_tier(void) {
#if defined(__x86_64__)
  switch (kiln_cpu_tier()) {
    case KILN_TIER_AVX512: return kiln_gradient_avx512();
    case KILN_TIER_AVX2: return kiln_gradient_avx2();
    default: break;
  }
#endif
  return kiln_gradient_scalar();
}
#endif

// Selection of the tier, and the functions without vector code.
#include <math.h>
#include "tier.h"

const kiln_ew_tier *kiln_ew_best(void) {
#if defined(__x86_64__)
  switch (kiln_cpu_tier()) {
    case KILN_TIER_AVX512: return kiln_ew_avx512();
    case KILN_TIER_AVX2: return kiln_ew_avx2();
    default: break;
  }
#endif
  return kiln_ew_scalar();
}

void kiln_apply_f32(kiln_activation activation, float *x, size_t n) {
  if (activation.function == KILN_FN_identity) return;
  const kiln_ew_source source = {x, ~(size_t)0}, none = {0, 0};
  kiln_ew_best()->f32(activation.function, activation.p, x, source, none, none, n);
}

void kiln_apply_rows_f32(kiln_activation activation, float *x, size_t rows, size_t columns, size_t stride) {
  if (activation.function == KILN_FN_identity) return;
  kiln_ew_best()->rows(activation.function, activation.p, x, rows, columns, stride);
}

// floor(a / b) and the remainder with the divisor's sign, as Python and NumPy define them.
static float mod_f32(float a, float b) {
  const float m = fmodf(a, b);
  if (m == 0) return copysignf(0, b);
  return (b < 0) != (m < 0) ? m + b : m;
}
static float floor_div_f32(float a, float b) {
  if (b == 0) return a / b;
  const float m = fmodf(a, b);
  float quotient = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0)) quotient -= 1;
  if (quotient == 0) return copysignf(0, a / b);
  const float floored = floorf(quotient);
  return quotient - floored > 0.5f ? floored + 1 : floored;
}

#define LIBM1(name, call)                                            \
  case KILN_FN_##name:                                               \
    for (size_t i = 0; i < n; i++) { const float x = pa[i & a.mask]; dst[i] = call; } \
    break;
#define LIBM2(name, call)                                            \
  case KILN_FN_##name:                                               \
    for (size_t i = 0; i < n; i++) { const float x = pa[i & a.mask], y = pb[i & b.mask]; dst[i] = call; } \
    break;

void kiln_ew_f32_libm(int32_t function, float *dst, kiln_ew_source a, kiln_ew_source b, size_t n) {
  const float *pa = a.data, *pb = b.data;
  switch (function) {
    LIBM1(asin, asinf(x))
    LIBM1(acos, acosf(x))
    LIBM1(atan, atanf(x))
    LIBM1(sinh, sinhf(x))
    LIBM1(cosh, coshf(x))
    LIBM1(asinh, asinhf(x))
    LIBM1(acosh, acoshf(x))
    LIBM1(atanh, atanhf(x))
    LIBM1(erfc, erfcf(x))
    LIBM2(atan2, atan2f(x, y))
    LIBM2(mod, mod_f32(x, y))
    LIBM2(floor_div, floor_div_f32(x, y))
    case KILN_FN_pow:
      // The exponents that networks use most, when every element has the same one.
      if (b.mask == 0 && n > 0) {
        const float y = pb[0];
        if (y == 2) { for (size_t i = 0; i < n; i++) { const float x = pa[i & a.mask]; dst[i] = x * x; } break; }
        if (y == 3) { for (size_t i = 0; i < n; i++) { const double x = pa[i & a.mask]; dst[i] = (float)(x * x * x); } break; }
        if (y == -1) { for (size_t i = 0; i < n; i++) { const float x = pa[i & a.mask]; dst[i] = 1 / x; } break; }
      }
      for (size_t i = 0; i < n; i++) dst[i] = powf(pa[i & a.mask], pb[i & b.mask]);
      break;
    default: break;
  }
}

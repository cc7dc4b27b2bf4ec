// IEEE half precision and bfloat16 in integer arithmetic, round to nearest even.
#ifndef KILN_HALF_H
#define KILN_HALF_H
#include <stdint.h>
#include <string.h>

static inline float kiln_half_to_float(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;
  uint32_t u;
  float f;
  if (magnitude >= 0x7c00) {
    u = 0x7f800000 | (magnitude & 0x3ff) << 13 | (magnitude > 0x7c00 ? 0x400000 : 0);
  } else if (magnitude >= 0x400) {
    u = (magnitude << 13) + (112u << 23);
  } else {
    f = (float)magnitude * 0x1p-24f;
    memcpy(&u, &f, 4);
  }
  u |= sign;
  memcpy(&f, &u, 4);
  return f;
}

static inline uint16_t kiln_float_to_half(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  const uint32_t sign = u >> 16 & 0x8000;
  u &= 0x7fffffff;
  if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff));
  if (u >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  if (u < 0x38800000) {
    // Adding 0.5 leaves the half's denormal in the low bits of the sum, rounded by the hardware.
    float m, sum;
    memcpy(&m, &u, 4);
    sum = m + 0.5f;
    memcpy(&u, &sum, 4);
    return (uint16_t)(sign | (u - 0x3f000000));
  }
  u -= 112u << 23;
  return (uint16_t)(sign | (u + 0xfff + (u >> 13 & 1)) >> 13);
}

static inline uint16_t kiln_float_to_bfloat(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float kiln_bfloat_to_float(uint16_t h) {
  const uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

// The float from which rounding again, to fewer bits, gives what rounding x once would: inexact results are made odd.
static inline float kiln_round_to_odd(double x) {
  float f = (float)x;
  if (f != x && x == x) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if (!(u & 1)) {
      const int too_large = (double)(f < 0 ? -f : f) > (x < 0 ? -x : x);
      u = too_large ? u - 1 : u + 1;
      memcpy(&f, &u, 4);
    }
  }
  return f;
}
#endif

#include "kiln_base.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

// The register sets that the operating system saves (XCR0).
static uint64_t saved_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

static kiln_tier probe(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return KILN_TIER_SCALAR;
  const uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  const uint32_t first = fma | osxsave | avx | f16c;
  if ((c & first) != first) return KILN_TIER_SCALAR;
  const uint64_t state = saved_state();
  if ((state & 0x6) != 0x6) return KILN_TIER_SCALAR;  // xmm, ymm
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & (1u << 5))) return KILN_TIER_SCALAR;
  const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
  const uint32_t wide = f | dq | bw | vl;
  if ((b & wide) == wide && (state & 0xe0) == 0xe0) return KILN_TIER_AVX512;  // opmask, zmm
  return KILN_TIER_AVX2;
}
#else
static kiln_tier probe(void) { return KILN_TIER_SCALAR; }
#endif

static kiln_tier tier;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_tier(void) {
  tier = probe();
  const char *cap = getenv("KILN_ISA_MAX");
  for (int t = KILN_TIER_SCALAR; cap && t < (int)tier; t++)
    if (!strcmp(cap, kiln_tier_name((kiln_tier)t))) tier = (kiln_tier)t;
}

kiln_tier kiln_cpu_tier(void) {
  pthread_once(&once, find_tier);
  return tier;
}

const char *kiln_tier_name(kiln_tier t) {
  switch (t) {
    case KILN_TIER_AVX512: return "avx512";
    case KILN_TIER_AVX2: return "avx2";
    default: return "scalar";
  }
}

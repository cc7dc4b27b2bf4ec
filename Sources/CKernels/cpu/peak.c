#include "../include/kiln_processors.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12 };  // enough to hide the latency of two units

#if defined(__x86_64__)
#define CHAINS_OF(tier, features, V, set, fma, add, store, lanes)                                                    \
  __attribute__((target(features))) static double tier(int64_t rounds, float scale) {                               \
    V sum[CHAINS];                                                                                                   \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) sum[i] = set((float)i);                      \
    const V a = set(scale), b = set(1.0f - scale);                                                                   \
    for (int64_t round = 0; round < rounds; round++)                                                                 \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) sum[i] = fma(sum[i], a, b);                \
    _Pragma("clang loop unroll(full)") for (int i = 1; i < CHAINS; i++) sum[0] = add(sum[0], sum[i]);                \
    float out[lanes];                                                                                                \
    store(out, sum[0]);                                                                                              \
    return out[0];                                                                                                   \
  }
CHAINS_OF(chains_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_storeu_ps, 16)
CHAINS_OF(chains_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_storeu_ps, 8)
#endif

static double chains_scalar(int64_t rounds, float scale) {
  float sum[CHAINS][4];
  for (int i = 0; i < CHAINS * 4; i++) sum[i / 4][i % 4] = (float)i;
  for (int64_t round = 0; round < rounds; round++)
    for (int i = 0; i < CHAINS; i++)
      for (int l = 0; l < 4; l++) sum[i][l] = sum[i][l] * scale + (1.0f - scale);
  double total = 0;
  for (int i = 0; i < CHAINS * 4; i++) total += (double)sum[i / 4][i % 4];
  return total;
}

int64_t kiln_peak_flops(int64_t rounds) {
  const int64_t lanes = kiln_cpu_tier() == KILN_TIER_AVX512 ? 16 : kiln_cpu_tier() == KILN_TIER_AVX2 ? 8 : 4;
  return rounds * CHAINS * lanes * 2;
}

void kiln_peak_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  (void)parts;
  const int64_t rounds = *(const int64_t *)params;
  double *out = operands[0];
  switch (kiln_cpu_tier()) {
#if defined(__x86_64__)
    case KILN_TIER_AVX512: out[part * 8] = chains_avx512(rounds, 0.5f); break;
    case KILN_TIER_AVX2: out[part * 8] = chains_avx2(rounds, 0.5f); break;
#endif
    default: out[part * 8] = chains_scalar(rounds, 0.5f);
  }
}

// Selection of the tier, and how output rows are shared between parts.
#include "tier.h"

void kiln_window_pool(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_window_pool_params *p = params;
  kiln_window_pool_rows run = kiln_window_pool_scalar;
#if defined(__x86_64__)
  const kiln_tier tier = kiln_cpu_tier();
  if (tier == KILN_TIER_AVX512) run = kiln_window_pool_avx512;
  else if (tier == KILN_TIER_AVX2) run = kiln_window_pool_avx2;
#endif
  const int64_t rows = p->batch * p->output[0] * p->output[1];
  run(p, operands, rows * part / parts, rows * (part + 1) / parts);
}

int32_t kiln_window_pool_parts(const kiln_window_pool_params *p, int32_t threads) {
  const int64_t rows = p->batch * p->output[0] * p->output[1];
  const double loads = (double)(rows * p->output[2] * p->channels) * (double)(p->kernel[0] * p->kernel[1] * p->kernel[2]);
  // About 30 picoseconds a load, twice as many with a prologue; 4 microseconds a part.
  const double parts = loads * (p->prologue.sources ? 60e-6 : 30e-6) / 4.0;
  if (rows < threads) threads = rows < 1 ? 1 : (int32_t)rows;
  return parts < 2 ? 1 : parts < threads ? (int32_t)parts : threads;
}

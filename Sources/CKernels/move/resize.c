// Resizing of channels-last images: nearest neighbour by copies of whole pixels, bilinear by a tier's row kernel.
#include <math.h>
#include <string.h>
#include "resize.h"
#include "share.h"

static int64_t clamp(float x, int64_t n) { return x < 0 ? 0 : x > (float)(n - 1) ? n - 1 : (int64_t)x; }

static int64_t nearest(const kiln_resize_params *p, int axis, int64_t o) {
  const float x = kiln_resize_coordinate(p, axis, o);
  float r;
  switch (p->rounding) {
    case KILN_RESIZE_CEIL: r = ceilf(x); break;
    case KILN_RESIZE_ROUND_PREFER_FLOOR: r = ceilf(x - 0.5f); break;
    case KILN_RESIZE_ROUND_PREFER_CEIL: r = floorf(x + 0.5f); break;
    default: r = floorf(x); break;
  }
  return clamp(r, axis ? p->source_width : p->source_height);
}

void kiln_resize(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_resize_params *p = params;
  kiln_bilinear_row run = kiln_bilinear_row_scalar;
#if defined(__x86_64__)
  const kiln_tier tier = kiln_cpu_tier();
  if (tier == KILN_TIER_AVX512) run = kiln_bilinear_row_avx512;
  else if (tier == KILN_TIER_AVX2) run = kiln_bilinear_row_avx2;
#endif
  const int64_t rows = p->batch * p->target_height, size = p->bilinear ? 4 : p->element_size, pixel = p->channels * size;
  for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; r++) {
    const int64_t n = r / p->target_height, h = r % p->target_height;
    const char *image = (const char *)operands[0] + n * p->source_height * p->source_width * pixel;
    char *to = (char *)operands[1] + r * p->target_width * pixel;
    if (p->bilinear) {
      const kiln_resize_taps v = kiln_resize_taps_of(p, 0, h);
      const float *top = (const float *)(const void *)(image + v.low * p->source_width * pixel);
      const float *bottom = (const float *)(const void *)(image + v.high * p->source_width * pixel);
      run(p, top, bottom, (float *)(void *)to, v.weight);
      continue;
    }
    const char *row = image + nearest(p, 0, h) * p->source_width * pixel;
    for (int64_t w = 0; w < p->target_width; w++, to += pixel) memcpy(to, row + nearest(p, 1, w) * pixel, (size_t)pixel);
  }
}

int32_t kiln_resize_parts(const kiln_resize_params *p, int32_t threads) {
  const int64_t rows = p->batch * p->target_height;
  return kiln_move_parts(rows * p->target_width * p->channels * (p->bilinear ? 16 : p->element_size), rows, threads);
}

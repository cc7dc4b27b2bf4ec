// Resizing of channels-last images: nearest neighbour by copies of whole pixels, bilinear by rows of channels.
#include <math.h>
#include <string.h>
#include "share.h"

static float coordinate(const kiln_resize_params *p, int axis, int64_t o) {
  const float n = (float)(axis ? p->source_width : p->source_height), m = (float)(axis ? p->target_width : p->target_height);
  const float scale = p->scale[axis] > 0 ? p->scale[axis] : n / m, at = (float)o;
  switch (p->coordinates) {
    case KILN_RESIZE_ASYMMETRIC: return at * scale;
    case KILN_RESIZE_ALIGN_CORNERS: return m > 1 ? at * ((n - 1) / (m - 1)) : 0;
    case KILN_RESIZE_HALF_PIXEL_UNSHIFTED: return (at + 0.5f) * scale;
    case KILN_RESIZE_PYTORCH_HALF_PIXEL: return m > 1 ? (at + 0.5f) * scale - 0.5f : 0;
    default: return (at + 0.5f) * scale - 0.5f;
  }
}

static int64_t clamp(float x, int64_t n) { return x < 0 ? 0 : x > (float)(n - 1) ? n - 1 : (int64_t)x; }

static int64_t nearest(const kiln_resize_params *p, int axis, int64_t o) {
  const float x = coordinate(p, axis, o);
  float r;
  switch (p->rounding) {
    case KILN_RESIZE_CEIL: r = ceilf(x); break;
    case KILN_RESIZE_ROUND_PREFER_FLOOR: r = ceilf(x - 0.5f); break;
    case KILN_RESIZE_ROUND_PREFER_CEIL: r = floorf(x + 0.5f); break;
    default: r = floorf(x); break;
  }
  return clamp(r, axis ? p->source_width : p->source_height);
}

// The two source positions around a coordinate, and the weight of the second.
typedef struct {
  int64_t low, high;
  float weight;
} taps;
static taps taps_of(const kiln_resize_params *p, int axis, int64_t o) {
  const int64_t n = axis ? p->source_width : p->source_height;
  float x = coordinate(p, axis, o);
  x = x < 0 ? 0 : x > (float)(n - 1) ? (float)(n - 1) : x;
  taps t = {(int64_t)x, 0, 0};
  t.high = t.low + 1 < n ? t.low + 1 : t.low;
  t.weight = x - (float)t.low;
  return t;
}

static void blend(const float *restrict tl, const float *restrict tr, const float *restrict bl, const float *restrict br,
                  float *restrict to, int64_t channels, float x, float y) {
  for (int64_t c = 0; c < channels; c++) {
    const float top = tl[c] + (tr[c] - tl[c]) * x, bottom = bl[c] + (br[c] - bl[c]) * x;
    to[c] = top + (bottom - top) * y;
  }
}

void kiln_resize(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_resize_params *p = params;
  const int64_t rows = p->batch * p->target_height, size = p->bilinear ? 4 : p->element_size, pixel = p->channels * size;
  for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; r++) {
    const int64_t n = r / p->target_height, h = r % p->target_height;
    const char *image = (const char *)operands[0] + n * p->source_height * p->source_width * pixel;
    char *to = (char *)operands[1] + r * p->target_width * pixel;
    if (p->bilinear) {
      const taps v = taps_of(p, 0, h);
      const float *top = (const float *)(const void *)(image + v.low * p->source_width * pixel);
      const float *bottom = (const float *)(const void *)(image + v.high * p->source_width * pixel);
      for (int64_t w = 0; w < p->target_width; w++, to += pixel) {
        const taps u = taps_of(p, 1, w);
        const int64_t a = u.low * p->channels, b = u.high * p->channels;
        blend(top + a, top + b, bottom + a, bottom + b, (float *)(void *)to, p->channels, u.weight, v.weight);
      }
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

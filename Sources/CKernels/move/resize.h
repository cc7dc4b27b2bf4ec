// Where resizing reads, and one tier's row of bilinear pixels. Internal to the target.
#ifndef KILN_RESIZE_H
#define KILN_RESIZE_H
#include "kiln_move.h"

// Every tier rounds coordinates alike: a fused multiply-add would move those that fall on a boundary.
static inline float kiln_resize_coordinate(const kiln_resize_params *p, int axis, int64_t o) {
#pragma STDC FP_CONTRACT OFF
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

// The two source positions around a coordinate, and the weight of the second.
typedef struct {
  int64_t low, high;
  float weight;
} kiln_resize_taps;
static inline kiln_resize_taps kiln_resize_taps_of(const kiln_resize_params *p, int axis, int64_t o) {
  const int64_t n = axis ? p->source_width : p->source_height;
  float x = kiln_resize_coordinate(p, axis, o);
  x = x < 0 ? 0 : x > (float)(n - 1) ? (float)(n - 1) : x;
  kiln_resize_taps t = {(int64_t)x, 0, 0};
  t.high = t.low + 1 < n ? t.low + 1 : t.low;
  t.weight = x - (float)t.low;
  return t;
}

// One target row between two source rows, the lower one with weight y.
typedef void (*kiln_bilinear_row)(const kiln_resize_params *p, const float *top, const float *bottom, float *to, float y);
void kiln_bilinear_row_scalar(const kiln_resize_params *p, const float *top, const float *bottom, float *to, float y);
#if defined(__x86_64__)
void kiln_bilinear_row_avx2(const kiln_resize_params *p, const float *top, const float *bottom, float *to, float y);
void kiln_bilinear_row_avx512(const kiln_resize_params *p, const float *top, const float *bottom, float *to, float y);
#endif
#endif

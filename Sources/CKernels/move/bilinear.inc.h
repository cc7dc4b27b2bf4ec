// A row of bilinear pixels of one tier, vectors running over channels. Included between tier_begin.h and tier_end.h.
#include "resize.h"

// Products are rounded before they are added, as TensorFlow does: the nearest integer of a result in the middle of two depends on it.
KV_INLINE void blend(const float *tl, const float *tr, const float *bl, const float *br, float *to, size_t count, float x, float y) {
#pragma clang fp contract(off)
  const vf a = v_load_n(tl, count), b = v_load_n(bl, count);
  const vf top = a + (v_load_n(tr, count) - a) * v_splat(x), bottom = b + (v_load_n(br, count) - b) * v_splat(x);
  v_store_n(to, top + (bottom - top) * v_splat(y), count);
}

void KV_NAME(kiln_bilinear_row)(const kiln_resize_params *p, const float *top, const float *bottom, float *to, float y) {
  const int64_t channels = p->channels;
  for (int64_t w = 0; w < p->target_width; w++, to += channels) {
    const kiln_resize_taps t = kiln_resize_taps_of(p, 1, w);
    const float *tl = top + t.low * channels, *tr = top + t.high * channels;
    const float *bl = bottom + t.low * channels, *br = bottom + t.high * channels;
    int64_t c = 0;
    for (; c + KV_WIDTH <= channels; c += KV_WIDTH) blend(tl + c, tr + c, bl + c, br + c, to + c, KV_WIDTH, t.weight, y);
    if (c < channels) blend(tl + c, tr + c, bl + c, br + c, to + c, (size_t)(channels - c), t.weight, y);
  }
}

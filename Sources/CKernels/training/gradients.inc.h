// Derivatives for one tier: loops over channels that the compiler turns into vectors. Compiled once for each tier, behind
// rnn_gradient.inc.h.
#include "kiln_training.h"

// dw[tap, channel of the group, out] += x * dy, any groups; w of one input channel a group (depthwise) has the fast loop.
static void KV_NAME(grouped_kernel)(const kiln_conv_gradient_params *p, const float *restrict x, const float *restrict dy, float *restrict dw, int64_t first_row, int64_t end_row) {
  const int64_t inner = p->in_c / p->groups, per_group = p->out_c / p->groups;
  for (int64_t row = first_row; row < end_row; row++) {
    const int64_t image = row / p->out_h, oy = row % p->out_h;
    for (int64_t ky = 0; ky < p->kernel_h; ky++) {
      const int64_t y = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
      if (y < 0 || y >= p->in_h) continue;
      for (int64_t ox = 0; ox < p->out_w; ox++) {
        const float *slope = dy + (row * p->out_w + ox) * p->out_c;
        for (int64_t kx = 0; kx < p->kernel_w; kx++) {
          const int64_t at = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
          if (at < 0 || at >= p->in_w) continue;
          const float *from = x + ((image * p->in_h + y) * p->in_w + at) * p->in_c;
          float *to = dw + (ky * p->kernel_w + kx) * inner * p->out_c;
          if (inner == 1 && per_group == 1) {
            for (int64_t c = 0; c < p->in_c; c++) to[c] += from[c] * slope[c];
          } else {
            for (int64_t g = 0; g < p->groups; g++)
              for (int64_t i = 0; i < inner; i++) {
                const float factor = from[g * inner + i];
                for (int64_t o = 0; o < per_group; o++) to[i * p->out_c + g * per_group + o] += factor * slope[g * per_group + o];
              }
          }
        }
      }
    }
  }
}

static void KV_NAME(add)(int64_t n, float *restrict y, const float *restrict x) {
  for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

// Whether windows of a maximum neither meet nor reach outside.
static bool KV_NAME(is_apart)(const kiln_pool_gradient_params *p) {
  if (p->average) return false;
  for (int axis = 0; axis < 3; axis++)
    if (p->dilation[axis] != 1 || p->before[axis] != 0 || p->stride[axis] < p->window[axis]
        || (p->output[axis] - 1) * p->stride[axis] + p->window[axis] > p->input[axis]) return false;
  return true;
}

// Each element of dx is written once; the winner stays in a register.
static void KV_NAME(pool_apart)(const kiln_pool_gradient_params *p, const float *x, const float *dy, float *dx, int64_t image) {
  const int64_t channels = p->channels, row = p->input[2] * channels, plane = p->input[1] * row;
  const float *own = x + image * p->input[0] * plane;
  float *to = dx + image * p->input[0] * plane;
  const float *slope = dy + image * p->output[0] * p->output[1] * p->output[2] * channels;
  for (int64_t i = 0; i < p->output[0]; i++)
    for (int64_t j = 0; j < p->output[1]; j++)
      for (int64_t k = 0; k < p->output[2]; k++, slope += channels) {
        const int64_t first = i * p->stride[0] * plane + j * p->stride[1] * row + k * p->stride[2] * channels;
        for (int64_t c = 0; c < channels; c += KV_WIDTH) {
          const size_t n = channels - c < KV_WIDTH ? (size_t)(channels - c) : KV_WIDTH;
          vf best = v_splat(0.0f);
          vi which = (vi)0;
          int32_t tap = 0;
#define EACH_TAP(BODY) \
  for (int64_t u = 0; u < p->window[0]; u++) \
    for (int64_t v = 0; v < p->window[1]; v++) \
      for (int64_t w = 0; w < p->window[2]; w++, tap++) { \
        const int64_t at = first + u * plane + v * row + w * channels + c; \
        BODY \
      }
          EACH_TAP(
            const vf value = v_load_n(own + at, n);
            // The first of equals wins, and NaN over numbers.
            const vi wins = tap == 0 ? (vi)-1 : (value > best) | ((value != value) & (best == best));
            best = wins ? value : best;
            which = wins ? (vi)tap : which;
          )
          const vf share = v_load_n(slope + c, n);
          tap = 0;
          EACH_TAP(v_store_n(to + at, which == (vi)tap ? share : v_splat(0.0f), n);)
#undef EACH_TAP
        }
      }
}

// Windows in three spatial axes.
static void KV_NAME(pool)(const kiln_pool_gradient_params *p, const float *x, const float *dy, float *dx, int64_t first_image, int64_t end_image) {
  enum { BLOCK = 64 };
  const int64_t channels = p->channels, pixels = p->input[0] * p->input[1] * p->input[2];
  bool covers = true;
  for (int axis = 0; axis < 3; axis++) covers = covers && p->stride[axis] == p->window[axis] && p->output[axis] * p->stride[axis] == p->input[axis];
  const bool apart = KV_NAME(is_apart)(p);
  if (!apart || !covers) memset(dx + first_image * pixels * channels, 0, (size_t)((end_image - first_image) * pixels * channels) * sizeof(float));
  if (apart) {
    for (int64_t image = first_image; image < end_image; image++) KV_NAME(pool_apart)(p, x, dy, dx, image);
    return;
  }
  for (int64_t image = first_image; image < end_image; image++) {
    const float *own = x + image * pixels * channels;
    float *to = dx + image * pixels * channels;
    int64_t place = image * p->output[0] * p->output[1] * p->output[2];
    for (int64_t i = 0; i < p->output[0]; i++)
      for (int64_t j = 0; j < p->output[1]; j++)
        for (int64_t k = 0; k < p->output[2]; k++, place++) {
          const float *slope = dy + place * channels;
          const int64_t start[3] = {i * p->stride[0] - p->before[0], j * p->stride[1] - p->before[1], k * p->stride[2] - p->before[2]};
          int64_t count = 0;
          for (int64_t block = 0; block < channels || block == 0; block += BLOCK) {
            const int64_t n = channels - block < BLOCK ? channels - block : BLOCK;
            float best[BLOCK];
            int32_t which[BLOCK];
            // First the winner (or the number of positions), then its share.
            for (int32_t pass = 0; pass < 2; pass++) {
              int32_t tap = 0;
              if (pass == 1 && p->average && p->counts_padding) count = p->window[0] * p->window[1] * p->window[2];
              const float share = count > 0 ? 1.0f / (float)count : 0.0f;
              if (pass == 0) count = 0;
              for (int64_t a = 0; a < p->window[0]; a++)
                for (int64_t b = 0; b < p->window[1]; b++)
                  for (int64_t c = 0; c < p->window[2]; c++) {
                    const int64_t u = start[0] + a * p->dilation[0], v = start[1] + b * p->dilation[1], w = start[2] + c * p->dilation[2];
                    if (u < 0 || u >= p->input[0] || v < 0 || v >= p->input[1] || w < 0 || w >= p->input[2]) continue;
                    const int64_t at = ((u * p->input[1] + v) * p->input[2] + w) * channels + block;
                    if (p->average) {
                      if (pass == 0) count++; else for (int64_t e = 0; e < n; e++) to[at + e] += slope[block + e] * share;
                    } else if (pass == 0) {
                      for (int64_t e = 0; e < n; e++) {
                        const float value = own[at + e];
                        const bool wins = tap == 0 || value > best[e] || (value != value && best[e] == best[e]);
                        best[e] = wins ? value : best[e];
                        which[e] = wins ? tap : which[e];
                      }
                    } else {
                      for (int64_t e = 0; e < n; e++) to[at + e] += which[e] == tap ? slope[block + e] : 0.0f;
                    }
                    tap++;
                  }
            }
          }
        }
  }
}

const kiln_gradient_tier *KV_NAME(kiln_gradient)(void) {
  static const kiln_gradient_tier tier = {KV_NAME(grouped_kernel), KV_NAME(add), KV_NAME(pool), KV_NAME(rnn_backward), KV_NAME(gru_reset)};
  return &tier;
}

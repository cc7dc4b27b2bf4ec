#include "../gemm/scalar_finish.h"
#include "row.h"

enum { LANES = 8 };

static void row(const kiln_depthwise_row *t, int64_t first, int64_t end) {
  const int32_t phase = t->first_channel % t->multiplier;
  for (int64_t x = first; x < end; x++) {
    float sum[LANES] = {0};
    for (int32_t l = 0; t->bias && l < t->channels; l++) sum[l] = t->bias[l];
    for (int64_t ky = 0; ky < t->tap_rows; ky++) {
      for (int64_t kx = 0; kx < t->tap_columns; kx++) {
        const int64_t column = x * t->stride + t->origin_x + kx * t->dilation;
        if (column < 0 || column >= t->in_w) continue;
        const float *in = t->input + ky * t->in_row + column * t->in_pixel;
        const float *w = t->weights + ky * t->weight_row + kx * t->weight_tap;
        if (t->multiplier > 1) {
          for (int32_t l = 0; l < t->channels; l++) sum[l] += in[(phase + l) / t->multiplier] * w[l];
        } else if (t->channels == LANES) {
          for (int32_t l = 0; l < LANES; l++) sum[l] += in[l] * w[l];
        } else {
          for (int32_t l = 0; l < t->channels; l++) sum[l] += in[l] * w[l];
        }
      }
    }
    for (int32_t l = 0; l < t->channels; l++) {
      const int64_t at = x * t->out_pixel + l;
      t->output[at] = kiln_finished(t->finish, t->p, t->residual ? sum[l] + t->residual[at] : sum[l]);
    }
  }
}

const kiln_depthwise_set kiln_depthwise_scalar = {LANES, row, {{0, 0}, {0, 0}, {0, 0}}};

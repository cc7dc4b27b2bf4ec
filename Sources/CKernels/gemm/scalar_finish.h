// The activation of one value, for the portable kernels.
#ifndef KILN_SCALAR_FINISH_H
#define KILN_SCALAR_FINISH_H

#include "tile.h"

static inline float kiln_finished(kiln_finish finish, const float *p, float x) {
  switch (finish) {
    case KILN_FINISH_CLIP:
      x = x < p[0] ? p[0] : x;
      return x > p[1] ? p[1] : x;
    case KILN_FINISH_LEAKY: return x < 0 ? p[0] * x : x;
    case KILN_FINISH_HARD_SIGMOID:
      x = p[0] * x + p[1];
      x = x < 0 ? 0 : x;
      return x > 1 ? 1 : x;
    case KILN_FINISH_HARD_SWISH: {
      float gate = x + 3;
      gate = gate < 0 ? 0 : gate;
      gate = gate > 6 ? 6 : gate;
      return x * gate * (1.0f / 6.0f);
    }
    default: return x;
  }
}

#endif

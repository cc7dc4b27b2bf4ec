// The updates for one tier: plain loops that the compiler turns into vectors. Compiled once for each tier.
#include <stddef.h>
#include "kiln_training.h"

// Without errno, so that loops become vectors.
#define ROOT(x) __builtin_elementwise_sqrt(x)

// One loop for each way to have the gradient's square: clipped, given, plain. Most have the last.
#define LOOP(GRADIENT, SQUARE, BODY) \
  for (int64_t i = 0; i < n; i++) { const float x = GRADIENT; const float xx = SQUARE; float v = w[i] - w[i] * p->decay; (void)xx; BODY; w[i] = v; }
#define EACH(BODY) \
  if (p->limit > 0) { \
    LOOP(fminf(fmaxf(g[i] * p->scale, -p->limit), p->limit), x * x, BODY) \
  } else if (squares) { \
    LOOP(g[i] * p->scale, squares[i] * p->scale * p->scale, BODY) \
  } else { \
    LOOP(g[i] * p->scale, x * x, BODY) \
  }

static void KV_NAME(update)(const kiln_update_params *p, int64_t n, float *restrict w, float *restrict g, const float *restrict squares,
                            float *restrict s0, float *restrict s1, float *restrict s2) {
  const float rate = p->rate, epsilon = p->epsilon, a = p->a, b = p->b, c = p->c, d = p->d, e = p->e;
  switch (p->rule) {
    case KILN_SGD: EACH(v -= x * rate) break;
    case KILN_MOMENTUM: EACH(s0[i] = s0[i] * a - x * rate; v += s0[i]) break;
    case KILN_NESTEROV: EACH(s0[i] = s0[i] * a - x * rate; v += s0[i] * a - x * rate) break;
    case KILN_ADAM: EACH(s0[i] += (x - s0[i]) * (1 - a); s1[i] += (xx - s1[i]) * (1 - b); v -= s0[i] * rate / (ROOT(s1[i]) + epsilon)) break;
    case KILN_AMSGRAD:
      EACH(s0[i] += (x - s0[i]) * (1 - a); s1[i] += (xx - s1[i]) * (1 - b); s2[i] = s2[i] > s1[i] ? s2[i] : s1[i];
           v -= s0[i] * rate / (ROOT(s2[i]) + epsilon))
      break;
    case KILN_RMSPROP:
      if (p->centered && p->momentum > 0)
        EACH(s0[i] = a * s0[i] + (1 - a) * xx; s2[i] = a * s2[i] + (1 - a) * x;
             s1[i] = p->momentum * s1[i] + rate * x / ROOT(s0[i] - s2[i] * s2[i] + epsilon); v -= s1[i])
      else if (p->centered)
        EACH(s0[i] = a * s0[i] + (1 - a) * xx; s2[i] = a * s2[i] + (1 - a) * x; v -= rate * x / ROOT(s0[i] - s2[i] * s2[i] + epsilon))
      else if (p->momentum > 0)
        EACH(s0[i] = a * s0[i] + (1 - a) * xx; s1[i] = p->momentum * s1[i] + rate * x / ROOT(s0[i] + epsilon); v -= s1[i])
      else
        EACH(s0[i] = a * s0[i] + (1 - a) * xx; v -= rate * x / ROOT(s0[i] + epsilon))
      break;
    case KILN_ADAGRAD: EACH(s0[i] += xx; v -= rate * x / ROOT(s0[i] + epsilon)) break;
    case KILN_ADADELTA:
      EACH(s0[i] = a * s0[i] + (1 - a) * xx; const float step = ROOT(s1[i] + epsilon) * x / ROOT(s0[i] + epsilon);
           s1[i] = a * s1[i] + (1 - a) * ((s1[i] + epsilon) / (s0[i] + epsilon) * xx); v -= rate * step)
      break;
    case KILN_ADAMAX:
      EACH(s0[i] += (x - s0[i]) * (1 - a); const float size = squares ? xx : fabsf(x); const float old = b * s1[i]; s1[i] = old > size ? old : size;
           v -= rate * s0[i] / (c * (s1[i] + epsilon)))
      break;
    case KILN_NADAM:
      EACH(s0[i] += (x - s0[i]) * (1 - a); s1[i] += (xx - s1[i]) * (1 - b); v -= (c * s0[i] + d * x) * rate / (ROOT(s1[i] / e) + epsilon))
      break;
    case KILN_FTRL:
      // s0 the sum of squares, s1 the linear term; powers of -learning_rate_power.
      EACH(const float sum = s0[i] + xx; const float new_power = a == 0.5f ? ROOT(sum) : powf(sum, a);
           const float old_power = a == 0.5f ? ROOT(s0[i]) : powf(s0[i], a);
           s1[i] += (x + d * v) - (new_power - old_power) / rate * v; const float quadratic = new_power / rate + 2 * b;
           const float clipped = s1[i] < -c ? -c : s1[i] > c ? c : s1[i]; v = (clipped - s1[i]) / quadratic; s0[i] = sum)
      break;
    case KILN_LION:
      EACH(const float direction = s0[i] * a + x * (1 - a); v -= rate * (direction > 0 ? 1.0f : direction < 0 ? -1.0f : 0.0f);
           s0[i] = s0[i] * b + x * (1 - b))
      break;
    case KILN_LAMB:
      EACH(s0[i] += (x - s0[i]) * (1 - a); s1[i] += (xx - s1[i]) * (1 - b); g[i] = (s0[i] / c) / (ROOT(s1[i] / e) + epsilon)) break;
    default: break;
  }
}

static double KV_NAME(sum_of_squares)(int64_t n, const float *x) {
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int64_t lane = 0; lane < 8; lane++) sums[lane] += (double)x[i + lane] * x[i + lane];
  for (; i < n; i++) sums[0] += (double)x[i] * x[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

static void KV_NAME(add_scaled)(int64_t n, float *restrict w, const float *restrict x, float factor) {
  for (int64_t i = 0; i < n; i++) w[i] += factor * x[i];
}

static void KV_NAME(blend)(int64_t n, float *restrict y, const float *restrict x, float a, float b) {
  for (int64_t i = 0; i < n; i++) y[i] = a * y[i] + b * x[i];
}

static bool KV_NAME(all_finite)(int64_t n, const float *x) {
  // Any infinity or NaN makes the sum of x * 0 NaN.
  float sums[16] = {0};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t lane = 0; lane < 16; lane++) sums[lane] += x[i + lane] * 0.0f;
  for (; i < n; i++) sums[0] += x[i] * 0.0f;
  float sum = 0;
  for (int64_t lane = 0; lane < 16; lane++) sum += sums[lane];
  return sum == 0;
}

const kiln_training_tier *KV_NAME(kiln_training)(void) {
  static const kiln_training_tier tier = {KV_NAME(update), KV_NAME(sum_of_squares), KV_NAME(add_scaled), KV_NAME(blend), KV_NAME(all_finite)};
  return &tier;
}

// Register instructions in double and in 64-bit integers: plain loops, for data types that f32 cannot hold.
#include <math.h>
#include <string.h>
#include "tier.h"

#define X pa[i & a.mask]
#define Y pb[i & b.mask]
#define Z pc[i & c.mask]
#define CASE(name, ...) case KILN_FN_##name: for (size_t i = 0; i < n; i++) { __VA_ARGS__; } break;
#define ONE(name, call) CASE(name, const T x = X; dst[i] = (T)(call))
#define TWO(name, call) CASE(name, const T x = X; const T y = Y; dst[i] = (T)(call))

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double softplus(double x) { return (x < 0 ? 0 : x) + log1p(exp(-fabs(x))); }
static double elu(double x, double alpha) { return x < 0 ? alpha * expm1(x) : x; }
static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }
static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double mod(double a, double b) {
  const double m = fmod(a, b);
  if (m == 0) return copysign(0, b);
  return (b < 0) != (m < 0) ? m + b : m;
}
static double floor_div(double a, double b) {
  if (b == 0) return a / b;
  const double m = fmod(a, b);
  double quotient = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0)) quotient -= 1;
  if (quotient == 0) return copysign(0, a / b);
  const double floored = floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}
static double gelu(double x) { return x == -INFINITY ? -0.0 : 0.5 * x * erfc(-x * 0.70710678118654752440); }
static double gelu_tanh(double x) {
  return x == -INFINITY ? -0.0 : x * sigmoid(1.59576912160573071176 * (x + 0.044715 * x * x * x));
}
static double silu(double x) { return x == -INFINITY ? -0.0 : x * sigmoid(x); }
static double mish(double x) { return x == -INFINITY ? -0.0 : x * tanh(softplus(x)); }

void kiln_ew_f64(int32_t function, const double *p, double *dst, kiln_ew_source a, kiln_ew_source b, kiln_ew_source c, size_t n) {
  typedef double T;
  const double *pa = a.data, *pb = b.data, *pc = c.data;
  switch (function) {
    ONE(identity, x) ONE(abs, fabs(x)) ONE(neg, -x) ONE(exp, exp(x)) ONE(exp2, exp2(x)) ONE(expm1, expm1(x))
    ONE(log, log(x)) ONE(log2, log2(x)) ONE(log10, log10(x)) ONE(log1p, log1p(x)) ONE(sqrt, sqrt(x)) ONE(rsqrt, 1 / sqrt(x))
    ONE(square, x * x) ONE(reciprocal, 1 / x) ONE(sign, sign(x)) ONE(floor, floor(x)) ONE(ceil, ceil(x))
    ONE(round, nearbyint(x)) ONE(trunc, trunc(x)) ONE(sin, sin(x)) ONE(cos, cos(x)) ONE(tan, tan(x)) ONE(asin, asin(x))
    ONE(acos, acos(x)) ONE(atan, atan(x)) ONE(sinh, sinh(x)) ONE(cosh, cosh(x)) ONE(tanh, tanh(x)) ONE(asinh, asinh(x))
    ONE(acosh, acosh(x)) ONE(atanh, atanh(x)) ONE(erf, erf(x)) ONE(erfc, erfc(x)) ONE(not, x == 0) ONE(isnan, x != x)
    ONE(isinf, fabs(x) == INFINITY) ONE(isfinite, fabs(x) < INFINITY) ONE(relu, x < 0 ? 0 : x) ONE(sigmoid, sigmoid(x))
    ONE(softplus, softplus(x)) ONE(softsign, x / (1 + fabs(x))) ONE(silu, silu(x)) ONE(gelu, gelu(x))
    ONE(gelu_tanh, gelu_tanh(x)) ONE(mish, mish(x)) ONE(log_sigmoid, -softplus(-x))
    ONE(selu, 1.0507009873554804934 * elu(x, 1.6732632423543772848)) ONE(hard_swish, x * clip(x + 3, 0, 6) / 6)
    ONE(tanh_shrink, x - tanh(x)) ONE(sparse_plus, x <= -1 ? 0 : x < 1 ? 0.25 * (x + 1) * (x + 1) : x)
    ONE(sparse_sigmoid, clip(0.5 * (x + 1), 0, 1)) ONE(clip, clip(x, p[0], p[1])) ONE(leaky_relu, x < 0 ? p[0] * x : x)
    ONE(elu, elu(x, p[0])) ONE(celu, x < 0 ? p[0] * expm1(x / p[0]) : x) ONE(hard_sigmoid, clip(p[0] * x + p[1], 0, 1))
    ONE(soft_shrink, x > p[0] ? x - p[0] : x < -p[0] ? x + p[0] : x != x ? x : 0) ONE(hard_shrink, fabs(x) <= p[0] ? 0 : x)
    ONE(squareplus, 0.5 * (x + sqrt(x * x + p[0]))) ONE(threshold, x <= p[0] ? p[1] : x)
    ONE(general_relu, x >= p[2] ? p[2] : x >= p[1] ? x : p[0] * (x - p[1])) ONE(affine, p[0] * x + p[1])
    TWO(add, x + y) TWO(sub, x - y) TWO(mul, x * y) TWO(div, x / y) TWO(floor_div, floor_div(x, y)) TWO(mod, mod(x, y))
    TWO(pow, pow(x, y)) TWO(max, x != x || x > y ? x : y) TWO(min, x != x || x < y ? x : y) TWO(atan2, atan2(x, y))
    TWO(squared_difference, (x - y) * (x - y)) TWO(prelu, x < 0 ? x * y : x) TWO(equal, x == y) TWO(not_equal, x != y)
    TWO(less, x < y) TWO(less_equal, x <= y) TWO(greater, x > y) TWO(greater_equal, x >= y) TWO(and, x != 0 && y != 0)
    TWO(or, x != 0 || y != 0) TWO(xor, (x != 0) != (y != 0))
    CASE(select, dst[i] = X != 0 ? Y : Z)
    default: break;
  }
}

static int64_t int_div(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b; }
static int64_t int_mod(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  const int64_t m = a % b;
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}
static int64_t int_floor_div(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return int_div(a, b);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
static int64_t int_pow(int64_t x, int64_t y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
  uint64_t result = 1, base = (uint64_t)x;
  for (; y; y >>= 1, base *= base) if (y & 1) result *= base;
  return (int64_t)result;
}
static int64_t int_max(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t int_min(int64_t a, int64_t b) { return a < b ? a : b; }

// A function without an integer meaning: through double, truncated with saturation.
static int64_t through_double(int32_t function, const int64_t *p, int64_t x, int64_t y) {
  const double wide[3] = {(double)p[0], (double)p[1], (double)p[2]}, dx = (double)x, dy = (double)y;
  const kiln_ew_source sx = {&dx, 0}, sy = {&dy, 0}, none = {0, 0};
  double r = 0;
  kiln_ew_f64(function, wide, &r, sx, sy, none, 1);
  return r != r ? 0 : r >= 0x1p63 ? INT64_MAX : r <= -0x1p63 ? INT64_MIN : (int64_t)r;
}

#define U(x) ((uint64_t)(x))
void kiln_ew_i64(int32_t function, const int64_t *p, int64_t *dst, kiln_ew_source a, kiln_ew_source b, kiln_ew_source c, size_t n) {
  typedef int64_t T;
  const int64_t *pa = a.data, *pb = b.data, *pc = c.data;
  switch (function) {
    ONE(identity, x) ONE(abs, x < 0 ? 0 - U(x) : U(x)) ONE(neg, 0 - U(x)) ONE(square, U(x) * U(x))
    ONE(sign, (x > 0) - (x < 0)) ONE(floor, x) ONE(ceil, x) ONE(round, x) ONE(trunc, x) ONE(not, x == 0)
    CASE(isnan, dst[i] = 0) CASE(isinf, dst[i] = 0) CASE(isfinite, dst[i] = 1)
    ONE(relu, int_max(x, 0)) ONE(clip, int_min(int_max(x, p[0]), p[1])) ONE(threshold, x > p[0] ? x : p[1])
    ONE(reciprocal, int_div(1, x)) ONE(affine, U(p[0]) * U(x) + U(p[1]))
    TWO(add, U(x) + U(y)) TWO(sub, U(x) - U(y)) TWO(mul, U(x) * U(y)) TWO(div, int_div(x, y))
    TWO(floor_div, int_floor_div(x, y)) TWO(mod, int_mod(x, y)) TWO(pow, int_pow(x, y)) TWO(max, int_max(x, y))
    TWO(min, int_min(x, y)) TWO(squared_difference, (U(x) - U(y)) * (U(x) - U(y))) TWO(prelu, x >= 0 ? U(x) : U(x) * U(y))
    TWO(equal, x == y) TWO(not_equal, x != y) TWO(less, x < y) TWO(less_equal, x <= y) TWO(greater, x > y)
    TWO(greater_equal, x >= y) TWO(and, x != 0 && y != 0) TWO(or, x != 0 || y != 0) TWO(xor, (x != 0) != (y != 0))
    CASE(select, dst[i] = X != 0 ? Y : Z)
    default:
      for (size_t i = 0; i < n; i++) dst[i] = through_double(function, p, X, pb ? Y : 0);
  }
}

/// What every program begins with: how `real` numbers are read and written, and functions of one number.
enum Prelude {
  static func text(_ precision: GPUPrecision) -> String {
    (precision == .float16 ? "#define KILN_HALF 1\n" : "") + storage + functions(suffix: "f", type: "float", literal: "f") + doubles + gelu
  }

  /// `real` is how the device stores a float32 value. Kernels read and write it with LD and ST (of `n` numbers from an index on:
  /// LD4, ST4, LD16, ST16) and compute in float.
  private static let storage = """
    #ifdef cl_khr_fp64
    #pragma OPENCL EXTENSION cl_khr_fp64 : enable
    #define KILN_DOUBLE 1
    #endif
    #ifdef KILN_HALF
    typedef half real;
    // Finite numbers that half does not hold become its largest: masks of -1e9 stay finite, and sums stay numbers.
    static float k_half(float v) { return fabs(v) > 65504.0f && !isinf(v) ? copysign(65504.0f, v) : v; }
    #define LD(p, i) vload_half((i), (p))
    #define ST(p, i, v) vstore_half_rte(k_half(v), (i), (p))
    // Number by number: some drivers' vector forms want addresses of whole vectors, which the standard does not ask for.
    static float4 k_load4(global const half *p) { return (float4)(vload_half(0, p), vload_half(1, p), vload_half(2, p), vload_half(3, p)); }
    static float8 k_load8(global const half *p) { return (float8)(k_load4(p), k_load4(p + 4)); }
    static float16 k_load16(global const half *p) { return (float16)(k_load8(p), k_load8(p + 8)); }
    static void k_store4(float4 v, global half *p) { ST(p, 0, v.s0); ST(p, 1, v.s1); ST(p, 2, v.s2); ST(p, 3, v.s3); }
    static void k_store8(float8 v, global half *p) { k_store4(v.lo, p); k_store4(v.hi, p + 4); }
    static void k_store16(float16 v, global half *p) { k_store8(v.lo, p); k_store8(v.hi, p + 8); }
    #define LD4(p, i) k_load4((p) + (i))
    #define ST4(p, i, v) k_store4((v), (p) + (i))
    #define LD8(p, i) k_load8((p) + (i))
    #define ST8(p, i, v) k_store8((v), (p) + (i))
    #define LD16(p, i) k_load16((p) + (i))
    #define ST16(p, i, v) k_store16((v), (p) + (i))
    #else
    typedef float real;
    #define LD(p, i) ((p)[i])
    #define ST(p, i, v) ((p)[i] = (v))
    #define LD4(p, i) vload4(0, (p) + (i))
    #define ST4(p, i, v) vstore4((v), 0, (p) + (i))
    #define LD8(p, i) vload8(0, (p) + (i))
    #define ST8(p, i, v) vstore8((v), 0, (p) + (i))
    #define LD16(p, i) vload16(0, (p) + (i))
    #define ST16(p, i, v) vstore16((v), 0, (p) + (i))
    #endif
    static float k_from_bfloat(ushort x) { return as_float((uint)x << 16); }
    static ushort k_to_bfloat(float x) {
      uint bits = as_uint(x);
      if (x != x) return (ushort)(bits >> 16 | 0x40);
      return (ushort)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
    static long k_floor_divide(long x, long y) {
      if (y == 0) return 0;
      if (y == -1) return -x;
      long q = x / y;
      return x % y != 0 && (x < 0) != (y < 0) ? q - 1 : q;
    }
    static long k_mod_l(long x, long y) { return y == 0 ? 0 : x - k_floor_divide(x, y) * y; }
    static long k_power(long base, long exponent) {
      if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
      long result = 1;
      while (exponent > 0) {
        if (exponent & 1) result *= base;
        base *= base;
        exponent >>= 1;
      }
      return result;
    }
    static long k_gcd(long x, long y) {
      ulong a = abs(x), b = abs(y);
      while (b != 0) {
        ulong t = a % b;
        a = b;
        b = t;
      }
      return (long)a;
    }

    """

  /// x Φ(x) without branches, so that loops over it become vectors. erfc(z) = t exp(p(t) - z²) with t = 1 / (1 + z / 2), p the Chebyshev
  /// interpolation of degree 10 on z in [0, 31] (error 5e-8).
  private static let gelu = """
    static float k_gelu_f(float x) {
      float t = 1 / (1 + 0.35355339059327373f * fabs(x)), p = -0.05968508560688196f;
      p = 0.49499652029373714f + t * p;
      p = -1.5812549912049525f + t * p;
      p = 2.4917868069432956f + t * p;
      p = -1.9573822723925696f + t * p;
      p = 0.7111351822921181f + t * p;
      p = -0.3321287544391797f + t * p;
      p = 0.12747381277022232f + t * p;
      p = 0.3703132060845024f + t * p;
      p = 1.0002636457491052f + t * p;
      p = -1.265518047175025f + t * p;
      float e = 0.5f * t * exp(p - 0.5f * x * x);
      return x == -INFINITY ? -0.0f : x * (x < 0 ? e : 1 - e);
    }
    #ifdef KILN_DOUBLE
    static double k_gelu_d(double x) { return x == -INFINITY ? -0.0 : 0.5 * x * erfc(x * -0.7071067811865476); }
    #endif

    """

  private static let doubles = "#ifdef KILN_DOUBLE\n" + functions(suffix: "d", type: "double", literal: "") + "#endif\n"

  /// The functions of `ScalarFunction` that are more than an expression. `@` ends a literal.
  private static func functions(suffix: String, type: String, literal: String) -> String {
    var out = ""
    for character in template {
      switch character {
      case "@": out += literal
      case "$": out += suffix
      case "~": out += type
      default: out.append(character)
      }
    }
    return out
  }

  private static let template = """
    static ~ k_sign_$(~ x) { return x > 0 ? 1 : x < 0 ? -1 : x != x ? x : 0; }
    static ~ k_sigmoid_$(~ x) { return 1 / (1 + exp(-x)); }
    static ~ k_softplus_$(~ x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
    static ~ k_softsign_$(~ x) { return isinf(x) ? (x < 0 ? -1 : 1) : x / (1 + fabs(x)); }
    static ~ k_silu_$(~ x) { return x == -INFINITY ? -0.0@ : x / (1 + exp(-x)); }
    static ~ k_gelu_tanh_$(~ x) {
      return x == -INFINITY ? -0.0@ : x / (1 + exp(-1.5957691216057308@ * (x + 0.044715@ * x * x * x)));
    }
    static ~ k_mish_$(~ x) { return x == -INFINITY ? -0.0@ : x * tanh(k_softplus_$(x)); }
    static ~ k_selu_$(~ x) { return x > 0 || x != x ? 1.0507009873554805@ * x : 1.7580993408473766@ * expm1(x); }
    static ~ k_clip_$(~ x, ~ low, ~ high) {
      ~ t = x < low ? low : x;
      return t > high ? high : t;
    }
    static ~ k_hard_swish_$(~ x) { return x == -INFINITY ? -0.0@ : x * k_clip_$(x + 3, 0, 6) / 6; }
    static ~ k_sparse_plus_$(~ x) { return x <= -1 ? 0 : x < 1 ? (x + 1) * (x + 1) / 4 : x; }
    static ~ k_sparse_sigmoid_$(~ x) { return x <= -1 ? 0 : x < 1 ? 0.5@ * (x + 1) : x != x ? x : 1; }
    static ~ k_soft_shrink_$(~ x, ~ p) { return x > p ? x - p : x < -p ? x + p : x != x ? x : 0; }
    static ~ k_mod_$(~ x, ~ y) {
      ~ r = fmod(x, y);
      return r != 0 && (r < 0) != (y < 0) ? r + y : r;
    }
    static ~ k_max_$(~ x, ~ y) { return x != x || x > y ? x : y; }
    static ~ k_min_$(~ x, ~ y) { return x != x || x < y ? x : y; }
    static ~ k_digamma_$(~ x) {
      ~ value = x, sum = 0, reflection = 0;
      if (x != x || x == -INFINITY || (x <= 0 && x == rint(x))) return NAN;
      if (x < 0) {
        reflection = 3.141592653589793@ / tan(3.141592653589793@ * x);
        value = 1 - x;
      }
      while (value < 10) {
        sum -= 1 / value;
        value += 1;
      }
      ~ t = 1 / (value * value);
      ~ series = t * (1.0@ / 12 - t * (1.0@ / 120 - t * (1.0@ / 252 - t * (1.0@ / 240 - t * (1.0@ / 132)))));
      return sum + log(value) - 0.5@ / value - series - reflection;
    }
    static ~ k_bessel_i0_$(~ x) {
      ~ size = fabs(x), term = 1, sum = 1;
      if (size > 50) {
        for (int k = 1; k <= 12; k++) {
          ~ odd = 2 * k - 1;
          term *= odd * odd / (8 * k * size);
          sum += term;
        }
        return exp(size / 2) / sqrt(6.283185307179586@ * size) * sum * exp(size / 2);
      }
      for (int k = 1; k < 200 && term > sum * 1e-17@; k++) {
        term *= (size / 2 / k) * (size / 2 / k);
        sum += term;
      }
      return x != x ? x : sum;
    }
    static ~ k_erfinv_$(~ x) {
      if (!(fabs(x) < 1)) return fabs(x) == 1 ? x * INFINITY : NAN;
      ~ w = -log((1 - x) * (1 + x)), p;
      if (w < 5) {
        w -= 2.5@;
        p = 2.81022636e-08@;
        p = 3.43273939e-07@ + p * w;
        p = -3.5233877e-06@ + p * w;
        p = -4.39150654e-06@ + p * w;
        p = 0.00021858087@ + p * w;
        p = -0.00125372503@ + p * w;
        p = -0.00417768164@ + p * w;
        p = 0.246640727@ + p * w;
        p = 1.50140941@ + p * w;
      } else {
        w = sqrt(w) - 3;
        p = -0.000200214257@;
        p = 0.000100950558@ + p * w;
        p = 0.00134934322@ + p * w;
        p = -0.00367342844@ + p * w;
        p = 0.00573950773@ + p * w;
        p = -0.0076224613@ + p * w;
        p = 0.00943887047@ + p * w;
        p = 1.00167406@ + p * w;
        p = 2.83297682@ + p * w;
      }
      return p * x;
    }

    """

  /// Between float32 as the processor has it and `real`.
  static let conversions = """
    kernel void narrow(global const float *x, global real *y, int n) {
      int i = get_global_id(0);
      if (i < n) ST(y, i, x[i]);
    }
    kernel void widen(global const real *x, global float *y, int n) {
      int i = get_global_id(0);
      if (i < n) y[i] = LD(x, i);
    }
    """
}

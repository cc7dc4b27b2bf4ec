// Loads and stores of registers. f32 with stride 1 goes to the tier's vector code; the rest are plain loops.
#include "registers.h"
#include <string.h>
#include "half.h"
#include "tier.h"

size_t kiln_dtype_size(int32_t dtype) {
  static const uint8_t sizes[] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 1};
  return sizes[dtype];
}

#define LOAD(DTYPE, TYPE, ...)                                                   \
  case DTYPE: {                                                                  \
    const TYPE *s = src;                                                         \
    for (size_t i = 0; i < n; i++, s += stride) { const TYPE x = *s; dst[i] = __VA_ARGS__; } \
    break;                                                                       \
  }
#define LOADS(NAME, T)                                                                        \
  static void NAME(int32_t dtype, T *restrict dst, const void *restrict src, int64_t stride, size_t n) { \
    switch (dtype) {                                                                          \
      LOAD(KILN_F32, float, from_float_##T(x)) LOAD(KILN_F64, double, from_double_##T(x))     \
      LOAD(KILN_F16, uint16_t, from_float_##T(kiln_half_to_float(x)))                         \
      LOAD(KILN_BF16, uint16_t, from_float_##T(kiln_bfloat_to_float(x)))                      \
      LOAD(KILN_I8, int8_t, (T)x) LOAD(KILN_I16, int16_t, (T)x) LOAD(KILN_I32, int32_t, (T)x) \
      LOAD(KILN_I64, int64_t, (T)x) LOAD(KILN_U8, uint8_t, (T)x) LOAD(KILN_BOOL, uint8_t, (T)(x != 0)) \
      default: break;                                                                         \
    }                                                                                         \
  }
static int64_t saturate(double x, double low, double above, int64_t least, int64_t most) {
  return x != x ? 0 : x <= low ? least : x >= above ? most : (int64_t)x;
}
static float from_float_float(float x) { return x; }
static float from_double_float(double x) { return (float)x; }
static double from_float_double(float x) { return x; }
static double from_double_double(double x) { return x; }
static int64_t from_double_int64_t(double x) { return saturate(x, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX); }
static int64_t from_float_int64_t(float x) { return from_double_int64_t(x); }
LOADS(load_f32, float)
LOADS(load_f64, double)
LOADS(load_i64, int64_t)

void kiln_register_load(int32_t register_type, int32_t dtype, void *dst, const void *src, int64_t stride, size_t n) {
  switch (register_type) {
    case KILN_REGISTER_F32:
      if (stride == 1) kiln_ew_best()->load_f32(dtype, dst, src, n);
      else load_f32(dtype, dst, src, stride, n);
      break;
    case KILN_REGISTER_F64: load_f64(dtype, dst, src, stride, n); break;
    default: load_i64(dtype, dst, src, stride, n); break;
  }
}

#define STORE(DTYPE, TYPE, ...)                                    \
  case DTYPE: {                                                    \
    TYPE *d = dst;                                                 \
    for (size_t i = 0; i < n; i++) d[i] = (TYPE)(__VA_ARGS__);     \
    break;                                                         \
  }
static void store_f64(int32_t dtype, void *restrict dst, const double *restrict src, size_t n) {
  switch (dtype) {
    STORE(KILN_F32, float, src[i]) STORE(KILN_F64, double, src[i])
    STORE(KILN_F16, uint16_t, kiln_float_to_half(kiln_round_to_odd(src[i])))
    STORE(KILN_BF16, uint16_t, kiln_float_to_bfloat(kiln_round_to_odd(src[i])))
    STORE(KILN_I8, int8_t, saturate(src[i], INT8_MIN, INT8_MAX, INT8_MIN, INT8_MAX))
    STORE(KILN_I16, int16_t, saturate(src[i], INT16_MIN, INT16_MAX, INT16_MIN, INT16_MAX))
    STORE(KILN_I32, int32_t, saturate(src[i], INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX))
    STORE(KILN_I64, int64_t, from_double_int64_t(src[i]))
    STORE(KILN_U8, uint8_t, saturate(src[i], 0, UINT8_MAX, 0, UINT8_MAX))
    STORE(KILN_BOOL, uint8_t, src[i] != 0)
    default: break;
  }
}
static void store_i64(int32_t dtype, void *restrict dst, const int64_t *restrict src, size_t n) {
  switch (dtype) {
    STORE(KILN_F32, float, src[i]) STORE(KILN_F64, double, src[i])
    STORE(KILN_F16, uint16_t, kiln_float_to_half(kiln_round_to_odd((double)src[i])))
    STORE(KILN_BF16, uint16_t, kiln_float_to_bfloat(kiln_round_to_odd((double)src[i])))
    STORE(KILN_I8, int8_t, src[i]) STORE(KILN_I16, int16_t, src[i]) STORE(KILN_I32, int32_t, src[i])
    STORE(KILN_I64, int64_t, src[i]) STORE(KILN_U8, uint8_t, src[i]) STORE(KILN_BOOL, uint8_t, src[i] != 0)
    default: break;
  }
}

void kiln_register_store(int32_t register_type, int32_t dtype, void *dst, const void *src, size_t n) {
  switch (register_type) {
    case KILN_REGISTER_F32: kiln_ew_best()->store_f32(dtype, dst, src, n); break;
    case KILN_REGISTER_F64: store_f64(dtype, dst, src, n); break;
    default: store_i64(dtype, dst, src, n); break;
  }
}

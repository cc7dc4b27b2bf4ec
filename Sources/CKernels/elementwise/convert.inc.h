// Conversion between f32 registers and every element type, for one tier.
#include "half.h"

#define LOAD(DTYPE, TYPE)                                                 \
  case DTYPE: {                                                           \
    const TYPE *s = src;                                                  \
    for (size_t i = 0; i < n; i++) dst[i] = (float)s[i];                  \
    break;                                                                \
  }
static void load_f32(int32_t dtype, float *restrict dst, const void *restrict src, size_t n) {
  size_t i = 0;
  switch (dtype) {
    case KILN_F32: memcpy(dst, src, n * sizeof(float)); break;
    LOAD(KILN_F64, double)
    LOAD(KILN_I8, int8_t)
    LOAD(KILN_I16, int16_t)
    LOAD(KILN_I32, int32_t)
    LOAD(KILN_I64, int64_t)
    LOAD(KILN_U8, uint8_t)
    case KILN_BOOL: {
      const uint8_t *s = src;
      for (; i < n; i++) dst[i] = s[i] ? 1.0f : 0.0f;
      break;
    }
    case KILN_BF16: {
      const uint16_t *s = src;
      uint32_t *d = (uint32_t *)(void *)dst;
      for (; i < n; i++) d[i] = (uint32_t)s[i] << 16;
      break;
    }
    case KILN_F16: {
      const uint16_t *s = src;
#if KV_WIDTH == 16
      for (; i + 16 <= n; i += 16) v_store(dst + i, (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(s + i))));
#elif KV_WIDTH == 8
      for (; i + 8 <= n; i += 8) v_store(dst + i, (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(s + i))));
#endif
      for (; i < n; i++) dst[i] = kiln_half_to_float(s[i]);
      break;
    }
    default: break;
  }
}

// NaN to 0, otherwise towards zero within [LOW, HIGH]; FIRST_ABOVE is the least float above HIGH.
#define STORE(DTYPE, TYPE, LOW, HIGH, FIRST_ABOVE)                                                             \
  case DTYPE: {                                                                                                \
    TYPE *d = dst;                                                                                             \
    for (; i < n; i++) {                                                                                       \
      const float x = src[i];                                                                                  \
      d[i] = x != x ? 0 : x <= (float)(LOW) ? (LOW) : x >= (FIRST_ABOVE) ? (HIGH) : (TYPE)x;                   \
    }                                                                                                          \
    break;                                                                                                     \
  }
static void store_f32(int32_t dtype, void *restrict dst, const float *restrict src, size_t n) {
  size_t i = 0;
  switch (dtype) {
    case KILN_F32: memcpy(dst, src, n * sizeof(float)); break;
    case KILN_F64: {
      double *d = dst;
      for (; i < n; i++) d[i] = src[i];
      break;
    }
    STORE(KILN_I8, int8_t, INT8_MIN, INT8_MAX, 127.0f)
    STORE(KILN_I16, int16_t, INT16_MIN, INT16_MAX, 32767.0f)
    STORE(KILN_I32, int32_t, INT32_MIN, INT32_MAX, 0x1p31f)
    STORE(KILN_I64, int64_t, INT64_MIN, INT64_MAX, 0x1p63f)
    STORE(KILN_U8, uint8_t, 0, UINT8_MAX, 255.0f)
    case KILN_BOOL: {
      uint8_t *d = dst;
      for (; i < n; i++) d[i] = src[i] != 0;
      break;
    }
    case KILN_BF16: {
      uint16_t *d = dst;
      const uint32_t *s = (const uint32_t *)(const void *)src;
      for (; i < n; i++) {
        const uint32_t u = s[i], rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
        d[i] = (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16) | 0x40 : rounded);
      }
      break;
    }
    case KILN_F16: {
      uint16_t *d = dst;
#if KV_WIDTH == 16
      for (; i + 16 <= n; i += 16) _mm256_storeu_si256((__m256i *)(d + i), _mm512_cvtps_ph((__m512)v_load(src + i), 0));
#elif KV_WIDTH == 8
      for (; i + 8 <= n; i += 8) _mm_storeu_si128((__m128i *)(d + i), _mm256_cvtps_ph((__m256)v_load(src + i), 0));
#endif
      for (; i < n; i++) d[i] = kiln_float_to_half(src[i]);
      break;
    }
    default: break;
  }
}

// Vectors of eight floats in plain C, the width of the scalar tier's panels.
#include "weights.h"

#include <string.h>

enum { LANES = 8 };
typedef struct {
  float x[LANES];
} vector;

#define EACH(expression)                                   \
  vector out;                                              \
  for (int i = 0; i < LANES; i++) out.x[i] = (expression); \
  return out;
static inline vector zero(void) { EACH(0) }
static inline vector set(float x) { EACH(x) }
static inline vector load(const float *p) { EACH(p[i]) }
static inline vector add(vector a, vector b) { EACH(a.x[i] + b.x[i]) }
static inline vector mul(vector a, vector b) { EACH(a.x[i] * b.x[i]) }
static inline vector wide_i8(const int8_t *p) { EACH((float)p[i]) }
static inline float wide(uint16_t bits) {
  const uint32_t whole = (uint32_t)bits << 16;
  float x;
  memcpy(&x, &whole, sizeof x);
  return x;
}
static inline vector wide_bf16(const uint16_t *p) { EACH(wide(p[i])) }

#define V vector
#define ZERO zero()
#define SET(x) set(x)
#define LOAD(p) load(p)
#define STORE(p, v)            \
  do {                         \
    const vector stored = (v); \
    memcpy(p, stored.x, sizeof stored.x); \
  } while (0)
#define ADD(a, b) add(a, b)
#define MUL(a, b) mul(a, b)
#define FMA(a, b, c) add(mul(a, b), c)
#define WIDE_BF16(p) wide_bf16(p)
#define WIDE_I8(p) wide_i8(p)
#define UNROLL
#define INLINE static inline
#define NAME(x) x##_scalar
#include "template.h"

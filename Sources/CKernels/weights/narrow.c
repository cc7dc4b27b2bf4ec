#include "weights.h"

#include <math.h>
#include <string.h>

extern const kiln_weights_functions kiln_weights_scalar;
#if defined(__x86_64__)
extern const kiln_weights_functions kiln_weights_avx2, kiln_weights_avx512;
#endif

const kiln_weights_functions *kiln_weights_tier(void) {
  switch (kiln_cpu_tier()) {
#if defined(__x86_64__)
    case KILN_TIER_AVX512: return &kiln_weights_avx512;
    case KILN_TIER_AVX2: return &kiln_weights_avx2;
#endif
    default: return &kiln_weights_scalar;
  }
}

// Packed: panels of [depth][width] as those of float32, then (KILN_NARROW_I8) a scale for each padded column.
static int64_t element(int32_t form) { return form == KILN_NARROW_I8 ? 1 : 2; }

static int64_t scales_at(int32_t form, int64_t n, int64_t k) {
  return (kiln_padded_columns(kiln_tiles(), n) * k * element(form) + 63) / 64 * 64;
}

size_t kiln_narrow_packed_bytes(int32_t form, int64_t n, int64_t k) {
  const int64_t scales = form == KILN_NARROW_I8 ? kiln_padded_columns(kiln_tiles(), n) * (int64_t)sizeof(float) : 0;
  return (size_t)(scales_at(form, n, k) + scales);
}

static uint16_t rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// x over scale, rounded to nearest even by an addition after which a float has no place for fractions.
static inline int32_t level(float x, float scale) {
  const float whole = 12582912, y = (x / (scale > 0 ? scale : 1) + whole) - whole;
  return (int32_t)(y < -127 ? -127 : y > 127 ? 127 : y);
}

// Finds the scales: the largest magnitude of each column over 127.
static void find_scales(const float *b, int64_t row_stride, int64_t column_stride, int64_t n, int64_t k, float *scales) {
  memset(scales, 0, (size_t)kiln_padded_columns(kiln_tiles(), n) * sizeof(float));
  for (int64_t row = 0; row < k; row++) {
    for (int64_t j = 0; j < n; j++) {
      const float size = fabsf(b[row * row_stride + j * column_stride]);
      if (size > scales[j]) scales[j] = size;
    }
  }
  for (int64_t j = 0; j < n; j++) scales[j] /= 127;
}

void kiln_narrow_pack(int32_t form, const float *b, int64_t row_stride, int64_t column_stride, int64_t n, int64_t k, void *out) {
  const kiln_tile_set *set = kiln_tiles();
  float *scales = (float *)((char *)out + scales_at(form, n, k));
  if (form == KILN_NARROW_I8) find_scales(b, row_stride, column_stride, n, k, scales);
  for (int64_t index = 0; index < kiln_panel_count(set, n); index++) {
    const kiln_panel panel = kiln_panel_at(set, n, index);
    const int64_t width = (int64_t)panel.vectors * set->lanes, left = n - panel.column, columns = left < width ? left : width;
    for (int64_t row = 0; row < k; row++) {
      const float *from = b + row * row_stride + panel.column * column_stride;
      const int64_t at = panel.column * k + row * width;
      if (form == KILN_NARROW_I8) {
        int8_t *to = (int8_t *)out + at;
        memset(to, 0, (size_t)width);
        for (int64_t j = 0; j < columns; j++) to[j] = (int8_t)level(from[j * column_stride], scales[panel.column + j]);
      } else {
        uint16_t *to = (uint16_t *)out + at;
        memset(to, 0, (size_t)width * 2);
        for (int64_t j = 0; j < columns; j++) to[j] = rounded(from[j * column_stride]);
      }
    }
  }
}

int32_t kiln_narrow_parts(const kiln_narrow_params *p, int32_t threads) {
  const double weights = (double)p->n * (double)p->k;
  const int32_t parts = kiln_worthwhile_parts(weights * (double)element(p->form) / 40 + weights * (double)p->m / 60, threads);
  const int64_t panels = kiln_panel_count(kiln_tiles(), p->n);
  return panels < parts ? (int32_t)panels : parts;
}

void kiln_narrow_f32(const void *params, void *const *operands, int32_t part, int32_t parts) {
  const kiln_narrow_params *p = params;
  const kiln_tile_set *set = kiln_tiles();
  const float *a = operands[0], *bias = operands[2], *residual = operands[3];
  const char *packed = operands[1];
  float *c = operands[4];
  const float *scales = p->form == KILN_NARROW_I8 ? (const float *)(packed + scales_at(p->form, p->n, p->k)) : NULL;
  const kiln_narrow_function products = kiln_weights_tier()->products[p->form];
  const int64_t panels = kiln_panel_count(set, p->n);
  const int64_t first = kiln_share(panels, part, parts), end = kiln_share(panels, part + 1, parts);
  for (int64_t index = first; index < end; index++) {
    const kiln_panel panel = kiln_panel_at(set, p->n, index);
    const int64_t width = (int64_t)panel.vectors * set->lanes, left = p->n - panel.column, columns = left < width ? left : width;
    for (int64_t row = 0; row < p->m; row += KILN_NARROW_ROWS) {
      const int64_t count = p->m - row < KILN_NARROW_ROWS ? p->m - row : KILN_NARROW_ROWS;
      const float *rows[KILN_NARROW_ROWS];
      float sums[KILN_NARROW_ROWS * 48];
      for (int64_t r = 0; r < count; r++) rows[r] = a + (row + r) * p->k;
      products(rows, (int32_t)count, p->k, packed + panel.column * p->k * element(p->form), panel.vectors, sums);
      for (int64_t r = 0; r < count; r++) {
        const int64_t at = (row + r) * p->n + panel.column;
        for (int64_t j = 0; j < columns; j++) {
          float y = sums[r * width + j];
          if (scales) y *= scales[panel.column + j];
          if (bias) y += bias[panel.column + j];
          if (residual) y += residual[at + j];
          c[at + j] = y;
        }
        kiln_apply_f32(p->activation, c + at, (size_t)columns);
      }
    }
  }
}

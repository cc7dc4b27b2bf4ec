// The tiers' code for weights that are streamed or narrow.
#ifndef KILN_WEIGHTS_TIERS_H
#define KILN_WEIGHTS_TIERS_H

#include "../conv/window.h"
#include "../include/kiln_weights.h"

enum { KILN_ROW_COLUMNS = 2048, KILN_NARROW_ROWS = 4 };

// sums[j] += sum over k of x[k] * weights[k * stride + j], for j < columns.
typedef void (*kiln_rows_function)(const float *x, int64_t depth, const float *weights, int64_t stride, int64_t columns, float *sums);
// sums[r * width + j] = sum over k of rows[r][k] * weights[k * width + j]: up to KILN_NARROW_ROWS rows, one panel of `vectors`.
typedef void (*kiln_narrow_function)(const float *const *rows, int32_t count, int64_t depth, const void *weights, int32_t vectors, float *sums);

typedef struct {
  kiln_rows_function add_rows;
  kiln_narrow_function products[2];  // by kiln_narrow_form
} kiln_weights_functions;

const kiln_weights_functions *kiln_weights_tier(void);

#endif

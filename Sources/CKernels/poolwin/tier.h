// Internal to the target: one tier's pooling over output rows first ..< last of batch * output depth * output height.
#ifndef KILN_POOLWIN_TIER_H
#define KILN_POOLWIN_TIER_H
#include "kiln_poolwin.h"

typedef void (*kiln_window_pool_rows)(const kiln_window_pool_params *p, void *const *operands, int64_t first, int64_t last);
void kiln_window_pool_scalar(const kiln_window_pool_params *p, void *const *operands, int64_t first, int64_t last);
#if defined(__x86_64__)
void kiln_window_pool_avx2(const kiln_window_pool_params *p, void *const *operands, int64_t first, int64_t last);
void kiln_window_pool_avx512(const kiln_window_pool_params *p, void *const *operands, int64_t first, int64_t last);
#endif
#endif

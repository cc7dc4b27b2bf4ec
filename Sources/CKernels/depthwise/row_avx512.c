#include "row.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)

#include "../gemm/simd_avx512.h"
#include "row_template.h"

#pragma clang attribute pop

const kiln_depthwise_set kiln_depthwise_avx512 = {
    LANES, row_any, {{row3s1, row3s2}, {row5s1, row5s2}, {row7s1, row7s2}}};
#endif

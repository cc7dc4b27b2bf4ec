#include "line.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)

#include "../gemm/simd_avx512.h"
#include "line_template.h"

#pragma clang attribute pop

const kiln_line_set kiln_line_avx512 = {input7, input11, output7, output11};
#endif

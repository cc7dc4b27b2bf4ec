#include "winograd.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)

#include "../gemm/simd_avx512.h"
#include "winograd_template.h"

#pragma clang attribute pop

const kiln_winograd_set kiln_winograd_avx512 = {{input2, output2}, {input4, output4}};
#endif

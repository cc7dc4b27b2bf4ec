#include "winograd.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../gemm/simd_avx2.h"
#include "winograd_template.h"

#pragma clang attribute pop

const kiln_winograd_set kiln_winograd_avx2 = {{input2, output2}, {input4, output4}};
#endif

// Opens a tier's code. The including file defines KV_WIDTH (floats per vector: 4 portable, 8 AVX2, 16 AVX-512) and
// closes it with tier_end.h. Every function defined in between is compiled for that tier only.
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "kiln_base.h"

#if KV_WIDTH == 16
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#define KV_NAME(name) name##_avx512
#elif KV_WIDTH == 8
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define KV_NAME(name) name##_avx2
#else
#define KV_NAME(name) name##_scalar
#endif

// -Wpsabi speaks of passing wide vectors by value; every such function is inlined.
#pragma clang diagnostic ignored "-Wpsabi"
#include "vec.h"

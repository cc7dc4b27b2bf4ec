// What the processors are: how many threads this process should use, and how fast they add and multiply.
#ifndef KILN_PROCESSORS_H
#define KILN_PROCESSORS_H

#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// Processors that this process may run on: its affinity mask, within the quota of its control group. At least 1.
int32_t kiln_available_processors(void);

// Multiply-adds in registers, in the current tier's vectors: the most that a kernel could reach. Each part does `rounds`
// (params: an int64_t) of them. Operand: 64 bytes for each part.
void kiln_peak_f32(const void *params, void *const *operands, int32_t part, int32_t parts);
// The operations of one part.
int64_t kiln_peak_flops(int64_t rounds);

#ifdef __cplusplus
}
#endif
#endif

// How many threads this process should use.
#ifndef KILN_PROCESSORS_H
#define KILN_PROCESSORS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Processors that this process may run on: its affinity mask, within the quota of its control group. At least 1.
int32_t kiln_available_processors(void);

#ifdef __cplusplus
}
#endif
#endif

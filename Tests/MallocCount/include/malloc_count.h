// Counts the heap allocations of the calling thread (glibc only).
#ifndef MALLOC_COUNT_H
#define MALLOC_COUNT_H

#include <stdbool.h>
#include <stdint.h>

// False where the C library's allocator cannot be counted.
bool malloc_count_available(void);
// Allocations (malloc, calloc, realloc, aligned ones) by this thread since it began.
int64_t malloc_count(void);

#endif

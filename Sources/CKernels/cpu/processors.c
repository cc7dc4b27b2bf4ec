#define _GNU_SOURCE
#include "kiln_processors.h"

#include <stdio.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>

static int32_t allowed(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) ? 0 : CPU_COUNT(&set);
}

// Whole processors that `cpu.max` grants ("200000 100000" is 2), rounded up; 0 without a quota.
static int32_t quota(void) {
  FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
  if (!file) return 0;
  long long granted, period;
  const int fields = fscanf(file, "%lld %lld", &granted, &period);
  fclose(file);
  if (fields != 2 || granted <= 0 || period <= 0) return 0;
  const long long count = granted / period + (granted % period != 0);
  return count < INT32_MAX ? (int32_t)count : INT32_MAX;
}
#else
static int32_t allowed(void) { return 0; }
static int32_t quota(void) { return 0; }
#endif

int32_t kiln_available_processors(void) {
  int32_t count = allowed();
  if (count < 1) count = (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
  const int32_t limit = quota();
  if (limit > 0 && limit < count) count = limit;
  return count < 1 ? 1 : count;
}

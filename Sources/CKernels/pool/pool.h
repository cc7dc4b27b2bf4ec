// The pool's inside, shared by the worker loop and the executor.
//
// A parallel region hands out up to 64 *slots*, one bit each in `todo`; slot s does the parts s, s + slots, ... Slot 0
// is the caller's own and never appears in `todo`. Whoever clears a bit owns that slot. Worker w asks for slot w first,
// so that equal regions land on the same cores, and takes any other slot after that; so does the caller, which
// therefore never waits for a slot that nobody has begun.
//
// `region` is written before `todo` is published and stays unchanged until `pending` falls to 0; a cleared bit always
// belongs to the region that is published at that moment, so a late worker cannot see a stale one.
#ifndef KILN_POOL_H
#define KILN_POOL_H

#include "kiln_base.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct {
  kiln_kernel kernel;
  const void *params;
  void *const *operands;
  int32_t parts;
  int32_t slots;
  kiln_event_log *log;  // NULL, or where each slot's time is noted
  int32_t step;
} kiln_region;

typedef struct {
  kiln_pool *pool;
  pthread_t thread;
  int32_t index;
} kiln_worker;

struct kiln_pool {
  _Alignas(64) _Atomic uint64_t todo;
  _Alignas(64) _Atomic int32_t pending;
  _Alignas(64) kiln_region region;
  _Alignas(64) _Atomic uint32_t epoch;  // the futex word; rises at each prediction and at destruction
  _Atomic int32_t sleepers;
  _Atomic bool active;  // a prediction owns the pool
  _Atomic bool stop;
  int32_t threads;
  kiln_worker *workers;
};

// True if the caller now owns the pool (and its workers are awake); false if another prediction does.
bool kiln_pool_begin(kiln_pool *pool);
void kiln_pool_end(kiln_pool *pool);
// Runs all parts; only for the owner. Returns when they are done. `slots` of the region is set here.
void kiln_pool_run(kiln_pool *pool, kiln_region region);

// Runs every `slots`-th part from `slot` on, and notes its time if the region has a log.
void kiln_region_run(const kiln_region *region, int32_t slot, int32_t thread);

#endif

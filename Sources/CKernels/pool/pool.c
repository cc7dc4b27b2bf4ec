#define _GNU_SOURCE
#include "pool.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#endif

enum {
  SLOTS = 64,
  SPINS_BEFORE_YIELD = 2000,   // pauses; tens of microseconds
  LINGER_NANOSECONDS = 80000,  // how long an idle worker spins before it sleeps
};

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

int64_t kiln_pool_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_on(_Atomic uint32_t *word, uint32_t expected) {
#if defined(__linux__)
  syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
#else
  const struct timespec t = {0, 50000};
  if (atomic_load(word) == expected) nanosleep(&t, NULL);
#endif
}

static void wake_all(_Atomic uint32_t *word) {
#if defined(__linux__)
  syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  (void)word;
#endif
}

void kiln_region_run(const kiln_region *region, int32_t slot, int32_t thread) {
  const int64_t begin = region->log ? kiln_pool_now() : 0;
  for (int32_t part = slot; part < region->parts; part += region->slots)
    region->kernel(region->params, region->operands, part, region->parts);
  if (!region->log) return;
  const int32_t at = __atomic_fetch_add(&region->log->count, 1, __ATOMIC_RELAXED);
  if (at < region->log->capacity) region->log->events[at] = (kiln_event){begin, kiln_pool_now(), region->step, thread};
}

static void run_slot(kiln_pool *pool, int32_t slot, int32_t thread) {
  const kiln_region region = pool->region;
  kiln_region_run(&region, slot, thread);
  atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_release);
}

// Claims and runs one slot, that of the thread's own number if it is free. False if none was claimed.
static bool run_any(kiln_pool *pool, int32_t thread) {
  const uint64_t todo = atomic_load_explicit(&pool->todo, memory_order_relaxed);
  if (!todo) return false;
  int32_t slot = __builtin_ctzll(todo);
  if (thread < SLOTS && (todo >> thread & 1)) slot = thread;
  const uint64_t bit = 1ull << slot;
  if (!(atomic_fetch_and_explicit(&pool->todo, ~bit, memory_order_acq_rel) & bit)) return false;
  run_slot(pool, slot, thread);
  return true;
}

static void sleep_until_next(kiln_pool *pool) {
  const uint32_t epoch = atomic_load(&pool->epoch);
  atomic_fetch_add(&pool->sleepers, 1);
  if (!atomic_load(&pool->active) && !atomic_load(&pool->stop)) sleep_on(&pool->epoch, epoch);
  atomic_fetch_sub(&pool->sleepers, 1);
}

static void *work(void *argument) {
  const kiln_worker *self = argument;
  kiln_pool *pool = self->pool;
  int64_t idle_since = 0;
  uint32_t spins = 0;
  while (!atomic_load_explicit(&pool->stop, memory_order_relaxed)) {
    if (run_any(pool, self->index)) {
      spins = 0;
      idle_since = 0;
      continue;
    }
    relax();
    if (++spins % 64) continue;
    if (atomic_load_explicit(&pool->active, memory_order_relaxed)) {
      idle_since = 0;
      if (spins > SPINS_BEFORE_YIELD) sched_yield();
    } else if (!idle_since) {
      idle_since = kiln_pool_now();
    } else if (kiln_pool_now() - idle_since > LINGER_NANOSECONDS) {
      sleep_until_next(pool);
      spins = 0;
      idle_since = 0;
    }
  }
  return NULL;
}

bool kiln_pool_begin(kiln_pool *pool) {
  if (!pool || pool->threads < 2 || atomic_exchange(&pool->active, true)) return false;
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->sleepers)) wake_all(&pool->epoch);
  return true;
}

void kiln_pool_end(kiln_pool *pool) { atomic_store(&pool->active, false); }

void kiln_pool_run(kiln_pool *pool, kiln_region region) {
  const int32_t slots = region.parts < SLOTS ? region.parts : SLOTS;
  region.slots = slots;
  pool->region = region;
  atomic_store_explicit(&pool->pending, slots, memory_order_relaxed);
  const uint64_t all = slots == 64 ? ~0ull : (1ull << slots) - 1;
  atomic_store_explicit(&pool->todo, all & ~1ull, memory_order_release);
  run_slot(pool, 0, 0);
  uint32_t spins = 0;
  while (atomic_load_explicit(&pool->pending, memory_order_acquire) > 0) {
    if (run_any(pool, 0)) continue;
    relax();
    if (++spins > SPINS_BEFORE_YIELD) sched_yield();
  }
}

static _Atomic int64_t handover;

double kiln_handover_nanoseconds(void) { return (double)atomic_load_explicit(&handover, memory_order_relaxed); }

// Part 0 waits until another thread does part 1, or gives up.
typedef struct {
  _Alignas(64) _Atomic bool answered;
  _Alignas(64) int64_t nanoseconds;  // -1: nobody came
} greeting;

static void greet(const void *params, void *const *operands, int32_t part, int32_t parts) {
  (void)params, (void)parts;
  greeting *g = operands[0];
  if (part == 1) {
    atomic_store_explicit(&g->answered, true, memory_order_release);
    return;
  }
  const int64_t begin = kiln_pool_now();
  for (uint32_t spins = 1; !atomic_load_explicit(&g->answered, memory_order_acquire); spins++) {
    relax();
    if (spins % 64 == 0 && kiln_pool_now() - begin > 50000) {
      g->nanoseconds = -1;
      return;
    }
  }
  g->nanoseconds = kiln_pool_now() - begin;
}

static void measure_handover(kiln_pool *pool) {
  if (pool->threads < 2 || atomic_load(&handover) || !kiln_pool_begin(pool)) return;
  int64_t best = 0;
  const int64_t end = kiln_pool_now() + 150000;  // a busy machine is not waited for
  for (int32_t tries = 0; tries < 40 && kiln_pool_now() < end; tries++) {
    greeting g = {0};
    void *operands[] = {&g};
    kiln_pool_run(pool, (kiln_region){greet, NULL, operands, 2, 0, NULL, 0});
    if (g.nanoseconds > 0 && (!best || g.nanoseconds < best)) best = g.nanoseconds;
  }
  kiln_pool_end(pool);
  // Longer is not the way between two caches: the machine was busy.
  if (best < 20000) atomic_store(&handover, best);
}

kiln_pool *kiln_pool_create(int32_t threads) {
  kiln_pool *pool = NULL;
  if (posix_memalign((void **)&pool, 64, sizeof *pool)) return NULL;
  *pool = (kiln_pool){.threads = 1};
  if (threads > 1) pool->workers = calloc((size_t)threads - 1, sizeof *pool->workers);
  for (int32_t i = 1; pool->workers && i < threads; i++) {
    kiln_worker *worker = &pool->workers[i - 1];
    *worker = (kiln_worker){.pool = pool, .index = i};
    if (pthread_create(&worker->thread, NULL, work, worker)) break;
    pool->threads = i + 1;
  }
  measure_handover(pool);
  return pool;
}

void kiln_pool_destroy(kiln_pool *pool) {
  if (!pool) return;
  atomic_store(&pool->stop, true);
  atomic_fetch_add(&pool->epoch, 1);
  wake_all(&pool->epoch);
  for (int32_t i = 1; i < pool->threads; i++) pthread_join(pool->workers[i - 1].thread, NULL);
  free(pool->workers);
  free(pool);
}

int32_t kiln_pool_threads(const kiln_pool *pool) { return pool ? pool->threads : 1; }

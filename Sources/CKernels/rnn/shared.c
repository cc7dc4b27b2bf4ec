// One sequence on several threads: at each time step every part computes its own panels of units.
//
// Part 0 opens a step by publishing its number. A share of a step belongs to whoever raises its claim first: its own part, or
// part 0 when that part has not come yet. So part 0 never waits for a part that nobody runs, and one thread that runs all
// parts in turn does everything in part 0.
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include "tier.h"

enum { SPINS_BEFORE_YIELD = 4000 };

typedef struct {
  _Alignas(64) _Atomic int64_t claimed;  // steps of this share that somebody took
  _Alignas(64) _Atomic int64_t done;     // and finished
} share;

struct kiln_rnn_team {
  _Alignas(64) _Atomic int64_t open;  // steps published so far; -1 when the sequence is over
  share shares[KILN_RNN_MOST_PARTS];
};

int64_t kiln_rnn_team_bytes(void) { return (int64_t)sizeof(struct kiln_rnn_team); }

void kiln_rnn_team_reset(const void *params, void *const *operands, int32_t part, int32_t parts) {
  (void)params, (void)part, (void)parts;
  memset(operands[0], 0, sizeof(struct kiln_rnn_team));
}

static inline void relax(uint32_t *spins) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
  if (++*spins > SPINS_BEFORE_YIELD) sched_yield();
}

static void run_share(const kiln_rnn_step *s, kiln_rnn_step_function run, int32_t index, int32_t parts) {
  kiln_rnn_step own = *s;
  own.first = s->end * index / parts;
  own.end = s->end * (index + 1) / parts;
  run(&own);
}

static bool take(struct kiln_rnn_team *team, int32_t index, int64_t t) {
  int64_t before = t;
  return atomic_compare_exchange_strong_explicit(&team->shares[index].claimed, &before, t + 1, memory_order_acq_rel,
                                                 memory_order_relaxed);
}

void kiln_rnn_team_lead(struct kiln_rnn_team *team, const kiln_rnn_step *s, kiln_rnn_step_function run, int64_t t, int32_t parts) {
  atomic_store_explicit(&team->open, t + 1, memory_order_release);
  run_share(s, run, 0, parts);
  uint32_t spins = 0;
  for (int32_t i = 1; i < parts; i++) {
    if (take(team, i, t)) run_share(s, run, i, parts);
    else while (atomic_load_explicit(&team->shares[i].done, memory_order_acquire) <= t) relax(&spins);
  }
}

void kiln_rnn_team_end(struct kiln_rnn_team *team) { atomic_store_explicit(&team->open, -1, memory_order_release); }

void kiln_rnn_team_follow(struct kiln_rnn_team *team, kiln_rnn_step_of of, const void *context, kiln_rnn_step_function run,
                          int32_t part, int32_t parts) {
  int64_t seen = 0;
  uint32_t spins = 0;
  for (;;) {
    const int64_t open = atomic_load_explicit(&team->open, memory_order_acquire);
    if (open < 0) return;
    if (open == seen) {
      relax(&spins);
      continue;
    }
    seen = open;
    spins = 0;
    if (!take(team, part, open - 1)) continue;
    const kiln_rnn_step s = of(context, open - 1);
    run_share(&s, run, part, parts);
    atomic_store_explicit(&team->shares[part].done, open, memory_order_release);
  }
}

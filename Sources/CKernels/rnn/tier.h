// Internal to the target. One step of a sequence over a range of batch rows.
#ifndef KILN_RNN_TIER_H
#define KILN_RNN_TIER_H
#include "kiln_rnn.h"

#define KILN_RNN_PANEL 16  // units in a block of the packed weights

typedef struct {
  const kiln_rnn_params *p;
  const float *x;          // row 0's projection at this step's input time
  int64_t x_stride;        // between batch rows
  const void *weights;     // of p->form
  const float *scales;     // KILN_RNN_I8
  const float *bias;
  const float *h;          // the previous state of row 0; rows are `padded` apart here and below
  float *next;             // the new state
  float *c;                // LSTM: updated in place
  float *z, *gated;        // RESET_BEFORE: the update gate, and r h
  const uint8_t *mask;     // row 0's mask at this step, or NULL
  int64_t mask_stride;
  float *trace;            // row 0's trace at this step's input time, or NULL
  int64_t trace_stride;    // between batch rows
  int64_t rows, padded;
  int64_t first, end;      // panels of units that this call computes
  bool falling;            // from the last panel to the first
} kiln_rnn_step;

typedef void (*kiln_rnn_step_function)(const kiln_rnn_step *s);
// Step `t` of a sequence; `context` is the sequence.
typedef kiln_rnn_step (*kiln_rnn_step_of)(const void *context, int64_t t);

// Several parts that share each step's units. `lead` computes step t together with the parts that `follow`.
struct kiln_rnn_team;
void kiln_rnn_team_lead(struct kiln_rnn_team *team, const kiln_rnn_step *s, kiln_rnn_step_function run, int64_t t, int32_t parts);
void kiln_rnn_team_end(struct kiln_rnn_team *team);
void kiln_rnn_team_follow(struct kiln_rnn_team *team, kiln_rnn_step_of of, const void *context, kiln_rnn_step_function run,
                          int32_t part, int32_t parts);
void kiln_rnn_step_scalar(const kiln_rnn_step *s);
#if defined(__x86_64__)
void kiln_rnn_step_avx2(const kiln_rnn_step *s);
void kiln_rnn_step_avx512(const kiln_rnn_step *s);
#endif
#endif

#if defined(__x86_64__)
#include "tier.h"
#define KV_WIDTH 8
#include "../elementwise/tier_begin.h"
#include "update.inc.h"
#include "rnn_gradient.inc.h"
#include "gradients.inc.h"
#include "../elementwise/tier_end.h"
#else
typedef int kiln_translation_unit_not_empty;
#endif

#include "tier.h"
#define KV_WIDTH 4
#include "../elementwise/tier_begin.h"
#include "update.inc.h"
#include "rnn_gradient.inc.h"
#include "gradients.inc.h"
#include "../elementwise/tier_end.h"

#define KV_WIDTH 4
#include "../elementwise/tier_begin.h"
#include "norm.inc.h"
#include "reduce.inc.h"
#include "../elementwise/tier_end.h"

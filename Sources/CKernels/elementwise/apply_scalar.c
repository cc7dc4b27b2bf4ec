#define KV_WIDTH 4
#include "tier_begin.h"
#include "apply.inc.h"
#include "tier_end.h"

#define KV_WIDTH 4
#include "../elementwise/tier_begin.h"
#include "bilinear.inc.h"
#include "../elementwise/tier_end.h"

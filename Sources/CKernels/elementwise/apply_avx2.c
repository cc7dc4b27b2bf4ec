#if defined(__x86_64__)
#define KV_WIDTH 8
#include "tier_begin.h"
#include "apply.inc.h"
#include "tier_end.h"
#else
typedef int kiln_translation_unit_not_empty;
#endif

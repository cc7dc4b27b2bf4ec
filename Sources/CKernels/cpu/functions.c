#include "kiln_base.h"

#include <string.h>

#define KILN_NAME_ENTRY(name, arity, parameters) #name,
static const char *const names[] = {KILN_FUNCTIONS(KILN_NAME_ENTRY)};
#undef KILN_NAME_ENTRY

int32_t kiln_function_by_name(const char *name) {
  for (int32_t i = 0; name && i < KILN_FN_COUNT; i++)
    if (!strcmp(names[i], name)) return i;
  return -1;
}

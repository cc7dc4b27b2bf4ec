#include "kiln_base.h"

#ifndef KILN_CPROTOBUFC_SHIM_H
#define KILN_CPROTOBUFC_SHIM_H
#include <protobuf-c/protobuf-c.h>
#endif

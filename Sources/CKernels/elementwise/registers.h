// Movement between memory of any element type and registers of any register type. Internal to the target.
#ifndef KILN_REGISTERS_H
#define KILN_REGISTERS_H
#include "kiln_elementwise.h"

size_t kiln_dtype_size(int32_t dtype);
static inline size_t kiln_register_size(int32_t register_type) { return register_type == KILN_REGISTER_F32 ? 4 : 8; }
// The dtype that a register type holds without conversion.
static inline int32_t kiln_register_dtype(int32_t register_type) {
  return register_type == KILN_REGISTER_F32 ? KILN_F32 : register_type == KILN_REGISTER_F64 ? KILN_F64 : KILN_I64;
}
// n elements from memory, `stride` elements apart, to a register, and from a register to dense memory.
void kiln_register_load(int32_t register_type, int32_t dtype, void *dst, const void *src, int64_t stride, size_t n);
void kiln_register_store(int32_t register_type, int32_t dtype, void *dst, const void *src, size_t n);
#endif

// HDF5's constants are macros that call H5open(), which Swift cannot import: each gets a function.
#ifndef KILN_CHDF5_SHIM_H
#define KILN_CHDF5_SHIM_H
#include <hdf5.h>

static inline hid_t kiln_h5t_native_float(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t kiln_h5t_native_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t kiln_h5t_native_int8(void) { return H5T_NATIVE_INT8; }
static inline hid_t kiln_h5t_native_int16(void) { return H5T_NATIVE_INT16; }
static inline hid_t kiln_h5t_native_int32(void) { return H5T_NATIVE_INT32; }
static inline hid_t kiln_h5t_native_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t kiln_h5t_native_uint8(void) { return H5T_NATIVE_UINT8; }
static inline hid_t kiln_h5t_c_s1(void) { return H5T_C_S1; }
static inline hid_t kiln_h5p_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t kiln_h5p_link_access(void) { return H5P_LINK_ACCESS; }
static inline hid_t kiln_h5p_dataset_access(void) { return H5P_DATASET_ACCESS; }
static inline size_t kiln_h5t_variable(void) { return H5T_VARIABLE; }
#endif

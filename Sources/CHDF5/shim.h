// HDF5's constants are macros that call H5open(), which Swift cannot import: each gets a function. The functions that
// changed their signature between versions of the library are wrapped too.
#ifndef KILN_CHDF5_SHIM_H
#define KILN_CHDF5_SHIM_H
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

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

/// The switches that make the library safe for files of strangers. Once, before anything else of the library is used.
static inline int kiln_h5_setup(void) {
  unsetenv("HDF5_PLUGIN_PATH");
  unsetenv("HDF5_PLUGIN_PRELOAD");
  unsetenv("HDF5_EXT_PREFIX");
  unsetenv("HDF5_VDS_PREFIX");
  unsetenv("HDF5_EXTFILE_PREFIX");
  unsetenv("HDF5_DRIVER");
  if (H5dont_atexit() < 0) return -1;
  if (H5open() < 0) return -1;
  if (H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0) return -1;
  if (H5PLset_loading_state(0) < 0) return -1;
  H5Lunregister(H5L_TYPE_EXTERNAL);
  return 0;
}

/// A little-endian IEEE binary16 type in memory; the caller closes it.
static inline hid_t kiln_h5t_float16(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  if (type < 0) return type;
  if (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 || H5Tset_ebias(type, 15) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

/// The kind of a link: 0 hard, 1 soft, 2 anything that leads out of the file, -1 no such link, -2 damaged.
static inline int kiln_h5l_kind(hid_t location, const char *name) {
  htri_t exists = H5Lexists(location, name, H5P_DEFAULT);
  if (exists <= 0) return exists < 0 ? -2 : -1;
  H5L_info_t info;
  if (H5Lget_info(location, name, &info, H5P_DEFAULT) < 0) return -2;
  return info.type == H5L_TYPE_HARD ? 0 : info.type == H5L_TYPE_SOFT ? 1 : 2;
}

/// Opens a file for reading with the fixed sec2 driver; every object of it closes with it.
static inline hid_t kiln_h5f_open(const char *path) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access < 0) return -1;
  hid_t file = -1;
  if (H5Pset_fapl_sec2(access) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0
      && H5Pset_evict_on_close(access, 1) >= 0) {
    file = H5Fopen(path, H5F_ACC_RDONLY, access);
  }
  H5Pclose(access);
  return file;
}

// A file image that the library reads in place: its callbacks hand out the one buffer and never copy, grow or free it.
static inline void *kiln_image_allocate(size_t size, H5FD_file_image_op_t operation, void *bytes) {
  (void)size;
  (void)operation;
  return bytes;
}
static inline void *kiln_image_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t operation, void *bytes) {
  (void)from;
  (void)size;
  (void)operation;
  (void)bytes;
  return to;
}
static inline void *kiln_image_grow(void *old, size_t size, H5FD_file_image_op_t operation, void *bytes) {
  (void)old;
  (void)size;
  (void)operation;
  (void)bytes;
  return NULL;
}
static inline herr_t kiln_image_free(void *image, H5FD_file_image_op_t operation, void *bytes) {
  (void)image;
  (void)operation;
  (void)bytes;
  return 0;
}
static inline void *kiln_image_same(void *bytes) { return bytes; }
static inline herr_t kiln_image_release(void *bytes) {
  (void)bytes;
  return 0;
}

/// Opens a file that lies in memory, for reading; the bytes must stay until it is closed.
static inline hid_t kiln_h5f_open_image(const void *bytes, size_t size) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access < 0) return -1;
  hid_t file = -1;
  H5FD_file_image_callbacks_t callbacks = {
      kiln_image_allocate, kiln_image_copy, kiln_image_grow, kiln_image_free, kiln_image_same, kiln_image_release, (void *)bytes};
  if (H5Pset_fapl_core(access, 65536, 0) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0
      && H5Pset_file_image_callbacks(access, &callbacks) >= 0 && H5Pset_file_image(access, (void *)bytes, size) >= 0) {
    // The library takes two images of one name for one file.
    char name[32];
    snprintf(name, sizeof name, "image-%p", bytes);
    file = H5Fopen(name, H5F_ACC_RDONLY, access);
  }
  H5Pclose(access);
  return file;
}

/// Takes one name; a number other than 0 ends the listing.
typedef int (*kiln_name_visitor)(const char *name, void *context);
struct kiln_name_listing {
  kiln_name_visitor visitor;
  void *context;
};
static inline herr_t kiln_name_visit(hid_t group, const char *name, const H5L_info_t *info, void *listing) {
  (void)group;
  (void)info;
  struct kiln_name_listing *names = (struct kiln_name_listing *)listing;
  return names->visitor(name, names->context);
}
/// Lists the names in a group, sorted by their bytes; negative when the group is damaged.
static inline int kiln_h5g_names(hid_t group, kiln_name_visitor visitor, void *context) {
  struct kiln_name_listing names = {visitor, context};
  hsize_t position = 0;
  return (int)H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &position, kiln_name_visit, &names);
}

static inline hid_t kiln_h5o_open(hid_t location, const char *name) { return H5Oopen(location, name, H5P_DEFAULT); }
static inline herr_t kiln_h5d_read(hid_t dataset, hid_t type, void *out) {
  return H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}
static inline hid_t kiln_h5a_open(hid_t object, const char *name) { return H5Aopen(object, name, H5P_DEFAULT); }
static inline herr_t kiln_h5d_reclaim(hid_t type, hid_t space, void *memory) {
  return H5Dvlen_reclaim(type, space, H5P_DEFAULT, memory);
}
/// The identifier of filter `index` of a dataset's creation list, or -1.
static inline int kiln_h5p_filter(hid_t list, unsigned index) {
  unsigned flags = 0;
  size_t count = 0;
  return (int)H5Pget_filter2(list, index, &flags, &count, NULL, 0, NULL, NULL);
}
#endif

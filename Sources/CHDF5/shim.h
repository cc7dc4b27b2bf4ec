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

// Writing. Nothing that is made carries a time, so that the same content gives the same bytes.

/// Makes a new file, which must not exist; every object of it closes with it.
static inline hid_t kiln_h5f_create(const char *path) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  hid_t file = -1;
  if (access >= 0 && creation >= 0 && H5Pset_fapl_sec2(access) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0
      && H5Pset_obj_track_times(creation, 0) >= 0) {
    file = H5Fcreate(path, H5F_ACC_EXCL, creation, access);
  }
  if (creation >= 0) H5Pclose(creation);
  if (access >= 0) H5Pclose(access);
  return file;
}
/// Writes everything to the disk.
static inline int kiln_h5f_flush(hid_t file) { return (int)H5Fflush(file, H5F_SCOPE_GLOBAL); }

static inline hid_t kiln_h5g_create(hid_t location, const char *name) {
  hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
  if (creation < 0) return -1;
  hid_t group = -1;
  if (H5Pset_obj_track_times(creation, 0) >= 0) group = H5Gcreate2(location, name, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Pclose(creation);
  return group;
}

/// The element types of files, little-endian: 0 to 8 are float16, bfloat16, float32, float64, int8, int16, int32, int64,
/// uint8. The caller closes it.
static inline hid_t kiln_h5t_stored(int kind) {
  switch (kind) {
    case 0: return kiln_h5t_float16();
    case 1: return H5Tcreate(H5T_OPAQUE, 2);
    case 2: return H5Tcopy(H5T_IEEE_F32LE);
    case 3: return H5Tcopy(H5T_IEEE_F64LE);
    case 4: return H5Tcopy(H5T_STD_I8LE);
    case 5: return H5Tcopy(H5T_STD_I16LE);
    case 6: return H5Tcopy(H5T_STD_I32LE);
    case 7: return H5Tcopy(H5T_STD_I64LE);
    case 8: return H5Tcopy(H5T_STD_U8LE);
    default: return -1;
  }
}

/// Makes a contiguous dataset and writes its elements, which are of the stored type; the caller closes it.
static inline hid_t kiln_h5d_write(hid_t location, const char *name, hid_t type, int rank, const hsize_t *lengths, const void *bytes) {
  hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, lengths, NULL);
  hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  hid_t dataset = -1;
  if (space >= 0 && creation >= 0 && H5Pset_obj_track_times(creation, 0) >= 0) {
    dataset = H5Dcreate2(location, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (dataset >= 0 && bytes != NULL && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0) {
      H5Dclose(dataset);
      dataset = -1;
    }
  }
  if (creation >= 0) H5Pclose(creation);
  if (space >= 0) H5Sclose(space);
  return dataset;
}

/// Writes a scalar attribute of UTF-8 text of variable length.
static inline int kiln_h5a_write_text(hid_t object, const char *name, const char *text) {
  hid_t type = H5Tcopy(H5T_C_S1);
  hid_t space = H5Screate(H5S_SCALAR);
  int status = -1;
  if (type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0) {
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
      status = (int)H5Awrite(attribute, type, &text);
      H5Aclose(attribute);
    }
  }
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return status;
}

/// Writes an attribute that is a list of texts of `width` bytes each, padded with zeros; without elements an empty list of
/// doubles, as Keras does.
static inline int kiln_h5a_write_list(hid_t object, const char *name, size_t width, hsize_t count, const void *bytes) {
  hid_t type = count == 0 ? H5Tcopy(H5T_IEEE_F64LE) : H5Tcopy(H5T_C_S1);
  hid_t space = H5Screate_simple(1, &count, NULL);
  int status = -1;
  if (type >= 0 && space >= 0
      && (count == 0 || (H5Tset_size(type, width) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0))) {
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
      status = count == 0 ? 0 : (int)H5Awrite(attribute, type, bytes);
      H5Aclose(attribute);
    }
  }
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return status;
}
#endif

#pragma once
#include "COpenCL.h"

/// The part of CLBlast's C API that Kiln uses, opened at run time. Names and numbers are those of its documentation, under a prefix of
/// our own. Matrices are row-major (101); a transpose is 111 for no, 112 for yes; statuses are 0 for success.

static const int32_t kiln_blast_row_major = 101;
static const int32_t kiln_blast_plain = 111;
static const int32_t kiln_blast_transposed = 112;

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"
#endif

/// Layout, transposes of a and b; m, n, k; alpha; buffer, offset and leading dimension (elements) of a and b; beta; those of c; queue, event.
typedef struct {
  int32_t (*_Nonnull sgemm)(
      int32_t, int32_t, int32_t, size_t, size_t, size_t, float, kiln_cl_memory, size_t, size_t, kiln_cl_memory, size_t, size_t, float,
      kiln_cl_memory, size_t, size_t, kiln_cl_queue *, kiln_cl_event *, kiln_cl_memory);
  int32_t (*_Nonnull hgemm)(
      int32_t, int32_t, int32_t, size_t, size_t, size_t, uint16_t, kiln_cl_memory, size_t, size_t, kiln_cl_memory, size_t, size_t, uint16_t,
      kiln_cl_memory, size_t, size_t, kiln_cl_queue *, kiln_cl_event *, kiln_cl_memory);
  /// Bytes of the memory that the products above may take as their last argument.
  int32_t (*_Nonnull sgemm_bytes)(
      int32_t, int32_t, int32_t, size_t, size_t, size_t, size_t, size_t, size_t, size_t, size_t, size_t, kiln_cl_queue *, size_t *);
  int32_t (*_Nonnull hgemm_bytes)(
      int32_t, int32_t, int32_t, size_t, size_t, size_t, size_t, size_t, size_t, size_t, size_t, size_t, kiln_cl_queue *, size_t *);
  /// The same with the elements between matrices after each leading dimension, and the number of products before the queue.
  int32_t (*_Nonnull sgemm_batches)(
      int32_t, int32_t, int32_t, size_t, size_t, size_t, float, kiln_cl_memory, size_t, size_t, size_t, kiln_cl_memory, size_t, size_t, size_t,
      float, kiln_cl_memory, size_t, size_t, size_t, size_t, kiln_cl_queue *, kiln_cl_event *);
  int32_t (*_Nonnull hgemm_batches)(
      int32_t, int32_t, int32_t, size_t, size_t, size_t, uint16_t, kiln_cl_memory, size_t, size_t, size_t, kiln_cl_memory, size_t, size_t,
      size_t, uint16_t, kiln_cl_memory, size_t, size_t, size_t, size_t, kiln_cl_queue *, kiln_cl_event *);
} kiln_blast_functions;

/// Opens the library; a NULL `path` takes the system's `libclblast.so.1`.
///
/// \returns the functions, which stay as long as the process, or NULL when the library or one of them is not there.
const kiln_blast_functions *kiln_blast_open(const char *path);

#ifdef __clang__
#pragma clang diagnostic pop
#endif

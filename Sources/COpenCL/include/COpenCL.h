#pragma once
#include <stddef.h>
#include <stdint.h>

/// The part of the OpenCL 1.2 API that Kiln uses, opened at run time: the program runs without the library.
/// Names and numbers are those of the Khronos specification, under a prefix of our own.

typedef struct kiln_cl_platform_object *kiln_cl_platform;
typedef struct kiln_cl_device_object *kiln_cl_device;
typedef struct kiln_cl_context_object *kiln_cl_context;
typedef struct kiln_cl_queue_object *kiln_cl_queue;
typedef struct kiln_cl_memory_object *kiln_cl_memory;
typedef struct kiln_cl_program_object *kiln_cl_program;
typedef struct kiln_cl_kernel_object *kiln_cl_kernel;
typedef struct kiln_cl_event_object *kiln_cl_event;

/// Statuses that Kiln tells apart; all others are printed by number.
typedef enum {
  KILN_CL_SUCCESS = 0,
  KILN_CL_DEVICE_NOT_FOUND = -1,
  KILN_CL_DEVICE_NOT_AVAILABLE = -2,
  KILN_CL_COMPILER_NOT_AVAILABLE = -3,
  KILN_CL_MEM_OBJECT_ALLOCATION_FAILURE = -4,
  KILN_CL_OUT_OF_RESOURCES = -5,
  KILN_CL_OUT_OF_HOST_MEMORY = -6,
  KILN_CL_PROFILING_INFO_NOT_AVAILABLE = -7,
  KILN_CL_BUILD_PROGRAM_FAILURE = -11,
  KILN_CL_MISALIGNED_SUB_BUFFER_OFFSET = -13,
  KILN_CL_INVALID_VALUE = -30,
  KILN_CL_INVALID_DEVICE = -33,
  KILN_CL_INVALID_CONTEXT = -34,
  KILN_CL_INVALID_COMMAND_QUEUE = -36,
  KILN_CL_INVALID_MEM_OBJECT = -38,
  KILN_CL_INVALID_BINARY = -42,
  KILN_CL_INVALID_KERNEL_NAME = -46,
  KILN_CL_INVALID_ARG_SIZE = -51,
  KILN_CL_INVALID_KERNEL_ARGS = -52,
  KILN_CL_INVALID_WORK_GROUP_SIZE = -54,
  KILN_CL_INVALID_BUFFER_SIZE = -61,
  KILN_CL_PLATFORM_NOT_FOUND = -1001,
  /// Ours: the library is not there, or lacks the function.
  KILN_CL_NO_LIBRARY = -9001,
} kiln_cl_status;

typedef enum {
  KILN_CL_PLATFORM_VERSION = 0x0901,
  KILN_CL_PLATFORM_NAME = 0x0902,
  KILN_CL_DEVICE_TYPE = 0x1000,
  KILN_CL_DEVICE_MAX_COMPUTE_UNITS = 0x1002,
  KILN_CL_DEVICE_MAX_WORK_GROUP_SIZE = 0x1004,
  KILN_CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
  KILN_CL_DEVICE_MEM_BASE_ADDR_ALIGN = 0x1019,
  KILN_CL_DEVICE_GLOBAL_MEM_SIZE = 0x101F,
  KILN_CL_DEVICE_LOCAL_MEM_SIZE = 0x1023,
  KILN_CL_DEVICE_AVAILABLE = 0x1027,
  KILN_CL_DEVICE_COMPILER_AVAILABLE = 0x1028,
  KILN_CL_DEVICE_NAME = 0x102B,
  KILN_CL_DEVICE_VENDOR = 0x102C,
  KILN_CL_DRIVER_VERSION = 0x102D,
  KILN_CL_DEVICE_VERSION = 0x102F,
  KILN_CL_DEVICE_EXTENSIONS = 0x1030,
  KILN_CL_DEVICE_DOUBLE_FP_CONFIG = 0x1032,
  KILN_CL_DEVICE_HOST_UNIFIED_MEMORY = 0x1035,
  KILN_CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT = 0x103A,
  KILN_CL_PROGRAM_BINARY_SIZES = 0x1165,
  KILN_CL_PROGRAM_BINARIES = 0x1166,
  KILN_CL_PROGRAM_BUILD_LOG = 0x1183,
  KILN_CL_PROFILING_COMMAND_START = 0x1282,
  KILN_CL_PROFILING_COMMAND_END = 0x1283,
  KILN_CL_BUFFER_CREATE_TYPE_REGION = 0x1220,
} kiln_cl_name;

/// Bits of the API's bit fields.
static const uint64_t kiln_cl_cpu_devices = 1 << 1;
static const uint64_t kiln_cl_gpu_devices = 1 << 2;
static const uint64_t kiln_cl_all_devices = 0xFFFFFFFF;
static const uint64_t kiln_cl_read_write = 1 << 0;
static const uint64_t kiln_cl_profiling = 1 << 1;

typedef struct {
  size_t origin;
  size_t size;
} kiln_cl_region;

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"
#endif

/// The functions.
typedef struct {
  int32_t (*_Nonnull get_platform_ids)(uint32_t, kiln_cl_platform *, uint32_t *);
  int32_t (*_Nonnull get_platform_info)(kiln_cl_platform, uint32_t, size_t, void *, size_t *);
  int32_t (*_Nonnull get_device_ids)(kiln_cl_platform, uint64_t, uint32_t, kiln_cl_device *, uint32_t *);
  int32_t (*_Nonnull get_device_info)(kiln_cl_device, uint32_t, size_t, void *, size_t *);
  kiln_cl_context (*_Nonnull create_context)(const intptr_t *, uint32_t, const kiln_cl_device *, void *, void *, int32_t *);
  int32_t (*_Nonnull release_context)(kiln_cl_context);
  kiln_cl_queue (*_Nonnull create_queue)(kiln_cl_context, kiln_cl_device, uint64_t, int32_t *);
  int32_t (*_Nonnull release_queue)(kiln_cl_queue);
  kiln_cl_memory (*_Nonnull create_buffer)(kiln_cl_context, uint64_t, size_t, void *, int32_t *);
  kiln_cl_memory (*_Nonnull create_sub_buffer)(kiln_cl_memory, uint64_t, uint32_t, const void *, int32_t *);
  int32_t (*_Nonnull release_memory)(kiln_cl_memory);
  kiln_cl_program (*_Nonnull create_program_with_source)(kiln_cl_context, uint32_t, const char **, const size_t *, int32_t *);
  kiln_cl_program (*_Nonnull create_program_with_binary)(
      kiln_cl_context, uint32_t, const kiln_cl_device *, const size_t *, const unsigned char **, int32_t *, int32_t *);
  int32_t (*_Nonnull build_program)(kiln_cl_program, uint32_t, const kiln_cl_device *, const char *, void *, void *);
  int32_t (*_Nonnull get_program_info)(kiln_cl_program, uint32_t, size_t, void *, size_t *);
  int32_t (*_Nonnull get_program_build_info)(kiln_cl_program, kiln_cl_device, uint32_t, size_t, void *, size_t *);
  int32_t (*_Nonnull release_program)(kiln_cl_program);
  kiln_cl_kernel (*_Nonnull create_kernel)(kiln_cl_program, const char *, int32_t *);
  int32_t (*_Nonnull set_kernel_argument)(kiln_cl_kernel, uint32_t, size_t, const void *);
  int32_t (*_Nonnull release_kernel)(kiln_cl_kernel);
  int32_t (*_Nonnull enqueue_kernel)(
      kiln_cl_queue, kiln_cl_kernel, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t, const kiln_cl_event *,
      kiln_cl_event *);
  int32_t (*_Nonnull enqueue_read)(
      kiln_cl_queue, kiln_cl_memory, uint32_t, size_t, size_t, void *, uint32_t, const kiln_cl_event *, kiln_cl_event *);
  int32_t (*_Nonnull enqueue_write)(
      kiln_cl_queue, kiln_cl_memory, uint32_t, size_t, size_t, const void *, uint32_t, const kiln_cl_event *, kiln_cl_event *);
  int32_t (*_Nonnull enqueue_copy)(
      kiln_cl_queue, kiln_cl_memory, kiln_cl_memory, size_t, size_t, size_t, uint32_t, const kiln_cl_event *, kiln_cl_event *);
  int32_t (*_Nonnull enqueue_fill)(
      kiln_cl_queue, kiln_cl_memory, const void *, size_t, size_t, size_t, uint32_t, const kiln_cl_event *, kiln_cl_event *);
  int32_t (*_Nonnull flush)(kiln_cl_queue);
  int32_t (*_Nonnull finish)(kiln_cl_queue);
  int32_t (*_Nonnull get_event_profiling_info)(kiln_cl_event, uint32_t, size_t, void *, size_t *);
  int32_t (*_Nonnull release_event)(kiln_cl_event);
} kiln_cl_functions;

/// Opens the library; a NULL `path` takes the system's `libOpenCL.so.1`.
///
/// \param error receives `error_size` bytes of the loader's own words when the result is NULL.
/// \returns the functions, which stay as long as the process, or NULL when the library or one of them is not there.
const kiln_cl_functions *kiln_cl_open(const char *path, char *error, size_t error_size);

#ifdef __clang__
#pragma clang diagnostic pop
#endif

#include "clblast_functions.h"

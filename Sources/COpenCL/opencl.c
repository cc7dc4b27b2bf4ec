#include "COpenCL.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__APPLE__)
static const char *const names[] = {"/System/Library/Frameworks/OpenCL.framework/OpenCL"};
#else
static const char *const names[] = {"libOpenCL.so.1", "libOpenCL.so"};
#endif

static const struct {
  const char *name;
  size_t offset;
} entries[] = {
    {"clGetPlatformIDs", offsetof(kiln_cl_functions, get_platform_ids)},
    {"clGetPlatformInfo", offsetof(kiln_cl_functions, get_platform_info)},
    {"clGetDeviceIDs", offsetof(kiln_cl_functions, get_device_ids)},
    {"clGetDeviceInfo", offsetof(kiln_cl_functions, get_device_info)},
    {"clCreateContext", offsetof(kiln_cl_functions, create_context)},
    {"clReleaseContext", offsetof(kiln_cl_functions, release_context)},
    {"clCreateCommandQueue", offsetof(kiln_cl_functions, create_queue)},
    {"clReleaseCommandQueue", offsetof(kiln_cl_functions, release_queue)},
    {"clCreateBuffer", offsetof(kiln_cl_functions, create_buffer)},
    {"clCreateSubBuffer", offsetof(kiln_cl_functions, create_sub_buffer)},
    {"clReleaseMemObject", offsetof(kiln_cl_functions, release_memory)},
    {"clCreateProgramWithSource", offsetof(kiln_cl_functions, create_program_with_source)},
    {"clCreateProgramWithBinary", offsetof(kiln_cl_functions, create_program_with_binary)},
    {"clBuildProgram", offsetof(kiln_cl_functions, build_program)},
    {"clGetProgramInfo", offsetof(kiln_cl_functions, get_program_info)},
    {"clGetProgramBuildInfo", offsetof(kiln_cl_functions, get_program_build_info)},
    {"clReleaseProgram", offsetof(kiln_cl_functions, release_program)},
    {"clCreateKernel", offsetof(kiln_cl_functions, create_kernel)},
    {"clSetKernelArg", offsetof(kiln_cl_functions, set_kernel_argument)},
    {"clReleaseKernel", offsetof(kiln_cl_functions, release_kernel)},
    {"clEnqueueNDRangeKernel", offsetof(kiln_cl_functions, enqueue_kernel)},
    {"clEnqueueReadBuffer", offsetof(kiln_cl_functions, enqueue_read)},
    {"clEnqueueWriteBuffer", offsetof(kiln_cl_functions, enqueue_write)},
    {"clEnqueueCopyBuffer", offsetof(kiln_cl_functions, enqueue_copy)},
    {"clEnqueueFillBuffer", offsetof(kiln_cl_functions, enqueue_fill)},
    {"clFlush", offsetof(kiln_cl_functions, flush)},
    {"clFinish", offsetof(kiln_cl_functions, finish)},
    {"clGetEventProfilingInfo", offsetof(kiln_cl_functions, get_event_profiling_info)},
    {"clReleaseEvent", offsetof(kiln_cl_functions, release_event)},
};

const kiln_cl_functions *kiln_cl_open(const char *path, char *error, size_t error_size) {
  void *handle = NULL;
  if (path) handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  for (size_t k = 0; !path && !handle && k < sizeof names / sizeof *names; k++) handle = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    snprintf(error, error_size, "%s", why ? why : "it cannot be opened");
    return NULL;
  }
  kiln_cl_functions *functions = calloc(1, sizeof *functions);
  for (size_t k = 0; functions && k < sizeof entries / sizeof *entries; k++) {
    void *symbol = dlsym(handle, entries[k].name);
    if (!symbol) {
      snprintf(error, error_size, "it lacks %s", entries[k].name);
      free(functions);
      dlclose(handle);
      return NULL;
    }
    memcpy((char *)functions + entries[k].offset, &symbol, sizeof symbol);
  }
  return functions;
}

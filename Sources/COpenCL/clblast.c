#include "clblast_functions.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  size_t offset;
} entries[] = {
    {"CLBlastSgemmWithTempBuffer", offsetof(kiln_blast_functions, sgemm)},
    {"CLBlastHgemmWithTempBuffer", offsetof(kiln_blast_functions, hgemm)},
    {"CLBlastSGemmTempBufferSize", offsetof(kiln_blast_functions, sgemm_bytes)},
    {"CLBlastHGemmTempBufferSize", offsetof(kiln_blast_functions, hgemm_bytes)},
    {"CLBlastSgemmStridedBatched", offsetof(kiln_blast_functions, sgemm_batches)},
    {"CLBlastHgemmStridedBatched", offsetof(kiln_blast_functions, hgemm_batches)},
};

const kiln_blast_functions *kiln_blast_open(const char *path) {
  static const char *const names[] = {"libclblast.so.1", "libclblast.so", "libclblast.dylib"};
  void *handle = NULL;
  if (path) handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  for (size_t k = 0; !path && !handle && k < sizeof names / sizeof *names; k++) handle = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (!handle) return NULL;
  kiln_blast_functions *functions = calloc(1, sizeof *functions);
  for (size_t k = 0; functions && k < sizeof entries / sizeof *entries; k++) {
    void *symbol = dlsym(handle, entries[k].name);
    if (!symbol) {
      free(functions);
      dlclose(handle);
      return NULL;
    }
    memcpy((char *)functions + entries[k].offset, &symbol, sizeof symbol);
  }
  return functions;
}

#include "window.h"
size_t kiln_winograd_packed_bytes(const kiln_conv_params *p) { (void)p; return 0; }
void kiln_winograd_pack(const kiln_conv_params *p, const float *w, float *o) { (void)p; (void)w; (void)o; }
size_t kiln_winograd_scratch_bytes(const kiln_conv_params *p, int32_t parts) { (void)p; (void)parts; return 0; }
void kiln_winograd_f32(const kiln_conv_params *p, void *const *operands, int32_t part, int32_t parts) { (void)p; (void)operands; (void)part; (void)parts; }
void kiln_conv_choose(kiln_conv_params *p, int32_t threads, bool exact) { (void)threads; (void)exact; p->algorithm = KILN_CONV_DIRECT; }

#if KV_WIDTH >= 8
#pragma clang attribute pop
#endif

// Data movement, for elements of 1, 2, 4 or 8 bytes of any type. `..._parts` says how many parts are worth using.
#ifndef KILN_MOVE_H
#define KILN_MOVE_H
#include "kiln_base.h"

#ifdef __cplusplus
extern "C" {
#endif

// A strided copy: target[target_offset + sum(i_d * target_strides_d)] = source[source_offset + sum(i_d * source_strides_d)]
// for all i < dims, counted in elements. Strides may be negative, a source stride may be 0. This one kernel does
// transpose, slice, reverse, concat (one copy for each part), broadcast, tile, repeat, space-to-depth and its inverse.
#define KILN_COPY_MAX_RANK 16
typedef struct {
  int32_t element_size;   // 1, 2, 4, 8; prepare may raise it to 16
  int32_t rank;
  int64_t dims[KILN_COPY_MAX_RANK];
  int64_t source_strides[KILN_COPY_MAX_RANK], target_strides[KILN_COPY_MAX_RANK];
  int64_t source_offset, target_offset;
  int32_t plane;          // set by prepare: the dim along which the source is contiguous, when that is not the last; or -1
  int32_t prepared;
} kiln_copy_params;

// Orders and merges dims. Call once, after filling the fields above `plane` or after one of the builders below.
// Returns 0, or -1 when the rank or the element size is out of range.
int32_t kiln_copy_prepare(kiln_copy_params *params);
// Operands: source, target. They do not overlap, except that a copy onto the very same elements is allowed.
void kiln_copy(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_copy_parts(const kiln_copy_params *params, int32_t threads);

// Builders: fill *params for dense row-major operands; call kiln_copy_prepare afterwards.
// target[i] = source[i permuted]: target dim d is source dim permutation[d].
void kiln_copy_transpose(kiln_copy_params *params, int32_t element_size, int32_t rank, const int64_t *dims, const int32_t *permutation);
// target dim d is source[start[d] + k * step[d]] for k < count[d]; steps may be negative, all reads in range.
void kiln_copy_slice(kiln_copy_params *params, int32_t element_size, int32_t rank, const int64_t *dims, const int64_t *start, const int64_t *step, const int64_t *count);
// A source of dims `dims` to the whole of `target_dims`; a dim of 1 is repeated (pad the rank with leading ones).
void kiln_copy_broadcast(kiln_copy_params *params, int32_t element_size, int32_t rank, const int64_t *dims, const int64_t *target_dims);
// The source repeated repeats[d] times along each dim, as a whole (tile); rank <= 8.
void kiln_copy_tile(kiln_copy_params *params, int32_t element_size, int32_t rank, const int64_t *dims, const int64_t *repeats);
// Each element repeated `count` times in place along `axis`.
void kiln_copy_repeat(kiln_copy_params *params, int32_t element_size, int32_t rank, const int64_t *dims, int32_t axis, int64_t count);
// One operand of a concatenation: a block [outer, width] into columns at ..< at + width of [outer, total].
void kiln_copy_concat(kiln_copy_params *params, int32_t element_size, int64_t outer, int64_t width, int64_t total, int64_t at);
// NHWC [n, h, w, c] to [n, h / b, w / b, b * b * c] and back (h, w, c are those of the source), TensorFlow's order of channels.
void kiln_copy_space_to_depth(kiln_copy_params *params, int32_t element_size, int64_t n, int64_t h, int64_t w, int64_t c, int64_t b);
void kiln_copy_depth_to_space(kiln_copy_params *params, int32_t element_size, int64_t n, int64_t h, int64_t w, int64_t c, int64_t b);

typedef enum {
  KILN_PAD_CONSTANT = 0,
  KILN_PAD_REFLECT = 1,    // without the edge: c b | a b c; padding < dim
  KILN_PAD_SYMMETRIC = 2,  // with the edge: b a | a b c; padding <= dim
  KILN_PAD_EDGE = 3,
} kiln_pad_mode;
typedef struct {
  int32_t element_size, rank, mode, reserved;
  int64_t dims[KILN_MAX_RANK], before[KILN_MAX_RANK], after[KILN_MAX_RANK];  // of the source; padding >= 0
  uint8_t value[8];        // the constant's bytes
} kiln_pad_params;
// Operands: source [dims], target [before + dims + after].
void kiln_pad(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_pad_parts(const kiln_pad_params *params, int32_t threads);

typedef struct {
  int32_t element_size;
  int32_t index_dtype;              // KILN_I32 or KILN_I64
  int64_t outer, axis, inner, count;
} kiln_gather_params;
// Operands: source [outer, axis, inner], indices [count], target [outer, count, inner], error i32 | NULL.
// Index -1 is the last entry and so on. An index out of range yields zeros and sets *error to 1 (never cleared here).
void kiln_gather(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_gather_parts(const kiln_gather_params *params, int32_t threads);

typedef struct {
  int32_t element_size;             // of the target
  int32_t index_dtype;              // KILN_I32, KILN_I64 or KILN_U8
  int64_t outer, depth, inner;
  uint8_t on[8], off[8];            // the values' bytes
} kiln_one_hot_params;
// Operands: indices [outer, inner], target [outer, depth, inner]: `on` where the index equals the position along depth.
// An index out of 0 ..< depth gives `off` throughout.
void kiln_one_hot(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_one_hot_parts(const kiln_one_hot_params *params, int32_t threads);

// How output position o maps to a source coordinate, with s = scale (source length / target length unless given).
typedef enum {
  KILN_RESIZE_HALF_PIXEL = 0,           // (o + 0.5) s - 0.5
  KILN_RESIZE_ASYMMETRIC = 1,           // o s
  KILN_RESIZE_ALIGN_CORNERS = 2,        // o (source - 1) / (target - 1)
  KILN_RESIZE_HALF_PIXEL_UNSHIFTED = 3, // (o + 0.5) s: TensorFlow's nearest neighbour with half-pixel centres, floored
  KILN_RESIZE_PYTORCH_HALF_PIXEL = 4,   // half pixel, but 0 when the target length is 1
} kiln_resize_coordinates;
typedef enum {
  KILN_RESIZE_FLOOR = 0, KILN_RESIZE_CEIL = 1, KILN_RESIZE_ROUND_PREFER_FLOOR = 2, KILN_RESIZE_ROUND_PREFER_CEIL = 3,
} kiln_resize_rounding;
typedef struct {
  int32_t bilinear;                 // 0: nearest neighbour (any element size), 1: bilinear (f32)
  int32_t coordinates, rounding;
  int32_t element_size;
  int64_t batch, channels, source_height, source_width, target_height, target_width;
  float scale[2];                   // height and width; 0: from the lengths
} kiln_resize_params;
// Operands: source [batch, source_height, source_width, channels], target likewise. Coordinates are clamped to the source;
// they are computed in f32, as frameworks do.
void kiln_resize(const void *params, void *const *operands, int32_t part, int32_t parts);
int32_t kiln_resize_parts(const kiln_resize_params *params, int32_t threads);

#ifdef __cplusplus
}
#endif
#endif

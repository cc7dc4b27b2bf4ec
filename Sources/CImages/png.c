#include "convert.h"
#include <dlfcn.h>
#include <png.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// What is used of libpng, which is opened when it is first needed.
#define KILN_PNG_FUNCTIONS(USE) USE(png_create_info_struct) USE(png_create_read_struct) USE(png_destroy_read_struct) \
  USE(png_error) USE(png_get_bit_depth) USE(png_get_channels) USE(png_get_color_type) USE(png_get_error_ptr) \
  USE(png_get_image_height) USE(png_get_image_width) USE(png_get_io_ptr) USE(png_get_libpng_ver) USE(png_get_rowbytes) \
  USE(png_get_valid) USE(png_longjmp) USE(png_read_end) USE(png_read_info) USE(png_read_row) USE(png_read_update_info) \
  USE(png_set_add_alpha) USE(png_set_chunk_cache_max) USE(png_set_chunk_malloc_max) USE(png_set_crc_action) \
  USE(png_set_expand_gray_1_2_4_to_8) USE(png_set_gray_to_rgb) USE(png_set_interlace_handling) \
  USE(png_set_keep_unknown_chunks) USE(png_set_longjmp_fn) USE(png_set_packing) USE(png_set_palette_to_rgb) \
  USE(png_set_read_fn) USE(png_set_rgb_to_gray) USE(png_set_strip_16) USE(png_set_strip_alpha) USE(png_set_swap) \
  USE(png_set_tRNS_to_alpha) USE(png_set_user_limits)

static struct {
#define USE(name) __typeof__(name) *name;
  KILN_PNG_FUNCTIONS(USE)
#undef USE
} library;
static bool is_open;

static void open_library(void) {
#ifdef __APPLE__
  static const char *const names[] = {"libpng16.dylib", "libpng16.16.dylib", "/opt/homebrew/lib/libpng16.dylib", "/usr/local/lib/libpng16.dylib"};
#else
  static const char *const names[] = {"libpng16.so.16", "libpng16.so"};
#endif
  void *handle = NULL;
  for (size_t k = 0; !handle && k < sizeof names / sizeof *names; k++) handle = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
#define USE(name) \
  *(void **)&library.name = dlsym(handle, #name); \
  if (!library.name) return;
  KILN_PNG_FUNCTIONS(USE)
#undef USE
  is_open = true;
}

static bool has_library(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_library);
  return is_open;
}

struct source {
  const uint8_t *bytes;
  size_t left;
};

static void read_bytes(png_structp png, png_bytep target, size_t count) {
  struct source *source = library.png_get_io_ptr(png);
  if (count > source->left) library.png_error(png, "the file ends too early");
  memcpy(target, source->bytes, count);
  source->bytes += count;
  source->left -= count;
}

static void on_error(png_structp png, png_const_charp text) {
  struct kiln_image *image = library.png_get_error_ptr(png);
  snprintf(image->message, sizeof image->message, "%s", text);
  library.png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/// Ancillary chunks hold compressed or large data that no prediction needs.
static void skip_chunks(png_structp png) {
  static const png_byte names[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0eXIf\0hIST";
  library.png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, sizeof names / 5);
}

/// The conversions that TensorFlow asks libpng for.
static void convert_tensorflow(
    png_structp png, png_infop info, const struct kiln_tensorflow_form *form, struct kiln_image *image) {
  png_byte type = library.png_get_color_type(png, info), depth = library.png_get_bit_depth(png, info);
  bool transparent = library.png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  bool palette = type == PNG_COLOR_TYPE_PALETTE, gray = !(type & PNG_COLOR_MASK_COLOR), alpha = type & PNG_COLOR_MASK_ALPHA;
  if (image->channels == 0) image->channels = palette ? (transparent ? 4 : 3) : library.png_get_channels(png, info);
  if (image->channels % 2 == 0) {
    if (!alpha) {
      if (transparent) library.png_set_tRNS_to_alpha(png);
      else library.png_set_add_alpha(png, (1u << depth) - 1, PNG_FILLER_AFTER);
    }
  } else if (alpha || transparent) {
    library.png_set_strip_alpha(png);
  }
  if (depth > 8 && form->bits == 8) library.png_set_strip_16(png);
  library.png_set_packing(png);
  if (palette) library.png_set_palette_to_rgb(png);
  if (gray && depth < 8) library.png_set_expand_gray_1_2_4_to_8(png);
  if (image->channels < 3 && !gray) library.png_set_rgb_to_gray(png, 1, 0.299, 0.587);
  if (image->channels >= 3 && gray) library.png_set_gray_to_rgb(png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if (form->bits == 16) library.png_set_swap(png);
#endif
}

/// 8-bit samples spread over 16 bits, in place from the end.
static void widen(uint8_t *row, size_t samples) {
  uint16_t *wide = (uint16_t *)row;
  for (size_t k = samples; k-- > 0;) {
    uint16_t value = (uint16_t)(row[k] * 257u);
    memcpy(wide + k, &value, sizeof value);
  }
}

int kiln_decode_png(
    const uint8_t *bytes, size_t count, const struct kiln_tensorflow_form *form, uint64_t max_pixels, struct kiln_image *image) {
  if (!has_library()) {
    snprintf(image->message, sizeof image->message, "libpng (libpng16.so.16) cannot be opened");
    return KILN_IMAGE_NO_LIBRARY;
  }
  struct source source = {bytes, count};
  png_infop info = NULL;
  /* One row, or the whole picture when it is interlaced. */
  png_bytep volatile rows = NULL;
  png_structp png = library.png_create_read_struct(PNG_LIBPNG_VER_STRING, image, on_error, on_warning);
  if (!png) return KILN_IMAGE_NO_MEMORY;
  volatile int status = KILN_IMAGE_DAMAGED;
  if (setjmp(*library.png_set_longjmp_fn(png, longjmp, sizeof(jmp_buf)))) goto done;
  info = library.png_create_info_struct(png);
  if (!info) {
    status = KILN_IMAGE_NO_MEMORY;
    goto done;
  }
  library.png_set_read_fn(png, &source, read_bytes);
  library.png_set_user_limits(png, 1 << 24, 1 << 24);
  library.png_set_chunk_malloc_max(png, 8 << 20);
  library.png_set_chunk_cache_max(png, 64);
  library.png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  skip_chunks(png);
  library.png_read_info(png, info);

  image->width = library.png_get_image_width(png, info);
  image->height = library.png_get_image_height(png, info);
  if ((uint64_t)image->width * image->height > max_pixels) {
    status = KILN_IMAGE_TOO_LARGE;
    goto done;
  }
  if (form) {
    convert_tensorflow(png, info, form, image);
    int passes = library.png_set_interlace_handling(png);
    library.png_read_update_info(png, info);
    size_t samples = (size_t)image->width * image->channels, row = library.png_get_rowbytes(png, info);
    if (row != samples && row != samples * (form->bits / 8)) library.png_error(png, "rows of an unexpected length");
    if (!kiln_image_allocate(image)) {
      status = KILN_IMAGE_NO_MEMORY;
      goto done;
    }
    size_t stride = samples * (form->bits / 8);
    for (int pass = 0; pass < passes; pass++) {
      for (uint32_t y = 0; y < image->height; y++) library.png_read_row(png, image->pixels + y * stride, NULL);
    }
    if (row < stride) for (uint32_t y = 0; y < image->height; y++) widen(image->pixels + y * stride, samples);
    library.png_read_end(png, NULL);
    status = KILN_IMAGE_OK;
    goto done;
  }
  png_byte type = library.png_get_color_type(png, info);
  bool transparent = image->channels == 4 && library.png_get_valid(png, info, PNG_INFO_tRNS);
  if (type == PNG_COLOR_TYPE_PALETTE) library.png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY && library.png_get_bit_depth(png, info) < 8) library.png_set_expand_gray_1_2_4_to_8(png);
  if (transparent) library.png_set_tRNS_to_alpha(png);
  else if (image->channels != 4) library.png_set_strip_alpha(png);
  library.png_set_strip_16(png);
  int passes = library.png_set_interlace_handling(png);
  library.png_read_update_info(png, info);

  int from = library.png_get_channels(png, info);
  size_t stride = library.png_get_rowbytes(png, info);
  if (stride != (size_t)image->width * from) library.png_error(png, "rows of an unexpected length");
  rows = malloc(passes > 1 ? stride * image->height : stride);
  if (!rows || !kiln_image_allocate(image)) {
    status = KILN_IMAGE_NO_MEMORY;
    goto done;
  }
  size_t target = (size_t)image->width * image->channels;
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t y = 0; y < image->height; y++) {
      png_bytep line = passes > 1 ? rows + y * stride : rows;
      library.png_read_row(png, line, NULL);
      if (pass == passes - 1) kiln_convert_row(line, from, image->pixels + y * target, image->channels, image->width);
    }
  }
  library.png_read_end(png, NULL);
  status = KILN_IMAGE_OK;

done:
  free(rows);
  library.png_destroy_read_struct(&png, &info, NULL);
  if (status != KILN_IMAGE_OK) kiln_image_free(image);
  return status;
}

const char *kiln_png_version(void) { return has_library() ? library.png_get_libpng_ver(NULL) : NULL; }

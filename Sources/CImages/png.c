#include "convert.h"
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
  const uint8_t *bytes;
  size_t left;
};

static void read_bytes(png_structp png, png_bytep target, size_t count) {
  struct source *source = png_get_io_ptr(png);
  if (count > source->left) png_error(png, "the file ends too early");
  memcpy(target, source->bytes, count);
  source->bytes += count;
  source->left -= count;
}

static void on_error(png_structp png, png_const_charp text) {
  struct kiln_image *image = png_get_error_ptr(png);
  snprintf(image->message, sizeof image->message, "%s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/// Ancillary chunks hold compressed or large data that no prediction needs.
static void skip_chunks(png_structp png) {
  static const png_byte names[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0eXIf\0hIST";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, sizeof names / 5);
}

int kiln_decode_png(const uint8_t *bytes, size_t count, uint64_t max_pixels, struct kiln_image *image) {
  struct source source = {bytes, count};
  png_infop info = NULL;
  /* One row, or the whole picture when it is interlaced. */
  png_bytep volatile rows = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, image, on_error, on_warning);
  if (!png) return KILN_IMAGE_NO_MEMORY;
  volatile int status = KILN_IMAGE_DAMAGED;
  if (setjmp(png_jmpbuf(png))) goto done;
  info = png_create_info_struct(png);
  if (!info) {
    status = KILN_IMAGE_NO_MEMORY;
    goto done;
  }
  png_set_read_fn(png, &source, read_bytes);
  png_set_user_limits(png, 1 << 24, 1 << 24);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_chunk_cache_max(png, 64);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  skip_chunks(png);
  png_read_info(png, info);

  image->width = png_get_image_width(png, info);
  image->height = png_get_image_height(png, info);
  if ((uint64_t)image->width * image->height > max_pixels) {
    status = KILN_IMAGE_TOO_LARGE;
    goto done;
  }
  png_byte type = png_get_color_type(png, info);
  bool transparent = image->channels == 4 && png_get_valid(png, info, PNG_INFO_tRNS);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (transparent) png_set_tRNS_to_alpha(png);
  else if (image->channels != 4) png_set_strip_alpha(png);
  png_set_strip_16(png);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);

  int from = png_get_channels(png, info);
  size_t stride = png_get_rowbytes(png, info);
  if (stride != (size_t)image->width * from) png_error(png, "rows of an unexpected length");
  rows = malloc(passes > 1 ? stride * image->height : stride);
  if (!rows || !kiln_image_allocate(image)) {
    status = KILN_IMAGE_NO_MEMORY;
    goto done;
  }
  size_t target = (size_t)image->width * image->channels;
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t y = 0; y < image->height; y++) {
      png_bytep line = passes > 1 ? rows + y * stride : rows;
      png_read_row(png, line, NULL);
      if (pass == passes - 1) kiln_convert_row(line, from, image->pixels + y * target, image->channels, image->width);
    }
  }
  png_read_end(png, NULL);
  status = KILN_IMAGE_OK;

done:
  free(rows);
  png_destroy_read_struct(&png, &info, NULL);
  if (status != KILN_IMAGE_OK) kiln_image_free(image);
  return status;
}

const char *kiln_png_version(void) { return png_get_libpng_ver(NULL); }

#include "convert.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/// More scans than any encoder writes: each costs a pass over the whole picture.
enum { MAX_SCANS = 100 };

struct faults {
  struct jpeg_error_mgr manager;
  jmp_buf out;
  struct kiln_image *image;
};

static void on_error(j_common_ptr info) {
  struct faults *faults = (struct faults *)info->err;
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  snprintf(faults->image->message, sizeof faults->image->message, "%s", text);
  longjmp(faults->out, 1);
}

/// A negative level is a warning about corrupt data; the library would go on with made-up pixels.
static void on_message(j_common_ptr info, int level) {
  if (level < 0) on_error(info);
}

static void on_progress(j_common_ptr info) {
  if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > MAX_SCANS) {
    struct faults *faults = (struct faults *)info->err;
    snprintf(faults->image->message, sizeof faults->image->message, "more than %d scans", MAX_SCANS);
    longjmp(faults->out, 1);
  }
}

/// CMYK to RGB as Pillow does it; files with an Adobe marker hold inverted values.
static void cmyk_to_rgb(uint8_t *row, uint32_t width, bool inverted) {
  for (uint32_t x = 0; x < width; x++) {
    uint8_t *in = row + 4 * (size_t)x, *out = row + 3 * (size_t)x;
    uint8_t ink[4];
    for (int c = 0; c < 4; c++) ink[c] = inverted ? 255 - in[c] : in[c];
    unsigned paper = 255u - ink[3];
    for (int c = 0; c < 3; c++) {
      unsigned product = ink[c] * paper + 128;
      out[c] = (uint8_t)(paper - (((product >> 8) + product) >> 8));
    }
  }
}

int kiln_decode_jpeg(const uint8_t *bytes, size_t count, uint64_t max_pixels, struct kiln_image *image) {
  struct jpeg_decompress_struct info;
  struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
  struct faults faults = {.image = image};
  uint8_t *volatile row = NULL;
  volatile int status = KILN_IMAGE_DAMAGED;
  memset(&info, 0, sizeof info);
  info.err = jpeg_std_error(&faults.manager);
  faults.manager.error_exit = on_error;
  faults.manager.emit_message = on_message;
  if (setjmp(faults.out)) goto done;
  jpeg_create_decompress(&info);
  info.progress = &progress;
  info.mem->max_memory_to_use = 512L << 20;
  jpeg_mem_src(&info, bytes, count);
  jpeg_read_header(&info, TRUE);

  image->width = info.image_width;
  image->height = info.image_height;
  if ((uint64_t)image->width * image->height > max_pixels) {
    status = KILN_IMAGE_TOO_LARGE;
    goto done;
  }
  bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : info.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&info);
  row = malloc((size_t)info.output_width * info.output_components);
  if (!row || !kiln_image_allocate(image)) {
    status = KILN_IMAGE_NO_MEMORY;
    goto done;
  }
  size_t target = (size_t)image->width * image->channels;
  while (info.output_scanline < info.output_height) {
    JSAMPROW lines[1] = {row};
    uint32_t y = info.output_scanline;
    jpeg_read_scanlines(&info, lines, 1);
    if (cmyk) cmyk_to_rgb(row, image->width, info.saw_Adobe_marker);
    kiln_convert_row(row, cmyk ? 3 : info.output_components, image->pixels + y * target, image->channels, image->width);
  }
  jpeg_finish_decompress(&info);
  status = KILN_IMAGE_OK;

done:
  free(row);
  jpeg_destroy_decompress(&info);
  if (status != KILN_IMAGE_OK) kiln_image_free(image);
  return status;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
const char *kiln_jpeg_version(void) {
#ifdef LIBJPEG_TURBO_VERSION
  return TEXT(LIBJPEG_TURBO_VERSION) " (libjpeg-turbo)";
#else
  return TEXT(JPEG_LIB_VERSION);
#endif
}

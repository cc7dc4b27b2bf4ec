#include "convert.h"
#include <stdlib.h>
#include <string.h>

static int decode(
    const uint8_t *bytes, size_t count, const struct kiln_tensorflow_form *form, uint64_t max_pixels, struct kiln_image *image) {
  static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  static const uint8_t jpeg[3] = {0xFF, 0xD8, 0xFF};
  if (count >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return kiln_decode_png(bytes, count, form, max_pixels, image);
  if (count >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0) return kiln_decode_jpeg(bytes, count, form, max_pixels, image);
  return KILN_IMAGE_UNKNOWN;
}

int kiln_image_decode(const uint8_t *bytes, size_t count, int channels, uint64_t max_pixels, struct kiln_image *image) {
  memset(image, 0, sizeof *image);
  image->channels = channels;
  image->bits = 8;
  return decode(bytes, count, NULL, max_pixels, image);
}

int kiln_image_decode_tensorflow(
    const uint8_t *bytes, size_t count, struct kiln_tensorflow_form form, uint64_t max_pixels, struct kiln_image *image) {
  memset(image, 0, sizeof *image);
  image->channels = form.channels;
  image->bits = form.bits;
  return decode(bytes, count, &form, max_pixels, image);
}

void kiln_image_free(struct kiln_image *image) {
  free(image->pixels);
  image->pixels = NULL;
}

bool kiln_image_allocate(struct kiln_image *image) {
  image->pixels = calloc((size_t)image->width * image->height, (size_t)image->channels * (image->bits / 8));
  return image->pixels != NULL;
}

void kiln_convert_row(const uint8_t *source, int from, uint8_t *target, int to, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, source += from, target += to) {
    bool gray = from < 3;
    if (to == 1) {
      target[0] = gray ? source[0] : (uint8_t)((source[0] * 19595u + source[1] * 38470u + source[2] * 7471u + 0x8000u) >> 16);
      continue;
    }
    target[0] = source[0];
    target[1] = source[gray ? 0 : 1];
    target[2] = source[gray ? 0 : 2];
    if (to == 4) target[3] = from == 4 ? source[3] : from == 2 ? source[1] : 255;
  }
}

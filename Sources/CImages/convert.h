#pragma once
#include "CImages.h"
#include <stdbool.h>

/// Allocates the pixels of an image whose width, height, channels and bits are set.
bool kiln_image_allocate(struct kiln_image *image);

/// Turns one row of `from` samples a pixel into `to` samples a pixel (1, 2, 3 or 4 to 1, 3 or 4).
void kiln_convert_row(const uint8_t *source, int from, uint8_t *target, int to, uint32_t width);

/// `form` is NULL for Pillow's conversions.
int kiln_decode_png(
    const uint8_t *bytes, size_t count, const struct kiln_tensorflow_form *form, uint64_t max_pixels, struct kiln_image *image);
int kiln_decode_jpeg(
    const uint8_t *bytes, size_t count, const struct kiln_tensorflow_form *form, uint64_t max_pixels, struct kiln_image *image);

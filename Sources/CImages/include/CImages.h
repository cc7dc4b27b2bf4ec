#pragma once
#include <stddef.h>
#include <stdint.h>

/// PNG and JPEG pictures from memory. libpng and libjpeg-turbo report faults by longjmp, which must not cross Swift frames:
/// it stays inside these functions. The libraries are opened when a picture first needs them.

/// What went wrong, or that nothing did.
enum kiln_image_status {
  KILN_IMAGE_OK = 0,
  /// Neither a PNG nor a JPEG file.
  KILN_IMAGE_UNKNOWN = 1,
  /// Larger than the limit; `width` and `height` are set.
  KILN_IMAGE_TOO_LARGE = 2,
  /// Damaged; `message` says how.
  KILN_IMAGE_DAMAGED = 3,
  KILN_IMAGE_NO_MEMORY = 4,
  /// libpng or libjpeg is not on this machine; `message` says which.
  KILN_IMAGE_NO_LIBRARY = 5,
};

/// The arithmetic of a JPEG's inverse transform.
enum kiln_jpeg_dct { KILN_JPEG_ACCURATE = 0, KILN_JPEG_FAST = 1 };

struct kiln_image {
  /// height x width x channels, row-major; NULL unless the status is OK. Freed by `kiln_image_free`.
  uint8_t *pixels;
  uint32_t width, height;
  /// 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA).
  int channels;
  /// 8, or 16: then a sample is two bytes in the machine's order.
  int bits;
  /// The library's own words, cut to fit; empty when it had none.
  char message[200];
};

/// Decodes `count` bytes to `channels` (1, 3 or 4) samples a pixel.
///
/// The header is read first and pictures of more than `max_pixels` are refused before memory is taken. Conversions are
/// Pillow's: palettes are expanded, alpha is dropped (opaque when 4 channels are asked for and the file has none), gray is
/// repeated, colour becomes gray by ITU-R 601-2 (19595 R + 38470 G + 7471 B, rounded), 16-bit samples keep their high byte.
/// Colour profiles, gamma and Exif orientation are not applied. A JPEG warning about corrupt data is an error.
int kiln_image_decode(const uint8_t *bytes, size_t count, int channels, uint64_t max_pixels, struct kiln_image *image);

/// What TensorFlow's decoders are asked for.
struct kiln_tensorflow_form {
  /// 0 takes the file's own, 1 to 4.
  int channels;
  /// 8 or 16.
  int bits;
  /// A JPEG is made smaller by 1, 2, 4 or 8.
  int ratio;
  int fancy_upscaling;
  /// One of `kiln_jpeg_dct`.
  int dct;
};

/// Decodes `count` bytes as TensorFlow's `DecodePng` and `DecodeJpeg` do on a CPU, which ask libpng and libjpeg for most
/// conversions: colour becomes gray by libpng's and libjpeg's own weights, alpha that is missing is opaque, 8-bit samples
/// times 257 are 16-bit ones. Limits and faults are those of `kiln_image_decode`.
int kiln_image_decode_tensorflow(
    const uint8_t *bytes, size_t count, struct kiln_tensorflow_form form, uint64_t max_pixels, struct kiln_image *image);

/// Frees the pixels.
void kiln_image_free(struct kiln_image *image);

/// The libraries' versions, as `doctor` prints them; NULL for one that is not on this machine.
const char *kiln_png_version(void);
const char *kiln_jpeg_version(void);

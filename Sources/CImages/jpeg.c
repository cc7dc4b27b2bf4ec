#include "convert.h"
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/// What is used of libjpeg, which is opened when it is first needed.
#define KILN_JPEG_FUNCTIONS(USE) USE(jpeg_std_error) USE(jpeg_CreateDecompress) USE(jpeg_mem_src) \
  USE(jpeg_read_header) USE(jpeg_start_decompress) USE(jpeg_read_scanlines) USE(jpeg_finish_decompress) \
  USE(jpeg_destroy_decompress)

static struct {
#define USE(name) __typeof__(name) *name;
  KILN_JPEG_FUNCTIONS(USE)
#undef USE
} library;
static bool is_open;

static void open_library(void) {
  /* The structures' layout goes with the version that the header has. */
#ifdef __APPLE__
  static const char *const names[] = {"libjpeg.dylib", "/opt/homebrew/lib/libjpeg.dylib", "/usr/local/lib/libjpeg.dylib"};
#elif JPEG_LIB_VERSION >= 80
  static const char *const names[] = {"libjpeg.so.8", "libjpeg.so"};
#else
  static const char *const names[] = {"libjpeg.so.62", "libjpeg.so"};
#endif
  void *handle = NULL;
  for (size_t k = 0; !handle && k < sizeof names / sizeof *names; k++) handle = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
#define USE(name) \
  *(void **)&library.name = dlsym(handle, #name); \
  if (!library.name) return;
  KILN_JPEG_FUNCTIONS(USE)
#undef USE
  is_open = true;
}

static bool has_library(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_library);
  return is_open;
}

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

/// CMYK to RGB as TensorFlow does it.
static void cmyk_to_rgb_tensorflow(const uint8_t *in, uint8_t *out, uint32_t width, bool inverted) {
  for (uint32_t x = 0; x < width; x++, in += 4, out += 3) {
    for (int c = 0; c < 3; c++) {
      out[c] = (uint8_t)(inverted ? in[3] * in[c] / 255 : (255 - in[c]) * (255 - in[3]) / 255);
    }
  }
}

int kiln_decode_jpeg(
    const uint8_t *bytes, size_t count, const struct kiln_tensorflow_form *form, uint64_t max_pixels, struct kiln_image *image) {
  if (!has_library()) {
    snprintf(image->message, sizeof image->message, "libjpeg (libjpeg-turbo) cannot be opened");
    return KILN_IMAGE_NO_LIBRARY;
  }
  struct jpeg_decompress_struct info;
  struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
  struct faults faults = {.image = image};
  uint8_t *volatile row = NULL;
  volatile int status = KILN_IMAGE_DAMAGED;
  memset(&info, 0, sizeof info);
  info.err = library.jpeg_std_error(&faults.manager);
  faults.manager.error_exit = on_error;
  faults.manager.emit_message = on_message;
  if (setjmp(faults.out)) goto done;
  library.jpeg_CreateDecompress(&info, JPEG_LIB_VERSION, sizeof info);
  info.progress = &progress;
  info.mem->max_memory_to_use = 512L << 20;
  library.jpeg_mem_src(&info, bytes, count);
  library.jpeg_read_header(&info, TRUE);

  image->width = info.image_width;
  image->height = info.image_height;
  if ((uint64_t)image->width * image->height > max_pixels) {
    status = KILN_IMAGE_TOO_LARGE;
    goto done;
  }
  bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : info.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  if (form) {
    if (image->channels == 0) image->channels = info.num_components == 1 ? 1 : 3;
    if (image->channels != 1 && image->channels != 3) {
      snprintf(image->message, sizeof image->message, "a JPEG has 1 or 3 channels, not %d", image->channels);
      goto done;
    }
    info.out_color_space = image->channels == 1 ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
    cmyk = cmyk && image->channels == 3;
    info.do_fancy_upsampling = form->fancy_upscaling ? TRUE : FALSE;
    info.scale_num = 1;
    info.scale_denom = (unsigned)form->ratio;
    info.dct_method = form->dct == KILN_JPEG_FAST ? JDCT_IFAST : JDCT_ISLOW;
  }
  library.jpeg_start_decompress(&info);
  image->width = info.output_width;
  image->height = info.output_height;
  row = malloc((size_t)info.output_width * info.output_components);
  if (!row || !kiln_image_allocate(image)) {
    status = KILN_IMAGE_NO_MEMORY;
    goto done;
  }
  size_t target = (size_t)image->width * image->channels;
  while (info.output_scanline < info.output_height) {
    JSAMPROW lines[1] = {row};
    uint32_t y = info.output_scanline;
    library.jpeg_read_scanlines(&info, lines, 1);
    if (form) {
      uint8_t *out = image->pixels + y * target;
      if (cmyk) cmyk_to_rgb_tensorflow(row, out, image->width, info.saw_Adobe_marker);
      else memcpy(out, row, target);
      continue;
    }
    if (cmyk) cmyk_to_rgb(row, image->width, info.saw_Adobe_marker);
    kiln_convert_row(row, cmyk ? 3 : info.output_components, image->pixels + y * target, image->channels, image->width);
  }
  library.jpeg_finish_decompress(&info);
  if (form && form->bits == 16) {
    size_t samples = target * image->height;
    uint8_t *wide = malloc(2 * samples);
    if (!wide) {
      status = KILN_IMAGE_NO_MEMORY;
      goto done;
    }
    for (size_t k = 0; k < samples; k++) {
      uint16_t value = (uint16_t)(image->pixels[k] * 256u);
      memcpy(wide + 2 * k, &value, sizeof value);
    }
    free(image->pixels);
    image->pixels = wide;
  }
  status = KILN_IMAGE_OK;

done:
  free(row);
  library.jpeg_destroy_decompress(&info);
  if (status != KILN_IMAGE_OK) kiln_image_free(image);
  return status;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
const char *kiln_jpeg_version(void) {
  if (!has_library()) return NULL;
#ifdef LIBJPEG_TURBO_VERSION
  return TEXT(LIBJPEG_TURBO_VERSION) " (libjpeg-turbo)";
#else
  return TEXT(JPEG_LIB_VERSION);
#endif
}

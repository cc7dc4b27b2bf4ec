#include "winograd.h"

enum { COLUMNS = 8 };  // kernels transformed side by side; divides every panel's width

typedef double lane[COLUMNS];

// The rows of G. F(2x2): points 0, 1, -1, infinity. F(4x4): 0, a, -a, b, -b, infinity, with the a and b of the transforms;
// the row of a finite point x is (1, x, x^2) over the product of x's distances to the other finite points.
static void kernel_matrix(int size, double g[6][3]) {
  if (size == 4) {
    const double g2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
    for (int i = 0; i < 12; i++) g[i / 3][i % 3] = g2[i / 3][i % 3];
    return;
  }
  const double a = KILN_WINOGRAD_A, b = KILN_WINOGRAD_B, a2 = a * a, b2 = b * b;
  const double n0 = a2 * b2, na = 2 * a2 * (a2 - b2), nb = 2 * b2 * (b2 - a2);
  const double g4[6][3] = {{1 / n0, 0, 0},           {1 / na, a / na, a2 / na},  {1 / na, -a / na, a2 / na},
                           {1 / nb, b / nb, b2 / nb}, {1 / nb, -b / nb, b2 / nb}, {0, 0, 1}};
  for (int i = 0; i < 18; i++) g[i / 3][i % 3] = g4[i / 3][i % 3];
}

// u = G k G' of 3x3 kernels k, in double.
static void transform(const double g[6][3], int size, lane k[9], lane u[36]) {
  lane half[18];
  for (int i = 0; i < size; i++)
    for (int j = 0; j < 3; j++)
      for (int l = 0; l < COLUMNS; l++) half[i * 3 + j][l] = g[i][0] * k[j][l] + g[i][1] * k[3 + j][l] + g[i][2] * k[6 + j][l];
  for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++)
      for (int l = 0; l < COLUMNS; l++)
        u[i * size + j][l] = half[i * 3][l] * g[j][0] + half[i * 3 + 1][l] * g[j][1] + half[i * 3 + 2][l] * g[j][2];
}

size_t kiln_winograd_packed_bytes(const kiln_conv_params *p) {
  const int64_t points = p->algorithm == KILN_CONV_WINOGRAD2 ? 16 : 36;
  return (size_t)(kiln_padded_columns(kiln_tiles(), p->out_c) * points * p->in_c) * sizeof(float);
}

void kiln_winograd_pack(const kiln_conv_params *p, const float *weights, float *out) {
  const kiln_tile_set *set = kiln_tiles();
  const int size = p->algorithm == KILN_CONV_WINOGRAD2 ? 4 : 6;
  const int64_t in_c = p->in_c, out_c = p->out_c, points = size * size;
  double g[6][3];
  kernel_matrix(size, g);
  for (int64_t index = 0; index < kiln_panel_count(set, out_c); index++) {
    const kiln_panel panel = kiln_panel_at(set, out_c, index);
    const int64_t width = panel.vectors * set->lanes;
    float *to = out + panel.column * in_c * points;
    for (int64_t c = 0; c < in_c; c++) {
      for (int64_t j = 0; j < width; j += COLUMNS) {
        lane k[9], u[36];
        for (int i = 0; i < 9; i++)
          for (int64_t l = 0; l < COLUMNS; l++)
            k[i][l] = panel.column + j + l < out_c ? weights[(i * in_c + c) * out_c + panel.column + j + l] : 0;
        transform(g, size, k, u);
        for (int64_t i = 0; i < points; i++)
          for (int64_t l = 0; l < COLUMNS; l++) to[(i * in_c + c) * width + j + l] = (float)u[i][l];
      }
    }
  }
}

#include "winograd.h"

// u = G g G' of one 3x3 kernel, in double; `size` is 4 or 6.
static void transform(const double g[3][3], int size, double u[6][6]) {
  static const double g2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
  // Row of point x: (1, x, x^2) over the product of x's distances to the other finite points: 0, +-a, +-b.
  const double a = 0.625, b = 1.5, a2 = a * a, b2 = b * b;
  const double n0 = a2 * b2, na = 2 * a2 * (a2 - b2), nb = 2 * b2 * (b2 - a2);
  const double g4[6][3] = {{1 / n0, 0, 0},           {1 / na, a / na, a2 / na},  {1 / na, -a / na, a2 / na},
                           {1 / nb, b / nb, b2 / nb}, {1 / nb, -b / nb, b2 / nb}, {0, 0, 1}};
  const double(*matrix)[3] = size == 4 ? g2 : g4;
  double half[6][3];
  for (int i = 0; i < size; i++)
    for (int j = 0; j < 3; j++) half[i][j] = matrix[i][0] * g[0][j] + matrix[i][1] * g[1][j] + matrix[i][2] * g[2][j];
  for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++)
      u[i][j] = half[i][0] * matrix[j][0] + half[i][1] * matrix[j][1] + half[i][2] * matrix[j][2];
}

size_t kiln_winograd_packed_bytes(const kiln_conv_params *p) {
  const int64_t points = p->algorithm == KILN_CONV_WINOGRAD2 ? 16 : 36;
  return (size_t)(kiln_padded_columns(kiln_tiles(), p->out_c) * points * p->in_c) * sizeof(float);
}

void kiln_winograd_pack(const kiln_conv_params *p, const float *weights, float *out) {
  const kiln_tile_set *set = kiln_tiles();
  const int size = p->algorithm == KILN_CONV_WINOGRAD2 ? 4 : 6;
  const int64_t in_c = p->in_c, out_c = p->out_c, points = size * size;
  for (int64_t index = 0; index < kiln_panel_count(set, out_c); index++) {
    const kiln_panel panel = kiln_panel_at(set, out_c, index);
    const int64_t width = panel.vectors * set->lanes;
    float *to = out + panel.column * in_c * points;
    for (int64_t c = 0; c < in_c; c++) {
      for (int64_t j = 0; j < width; j++) {
        double g[3][3] = {{0}}, u[6][6];
        for (int k = 0; k < 9 && panel.column + j < out_c; k++)
          g[k / 3][k % 3] = weights[(k * in_c + c) * out_c + panel.column + j];
        transform(g, size, u);
        for (int64_t k = 0; k < points; k++) to[(k * in_c + c) * width + j] = (float)u[k / size][k % size];
      }
    }
  }
}

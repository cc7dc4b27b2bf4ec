import GraphModule

/// Products for GPUs: a work-group computes a tile of 64 by 64, each of its 16 by 16 work-items 4 by 4 of it. Both operands pass
/// through local memory, 16 terms at a time.
struct LaneKernel {
  static let tile = 64
  static let side = 16
  var hasBias: Bool
  var hasResidual: Bool
  var activation: (String, String)

  init?(device: GPUDevice, epilogue: Epilogue) {
    guard let activation = ScalarPrinter.activation(epilogue.activation), device.maximumGroup >= Self.side * Self.side,
      device.localMemoryBytes >= 2 * 4 * (Self.tile + 1) * Self.side
    else { return nil }
    self.activation = activation
    hasBias = epilogue.bias
    hasResidual = epilogue.residual
  }

  private var defines: [(String, String)] {
    [activation, ("TILE", "64"), ("STEP", "16")] + (hasBias ? [("BIAS", "1")] : []) + (hasResidual ? [("RESIDUAL", "1")] : [])
  }

  /// The loop over k; LEFT(row, k) and RIGHT(k, column) read the operands, whose sizes are m, n and depth.
  private static let loop = """
      local float left[STEP][TILE + 1], right[STEP][TILE];
      float s[4][4];
      int lx = get_local_id(0), ly = get_local_id(1), lane = ly * 16 + lx;
      int column0 = get_group_id(0) * TILE, row0 = get_group_id(1) * TILE;
      for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) s[i][j] = 0;
      for (int k0 = 0; k0 < depth; k0 += STEP) {
        for (int e = lane; e < TILE * STEP; e += 256) {
          int k = k0 + e % STEP, row = row0 + e / STEP;
          left[e % STEP][e / STEP] = row < m && k < depth ? LEFT(row, k) : 0;
        }
        for (int e = lane; e < TILE * STEP; e += 256) {
          int k = k0 + e / TILE, column = column0 + e % TILE;
          right[e / TILE][e % TILE] = column < n && k < depth ? RIGHT(k, column) : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < STEP; k++) {
          float b[4];
          for (int j = 0; j < 4; j++) b[j] = right[k][lx + 16 * j];
          for (int i = 0; i < 4; i++) {
            float a = left[k][ly + 16 * i];
            for (int j = 0; j < 4; j++) s[i][j] += a * b[j];
          }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
      }
      for (int i = 0; i < 4; i++) {
        int row = row0 + ly + 16 * i;
        for (int j = 0; j < 4; j++) {
          int column = column0 + lx + 16 * j;
          if (row < m && column < n) {
            float v_ = s[i][j];
            size_t o = PLACE(row, column);
    #ifdef BIAS
            v_ += LD(bias, CHANNEL(column));
    #endif
    #ifdef RESIDUAL
            v_ += LD(residual, o);
    #endif
            ST(y, o, ACTIVATE(v_));
          }
        }
      }

    """

  /// As `TileKernel.matmul`, the right operand not packed: with b's strides of rows, columns and batch axes.
  var matmul: KernelSource {
    KernelSource(
      """
      #define LEFT(row, k) LD(a, (size_t)(row) * a_row + (size_t)(k) * a_column)
      #define RIGHT(k, column) LD(b, (size_t)(k) * b_row + (size_t)(column) * b_column)
      #define PLACE(row, column) (batch + (size_t)(row) * n + (column))
      #define CHANNEL(column) (column)
      kernel void matmul(
          global const real *a, global const real *b, global const real *bias, global const real *residual, global real *y, int m, int n, int depth,
          int a_row, int a_column, int inner, int a_outer, int a_inner, int b_outer, int b_inner, int c_outer, int c_inner, int b_row,
          int b_column) {
        int i_ = get_global_id(2) / inner, j_ = get_global_id(2) % inner;
        a += i_ * a_outer + j_ * a_inner;
        b += i_ * b_outer + j_ * b_inner;
        size_t batch = (size_t)i_ * c_outer + (size_t)j_ * c_inner;
      \(Self.loop)
      }
      """, defines)
  }

  /// As `TileKernel.conv`, the kernel as the graph has it, without zeros. Groups lie along the third axis of work-groups.
  var conv: KernelSource {
    KernelSource(
      """
      #define RIGHT(k, column) LD(w, (size_t)(k) * n * groups + (column))
      #define LEFT(row, k) pixel(x, row, k, channels, total, id, ih, iw, od, oh, ow, kh, kw, sd, sh, sw, dd, dh, dw, pd, ph, pw)
      #define PLACE(row, column) ((size_t)(row) * n * groups + group * n + (column))
      #define CHANNEL(column) (group * n + (column))
      static float pixel(
          global const real *x, int row, int k, int channels, int total, int id, int ih, int iw, int od, int oh, int ow, int kh, int kw, int sd,
          int sh, int sw, int dd, int dh, int dw, int pd, int ph, int pw) {
        int c = k % channels, tap = k / channels;
        int w = row % ow * sw - pw + tap % kw * dw, t = row / ow;
        int h = t % oh * sh - ph + tap / kw % kh * dh;
        t /= oh;
        int d = t % od * sd - pd + tap / kw / kh * dd;
        t /= od;
        if (w < 0 || w >= iw || h < 0 || h >= ih || d < 0 || d >= id) return 0;
        return LD(x, ((((size_t)t * id + d) * ih + h) * iw + w) * total + c);
      }
      kernel void conv(
          global const real *x, global const real *w, global const real *bias, global const real *residual, global real *y, int m, int n,
          int channels, int groups, int id, int ih, int iw, int od, int oh, int ow, int kd, int kh, int kw, int sd, int sh, int sw, int dd, int dh,
          int dw, int pd, int ph, int pw) {
        int group = get_global_id(2), total = channels * groups, depth = kd * kh * kw * channels;
        x += group * channels;
        w += group * n;
      \(Self.loop)
      }
      """, defines)
  }
}

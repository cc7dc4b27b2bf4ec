import GraphModule

/// Products of a few rows for GPUs, as those of dense layers for one sample: they take as long as reading the right operand, which is read
/// once. A work-group has 32 vectors of columns; its 8 rows of work-items take every 8th term each, and add their sums in local memory.
struct LaneRowsKernel {
  static let lanes = 32
  static let depth = 8
  static let mostRows = 8

  var rows: Int
  /// Columns of a work-item: 4 where n and b's rows are multiples of 4.
  var vector: Int
  /// Parts that the sum is cut in, for `SplitSum`.
  var splits: Int
  var epilogue: Epilogue
  var activation: (String, String)

  init?(m: Int, n: Int, k: Int, vector: Int, epilogue: Epilogue, _ device: GPUDevice) {
    guard let activation = ScalarPrinter.activation(epilogue.activation), m <= Self.mostRows, device.maximumGroup >= Self.lanes * Self.depth,
      device.localMemoryBytes >= 4 * Self.lanes * Self.depth * vector
    else { return nil }
    self.activation = activation
    (rows, self.vector, self.epilogue) = (m, vector, epilogue)
    let groups = (n + Self.lanes * vector - 1) / (Self.lanes * vector)
    var splits = 1
    while groups * splits < 4 * device.computeUnits, splits < 32, k / (2 * splits) >= 64 { splits *= 2 }
    self.splits = splits
  }

  var name: String { "\(rows) rows" + (splits > 1 ? " in \(splits)" : "") }

  /// Parameters as those of `LaneKernel.matmul` that a product without batches has: a, b, bias, residual, result; n, k; strides of a; b's rows;
  /// all elements of the result. Columns of b are adjacent.
  var source: KernelSource {
    let vec = vector == 1 ? "float" : "float\(vector)"
    func each(_ line: (Int) -> String) -> String { (0..<rows).map(line).joined(separator: "\n") }
    let isWhole = splits == 1
    let finish =
      isWhole
      ? "float v_ = u.e[j]\(epilogue.bias ? " + LD(bias, column + j)" : "")\(epilogue.residual ? " + LD(residual, o + j)" : ""); ST(y, o + j, ACTIVATE(v_));"
      : "y[(size_t)part * total + o + j] = u.e[j];"
    return KernelSource(
      """
      kernel void matmul_rows(
          global const real *a, global const real *b, global const real *bias, global const real *residual, global \(isWhole ? "real" : "float") *y,
          int n, int depth, int a_row, int a_column, int b_row, int total) {
        local vec sums[\(Self.depth)][\(Self.lanes)];
        int lx = get_local_id(0), ly = get_local_id(1), part = get_group_id(1);
        int column = (get_group_id(0) * \(Self.lanes) + lx) * VECTOR, at = min(column, n - VECTOR);
        int share = (depth + \(splits) - 1) / \(splits), first = part * share, last = min(depth, first + share);
      \(each { "  vec s\($0) = 0;" })
        for (int k = first + ly; k < last; k += \(Self.depth)) {
          vec w = \(vector == 1 ? "LD(b, k * b_row + at)" : "LD\(vector)(b, k * b_row + at)");
      \(each { "    s\($0) += LD(a, \($0) * a_row + k * a_column) * w;" })
        }
      \(each { row in
        """
          barrier(CLK_LOCAL_MEM_FENCE);
          sums[ly][lx] = s\(row);
          barrier(CLK_LOCAL_MEM_FENCE);
          if (ly == \(row % Self.depth) && column < n) {
            union { vec v; float e[VECTOR]; } u;
            u.v = sums[0][lx];
            for (int i = 1; i < \(Self.depth); i++) u.v += sums[i][lx];
            size_t o = (size_t)\(row) * n + column;
            for (int j = 0; j < VECTOR; j++) { \(finish) }
          }
        """
      })
      }
      """, [activation, ("vec", vec), ("VECTOR", "\(vector)")])
  }
}

/// Adds the parts of sums that were cut, then applies the epilogue.
struct SplitSum {
  var epilogue: Epilogue

  /// Parameters: sums [parts][total], bias, residual, result; elements of the result, its columns, parts.
  var source: KernelSource? {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return nil }
    return KernelSource(
      """
      kernel void sum_parts(
          global const float *sums, global const real *bias, global const real *residual, global real *y, int total, int n, int parts) {
        int i = get_global_id(0);
        if (i >= total) return;
        float v = 0;
        for (int p = 0; p < parts; p++) v += sums[(size_t)p * total + i];
        \(epilogue.bias ? "v += LD(bias, i % n);" : "")
        \(epilogue.residual ? "v += LD(residual, i);" : "")
        ST(y, i, ACTIVATE(v));
      }
      """, [activation])
  }

  /// The epilogue alone, over sums that are stored as `real`. Parameters: sums, bias, residual, result; elements, columns.
  var finishSource: KernelSource? {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return nil }
    return KernelSource(
      """
      kernel void finish(global const real *sums, global const real *bias, global const real *residual, global real *y, int total, int n) {
        int i = get_global_id(0);
        if (i >= total) return;
        float v = LD(sums, i);
        \(epilogue.bias ? "v += LD(bias, i % n);" : "")
        \(epilogue.residual ? "v += LD(residual, i);" : "")
        ST(y, i, ACTIVATE(v));
      }
      """, [activation])
  }
}

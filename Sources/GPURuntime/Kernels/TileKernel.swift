import GraphModule

/// Products for processors: each work-item computes a tile of the result, some rows by some vectors of columns, in registers.
///
/// The right operand is packed: `[column block][k][vectors]`, filled up with zeros (`PackKernel`). Left rows are read a number at a
/// time and multiplied with all vectors. All loops over the tile are printed out, so that every accumulator has a register.
struct TileKernel {
  /// Rows, vectors of columns and vector width of a tile.
  var rows: Int
  var vectors: Int
  var width: Int
  var hasBias: Bool
  var hasResidual: Bool
  var activation: (String, String)

  /// Columns of a tile.
  var columns: Int { vectors * width }

  var name: String { "\(rows)x\(columns)" }

  /// The tiles for a product of `m` rows and `n` columns, from the one that is taken without timing on. None has more accumulators than the
  /// device has registers for.
  static func candidates(m: Int, n: Int, _ device: GPUDevice, _ epilogue: Epilogue) -> [TileKernel] {
    let width = [16, 8, 4].first { $0 <= device.vectorWidth } ?? 4
    let sizes = width == 16 ? [(6, 2), (12, 2), (8, 3), (6, 4)] : width == 8 ? [(4, 2), (6, 2), (3, 3)] : [(3, 2), (4, 2), (6, 1)]
    var seen: Set<[Int]> = []
    return sizes.compactMap { size in
      let (rows, vectors) = (max(1, min(size.0, m)), max(1, min(size.1, (n + width - 1) / width)))
      guard seen.insert([rows, vectors]).inserted else { return nil }
      return TileKernel(rows: rows, vectors: vectors, width: width, epilogue)
    }
  }

  init?(rows: Int, vectors: Int, width: Int, _ epilogue: Epilogue) {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return nil }
    self.activation = activation
    (self.rows, self.vectors, self.width) = (rows, vectors, width)
    hasBias = epilogue.bias
    hasResidual = epilogue.residual
  }

  private var defines: [(String, String)] {
    [
      activation, ("VEC", "\(width)"), ("COLUMNS", "\(columns)"), ("ROWS", "\(rows)"), ("LDV(p, i)", "LD\(width)(p, i)"),
      ("STV(p, i, v)", "ST\(width)(p, i, v)"), ("vec", "float\(width)"),
    ]
  }

  private func each(_ line: (Int) -> String) -> String { (0..<rows).map { line($0) }.joined(separator: "\n") + "\n" }

  private func eachVector(_ separator: String, _ text: (Int) -> String) -> String { (0..<vectors).map(text).joined(separator: separator) }

  private var accumulators: String { each { row in "  vec \(eachVector(", ") { "s\(row)_\($0) = 0" });" } }

  /// Adds `count` terms: row r is read at `p{r}[k * step]`, the right operand from `w` on.
  private func terms(_ count: String, step: String) -> String {
    """
        for (int k = 0; k < \(count); k++) {
          vec \(eachVector(", ") { "b\($0) = LDV(w, \($0) * VEC)" });
          w += COLUMNS;
    \(each { row in "      { float a = LD(p\(row), \(step)); \(eachVector(" ") { "s\(row)_\($0) += a * b\($0);" }) }" })
        }

    """
  }

  /// Adds bias and residual, applies the activation and writes the tile: row r at `y[o{r}…]`, columns `first` to `end`.
  private var store: String {
    """
      if (first + COLUMNS <= end) {
    \(each { row in
      eachVector("\n") { number in
        let at = "first + \(number) * VEC"
        return "    if (row0 + \(row) < m) { "
          + "vec v_ = s\(row)_\(number)"
          + (hasBias ? " + LDV(bias, \(at))" : "") + (hasResidual ? " + LDV(residual, o\(row) + \(at))" : "")
          + "; union { vec v; float e[VEC]; } u; u.v = v_; for (int j = 0; j < VEC; j++) u.e[j] = ACTIVATE(u.e[j]); STV(y, o\(row) + \(at), u.v); }"
      }
    })
      } else {
        union { vec v[\(vectors)]; float e[COLUMNS]; } u;
    \(each { row in
      "    if (row0 + \(row) < m) { \(eachVector(" ") { "u.v[\($0)] = s\(row)_\($0);" }) for (int j = 0; first + j < end; j++) { float v_ = u.e[j]"
        + (hasBias ? " + LD(bias, first + j)" : "") + (hasResidual ? " + LD(residual, o\(row) + first + j)" : "")
        + "; ST(y, o\(row) + first + j, ACTIVATE(v_)); } }"
    })
      }

    """
  }

  // MARK: Matrices

  /// Products of matrices in two batch axes: parameters a, packed b, bias, residual, result; m, n, k; the strides of a's rows and columns
  /// (column 0: they are adjacent); the inner batch axis; a's and c's strides of the batch axes, b's in packed matrices.
  ///
  /// Work-items: row tiles, column blocks, batches.
  var matmul: KernelSource {
    KernelSource(
      """
      kernel void matmul(
          global const real *a, global const real *b, global const real *bias, global const real *residual, global real *y, int m, int n, int depth,
          int a_row, int a_column, int inner, int a_outer, int a_inner, int b_outer, int b_inner, int c_outer, int c_inner) {
        int row0 = get_global_id(0) * ROWS, block = get_global_id(1), i = get_global_id(2) / inner, j = get_global_id(2) % inner;
        if (row0 >= m) return;
        int blocks = (n + COLUMNS - 1) / COLUMNS, first = block * COLUMNS, end = n;
        a += i * a_outer + j * a_inner;
        global const real *w = b + ((size_t)(i * b_outer + j * b_inner) * blocks + block) * depth * COLUMNS;
        size_t batch = (size_t)i * c_outer + (size_t)j * c_inner;
      \(each { "  global const real *p\($0) = a + (size_t)min(row0 + \($0), m - 1) * a_row;\n  size_t o\($0) = batch + (size_t)(row0 + \($0)) * n;" })
      \(accumulators)
        if (a_column == 1) {
      \(terms("depth", step: "k"))
        } else {
      \(terms("depth", step: "(size_t)k * a_column"))
        }
      \(store)
      }
      """, defines)
  }

  // MARK: Convolution

  /// A convolution over channels-last tensors as a product: rows are output pixels, k runs over taps and channels. Parameters: x,
  /// packed kernel, bias, residual, result, zeros (a window's row of them); output pixels, output channels and channels of a group, groups;
  /// input, output, window, strides, dilations and padding before, three each.
  ///
  /// Work-items: row tiles, column blocks group by group. Taps of one row of the window lie side by side in memory; where they are all inside
  /// the input for the whole tile, or all in the padding, they are one run of terms.
  var conv: KernelSource {
    KernelSource(
      """
      kernel void conv(
          global const real *x, global const real *packed, global const real *bias, global const real *residual, global real *y,
          global const real *zeros, int m, int n, int channels, int groups, int id, int ih, int iw, int od, int oh, int ow, int kd, int kh,
          int kw, int sd, int sh, int sw, int dd, int dh, int dw, int pd, int ph, int pw) {
        int row0 = get_global_id(0) * ROWS, column = get_global_id(1);
        if (row0 >= m) return;
        int blocks = (n + COLUMNS - 1) / COLUMNS, group = column / blocks, total = channels * groups;
        int first = group * n + column % blocks * COLUMNS, end = group * n + n;
        global const real *w = packed + (size_t)column * kd * kh * kw * channels * COLUMNS;
        x += group * channels;
      \(each { row in
        """
          int r\(row) = min(row0 + \(row), m - 1), x\(row) = r\(row) % ow, y\(row) = r\(row) / ow % oh, z\(row) = r\(row) / ow / oh % od;
          size_t o\(row) = (size_t)r\(row) * n * groups;
          size_t i\(row) = (size_t)(r\(row) / ow / oh / od) * id;
          x\(row) = x\(row) * sw - pw, y\(row) = y\(row) * sh - ph, z\(row) = z\(row) * sd - pd;
          global const real *p\(row), *q\(row);
        """
      })
      \(accumulators)
        int joins = dw == 1 && groups == 1;
        for (int kz = 0; kz < kd; kz++) {
          for (int ky = 0; ky < kh; ky++) {
            int whole = joins, any = 0;
      \(each { row in
        """
                { int d = z\(row) + kz * dd, h = y\(row) + ky * dh;
                  int inside = d >= 0 && d < id && h >= 0 && h < ih;
                  q\(row) = inside ? x + ((i\(row) + d) * ih + h) * iw * total : 0;
                  any |= inside;
                  whole &= !inside || (x\(row) >= 0 && x\(row) + kw <= iw); }
        """
      })
            if (!any) {
              w += kw * channels * COLUMNS;
              continue;
            }
            if (whole) {
      \(each { "          p\($0) = q\($0) ? q\($0) + (size_t)x\($0) * total : zeros;" })
      \(terms("kw * channels", step: "k"))
              continue;
            }
            for (int kx = 0; kx < kw; kx++) {
      \(each { row in
        "          { int c = x\(row) + kx * dw; p\(row) = q\(row) && c >= 0 && c < iw ? q\(row) + (size_t)c * total : zeros; }"
      })
      \(terms("channels", step: "k"))
            }
          }
        }
      \(store)
      }
      """, defines)
  }
}

/// Packing of a product's right operand for `TileKernel`.
enum PackKernel {
  /// Parameters: matrices, result; k, n; strides of k, n and of the matrices. Work-items: columns with the filling, k, matrices.
  static func source(columns: Int) -> KernelSource {
    KernelSource(
      """
      kernel void pack(global const real *x, global real *y, int depth, int n, int row, int column, int matrix) {
        int j = get_global_id(0), k = get_global_id(1), z = get_global_id(2), blocks = (n + COLUMNS - 1) / COLUMNS;
        if (j >= blocks * COLUMNS || k >= depth) return;
        float v = 0;
        if (j < n) v = LD(x, (size_t)z * matrix + (size_t)k * row + (size_t)j * column);
        ST(y, (((size_t)z * blocks + j / COLUMNS) * depth + k) * COLUMNS + j % COLUMNS, v);
      }
      """, [("COLUMNS", "\(columns)")])
  }

  /// How a right operand lies in memory: `matrices` of them, `depth` by `n`.
  struct Layout {
    var depth: Int
    var n: Int
    var matrices: Int
    var row: Int
    var column: Int
    var matrix: Int
  }
}

extension GPULowering {
  /// A product's right operand in packed form: constants are packed once, others by a kernel of each prediction.
  func packed(_ index: Int, _ layout: PackKernel.Layout, columns: Int, transform: RightTransform? = nil) -> GPUArgument {
    let blocks = (layout.n + columns - 1) / columns
    let count = layout.matrices * blocks * layout.depth * columns
    if let tensor = constant(index) {
      let key = [columns, layout.depth, layout.n, layout.matrices, layout.row, layout.column, layout.matrix]
      return weights(tensor, layout: "packed \(transform?.name ?? "")", key: key, count: count) { target in
        let changed = transform.map { transform in
          [Float](unsafeUninitializedCapacity: transform.count) { numbers, count in
            transform.fill(&numbers)
            count = transform.count
          }
        }
        let source = tensor.bytes.bindMemory(to: Float.self)
        if let changed {
          changed.withUnsafeBufferPointer { Self.pack($0, layout, columns, &target) }
        } else {
          Self.pack(source, layout, columns, &target)
        }
      }
    }
    return packed(computed: input(index), layout, columns: columns)
  }

  private static func pack(_ source: UnsafeBufferPointer<Float>, _ layout: PackKernel.Layout, _ columns: Int, _ target: inout UnsafeMutableBufferPointer<Float>) {
    var at = 0
    for z in 0..<layout.matrices {
      for first in stride(from: 0, to: layout.n, by: columns) {
        for k in 0..<layout.depth {
          for j in first..<first + columns {
            target[at] = j < layout.n ? source[z * layout.matrix + k * layout.row + j * layout.column] : 0
            at += 1
          }
        }
      }
    }
  }
}

/// Numbers that a constant right operand is turned into before it is laid out.
struct RightTransform: Sendable {
  var name: String
  var count: Int
  var fill: @Sendable (inout UnsafeMutableBufferPointer<Float>) -> Void
}

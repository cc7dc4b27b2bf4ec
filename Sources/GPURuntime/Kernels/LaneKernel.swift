import GraphModule

/// Products for GPUs, a tile of the result for each work-group. Both operands pass through local memory, some terms at a time; while a
/// work-item multiplies, its share of the next terms is on the way into its registers.
///
/// In local memory the operands lie `[k][row]` and `[k][column]`, so that a work-item reads vectors of 4 of both. Its rows are groups of 4
/// adjacent ones, `4 · lanesY` apart, and so are its columns: neighbours read and write adjacent memory.
struct LaneKernel {
  /// How an operand is read.
  struct Side: Hashable {
    /// Whether adjacent work-items read adjacent terms of k, rather than adjacent rows (columns).
    var alongTerms: Bool
    /// Elements that are read at once: 4 where all addresses are multiples of 4 and 4 elements are never cut.
    var vector: Int
  }

  var tile: LaneTile
  var epilogue: Epilogue
  var left: Side
  var right: Side
  var activation: (String, String)

  init?(_ tile: LaneTile, left: Side, right: Side, epilogue: Epilogue) {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return nil }
    self.activation = activation
    (self.tile, self.left, self.right, self.epilogue) = (tile, left, right, epilogue)
  }

  // MARK: Text

  private func lines(_ count: Int, _ line: (Int) -> String) -> String { (0..<count).map(line).joined(separator: "\n") + "\n" }

  /// Times that each work-item reads a vector of an operand.
  private func passes(_ side: Side, _ extent: Int) -> Int { max(1, extent * tile.step / side.vector / tile.group) }

  /// Before the loop: which terms `{name}k{p}` and rows `{name}r{p}` a work-item reads.
  private func places(_ name: String, _ side: Side, _ extent: Int) -> String {
    let lanes = side.alongTerms ? tile.step / side.vector : extent / side.vector
    return lines(passes(side, extent)) { p in
      let (first, second) = ("(lane + \(p * tile.group)) % \(lanes) * \(side.vector)", "(lane + \(p * tile.group)) / \(lanes)")
      return "  int \(name)k\(p) = \(side.alongTerms ? first : second), \(name)r\(p) = \(side.alongTerms ? second : first);"
    }
  }

  /// Into local memory, `pitch` numbers to a term. Where there are more work-items than vectors the rest do nothing.
  private func keep(_ name: String, _ memory: String, _ side: Side, _ extent: Int) -> String {
    let pitch = extent + 4
    let guarded = extent * tile.step / side.vector < tile.group ? "if (lane < \(extent * tile.step / side.vector)) " : ""
    return lines(passes(side, extent)) { p in
      let writes = (0..<side.vector).map { e in
        let at = side.alongTerms ? "(\(name)k\(p) + \(e)) * \(pitch) + \(name)r\(p)" : "\(name)k\(p) * \(pitch) + \(name)r\(p) + \(e)"
        return "\(memory)[\(at)] = \(name)v\(p)\(side.vector == 1 ? "" : ".s\(e)");"
      }
      return "    \(guarded){ \(writes.joined(separator: " ")) }"
    }
  }

  private func type(_ vector: Int) -> String { vector == 1 ? "float" : "float\(vector)" }

  private func load(_ vector: Int, _ pointer: String, _ index: String) -> String {
    vector == 1 ? "LD(\(pointer), \(index))" : "LOAD4(\(pointer), \(index))"
  }

  /// The whole of the kernel after its own declarations.
  ///
  /// - Parameters:
  ///   - fetch: statements that read pass p's vector of both operands for the terms from `k0` on into `av{p}` and `bv{p}`; it is called with
  ///     the name of the operand, its side and the number of the pass.
  ///   - advance: statements between the steps of the loop.
  private func body(_ fetch: (String, Side, Int) -> String, advance: String = "") -> String {
    let (rv, cv) = (tile.rowVector, tile.columnVector)
    let (rowChunks, columnChunks) = (tile.itemRows / rv, tile.itemColumns / cv)
    let reads = lines(passes(left, tile.rows)) { fetch("a", left, $0) } + lines(passes(right, tile.columns)) { fetch("b", right, $0) }
    func element(_ chunk: Int, _ e: Int) -> String { rv == 1 ? "a\(chunk)" : "a\(chunk).s\(e)" }
    return """
      \(lines(tile.itemRows) { r in "  \(type(cv)) " + (0..<columnChunks).map { "s\(r)_\($0) = 0" }.joined(separator: ", ") + ";" })
      \(lines(passes(left, tile.rows)) { "  \(type(left.vector)) av\($0);" })\(lines(passes(right, tile.columns)) { "  \(type(right.vector)) bv\($0);" })
        int k0 = first;
      \(reads)
        for (; k0 < last; k0 += STEP) {
          barrier(CLK_LOCAL_MEM_FENCE);
      \(keep("a", "left", left, tile.rows))\(keep("b", "right", right, tile.columns))
          barrier(CLK_LOCAL_MEM_FENCE);
          if (k0 + STEP < last) {
            k0 += STEP;
      \(advance)\(reads)
            k0 -= STEP;
          }
          #pragma unroll
          for (int k = 0; k < STEP; k++) {
            local const float *l = left + k * \(tile.rows + 4) + ly * \(rv), *r = right + k * \(tile.columns + 4) + lx * \(cv);
      \(lines(rowChunks) { "      \(type(rv)) a\($0) = *(local const \(type(rv)) *)(l + \($0 * tile.lanesY * rv));" })
      \(lines(columnChunks) { "      \(type(cv)) b\($0) = *(local const \(type(cv)) *)(r + \($0 * tile.lanesX * cv));" })
      \(lines(tile.itemRows) { r in (0..<columnChunks).map { "      s\(r)_\($0) += \(element(r / rv, r % rv)) * b\($0);" }.joined() })
          }
        }
      \(lines(tile.itemRows) { r in
        "  { int row = row0 + (\(r / rv) * \(tile.lanesY) + ly) * \(rv) + \(r % rv); if (row < m) {\n"
          + (0..<columnChunks).map { c in
            "    { int column = column0 + (\(c) * \(tile.lanesX) + lx) * \(cv); if (column < n) finish(y, bias, residual, PLACE(row, column), CHANNEL(column), s\(r)_\(c), n - column); }\n"
          }.joined() + "  } }"
      })
      """
  }

  /// Common declarations: local memory, the work-item's place, and the terms `first` to `last` of its part of the sum.
  private var start: String {
    """
        local float left[STEP * \(tile.rows + 4)] __attribute__((aligned(16)));
        local float right[STEP * \(tile.columns + 4)] __attribute__((aligned(16)));
        int lx = get_local_id(0), ly = get_local_id(1), lane = ly * \(tile.lanesX) + lx;
        int column0 = get_group_id(0) * \(tile.columns), row0 = get_group_id(1) * \(tile.rows);
        int batch = get_group_id(2) / \(tile.splits), part = get_group_id(2) % \(tile.splits);
        int share = (depth + STEP * \(tile.splits) - 1) / (STEP * \(tile.splits)) * STEP, first = part * share, last = min(depth, first + share);
    \(tile.splits > 1 ? "    y += (size_t)part * total;" : "")
    \(places("a", left, tile.rows))\(places("b", right, tile.columns))
    """
  }

  private var isWhole: Bool { tile.splits == 1 }
  private var stored: String { isWhole ? "real" : "float" }

  private var prefix: String {
    let cv = tile.columnVector
    let add = isWhole ? (epilogue.bias ? "u.e[j] += LD(bias, channel + j);" : "") + (epilogue.residual ? " u.e[j] += LD(residual, o + j);" : "") : ""
    let store =
      isWhole
      ? "for (int j = 0; j < \(cv); j++) u.e[j] = ACTIVATE(u.e[j]);\n    if (count >= \(cv)) \(cv == 1 ? "ST" : "ST\(cv)")(y, o, u.v);\n    else for (int j = 0; j < count; j++) ST(y, o + j, u.e[j]);"
      : "for (int j = 0; j < min(count, \(cv)); j++) y[o + j] = u.e[j];"
    return """
      #ifdef KILN_HALF
      #define LOAD4(p, i) vload_half4(0, (p) + (i))
      #else
      #define LOAD4(p, i) (*(global const float4 *)((p) + (i)))
      #endif
      static void finish(
          global \(stored) *y, global const real *bias, global const real *residual, size_t o, int channel, \(type(cv)) v, int count) {
        union { \(type(cv)) v; float e[\(cv)]; } u;
        u.v = v;
        for (int j = 0; j < min(count, \(cv)); j++) { \(add) }
        \(store)
      }

      """
  }

  private var defines: [(String, String)] { [activation, ("STEP", "\(tile.step)")] }

  // MARK: Kernels

  /// Products in two batch axes: parameters a, b, bias, residual, result (or the sums of all parts, floats); m, n, k; strides of a's rows and
  /// columns; the inner batch axis; a's, b's and the result's strides of the batch axes; b's strides of rows and columns; all elements of the result.
  var matmul: KernelSource {
    KernelSource(
      prefix + """
        #define PLACE(row, column) (place + (size_t)(row) * n + (column))
        #define CHANNEL(column) (column)
        kernel void matmul(
            global const real *a, global const real *b, global const real *bias, global const real *residual, global \(stored) *y, int m, int n,
            int depth, int a_row, int a_column, int inner, int a_outer, int a_inner, int b_outer, int b_inner, int c_outer, int c_inner, int b_row,
            int b_column, int total) {
        \(start)
          int i_ = batch / inner, j_ = batch % inner;
          a += i_ * a_outer + j_ * a_inner;
          b += i_ * b_outer + j_ * b_inner;
          size_t place = (size_t)i_ * c_outer + (size_t)j_ * c_inner;
        \(lines(passes(left, tile.rows)) { "  int ap\($0) = min(row0 + ar\($0), m - \(left.alongTerms ? 1 : left.vector)) * a_row;" })
        \(lines(passes(right, tile.columns)) { "  int bp\($0) = min(column0 + br\($0), n - \(right.alongTerms ? 1 : right.vector)) * b_column;" })
        \(body { name, side, p in
          let stride = name == "a" ? "a_column" : "b_row"
          return "  \(name)v\(p) = k0 + \(name)k\(p) < last ? \(load(side.vector, name, "\(name)p\(p) + (k0 + \(name)k\(p)) * \(stride)")) : 0;"
        })
        }
        """, defines)
  }

  /// A convolution over channels-last tensors as a product: rows are output pixels, k runs over taps and channels. Parameters: x, kernel, bias,
  /// residual, result; output pixels, output channels and channels of a group, groups; the window; all elements of the result. Groups of channels
  /// are the batches.
  ///
  /// Each work-item keeps the corners of its pixels' windows, and walks through taps and channels without dividing.
  var conv: KernelSource {
    let count = passes(left, tile.rows)
    return KernelSource(
      prefix + """
        #define PLACE(row, column) ((size_t)(row) * n * groups + batch * n + (column))
        #define CHANNEL(column) (batch * n + (column))
        kernel void conv(
            global const real *x, global const real *w, global const real *bias, global const real *residual, global \(stored) *y, int m, int n,
            int channels, int groups, \(WindowNumbers.parameters), int total) {
          int depth = kd * kh * kw * channels;
        \(start)
          x += batch * channels;
          w += batch * n;
          int pitch = channels * groups, row_pitch = n * groups;
        \(lines(count) { p in
          """
            int ax\(p), ay\(p), az\(p), ai\(p);
            { int t = min(row0 + ar\(p), m - 1);
              ax\(p) = t % ow * sw - pw; t /= ow;
              ay\(p) = t % oh * sh - ph; t /= oh;
              az\(p) = t % od * sd - pd; ai\(p) = t / od * id; }
          """
        })
          int c = first + ak0, kx = c / channels, ky, kz;
          c %= channels;
          ky = kx / kw; kx %= kw;
          kz = ky / kh; ky %= kh;
        \(lines(passes(right, tile.columns)) { "  int bp\($0) = min(column0 + br\($0), n - \(right.vector));" })
        \(body({ name, side, p in
          if name == "b" { return "  bv\(p) = k0 + bk\(p) < last ? \(load(side.vector, "w", "(k0 + bk\(p)) * row_pitch + bp\(p)")) : 0;" }
          return """
              { int u = ax\(p) + kx * dw, v = ay\(p) + ky * dh, z = az\(p) + kz * dd;
                int inside = k0 + ak0 < last && u >= 0 && u < iw && v >= 0 && v < ih && z >= 0 && z < id;
                av\(p) = inside ? \(load(side.vector, "x", "(((ai\(p) + z) * ih + v) * iw + u) * pitch + c")) : 0; }
            """
        }, advance: """
              c += STEP;
              while (c >= channels) {
                c -= channels;
                if (++kx == kw) { kx = 0; if (++ky == kh) { ky = 0; kz++; } }
              }

          """))
        }
        """, defines)
  }

  /// The work of `batches` products of m by n.
  func sizes(m: Int, n: Int, batches: Int) -> (global: [Int], local: [Int]) {
    (
      [(n + tile.columns - 1) / tile.columns * tile.lanesX, (m + tile.rows - 1) / tile.rows * tile.lanesY, batches * tile.splits],
      [tile.lanesX, tile.lanesY, 1]
    )
  }
}

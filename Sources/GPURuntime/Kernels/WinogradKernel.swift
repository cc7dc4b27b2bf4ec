import GraphModule
import InferenceRuntime
import TensorModule

/// Winograd's algorithm on devices: the input's tiles are transformed, a product for each of the (m + 2)² points follows, then the sums are
/// transformed back.
///
///     x --B'dB--> U[point][tile][channel] --· W[point]--> M[point][tile][out] --A'MA--> y
struct WinogradKernel {
  let matrices: WinogradMatrices
  let window: WindowNumbers
  let channels: Int
  let out: Int
  let epilogue: Epilogue
  let activation: (String, String)
  /// Adjacent channels of a work-item.
  let inWidth: Int
  let outWidth: Int

  private var size: Int { matrices.outputs + 2 }
  private var points: Int { size * size }
  private var tilesHigh: Int { (window.output[1] + matrices.outputs - 1) / matrices.outputs }
  private var tilesWide: Int { (window.output[2] + matrices.outputs - 1) / matrices.outputs }
  private var tiles: Int { window.batch * tilesHigh * tilesWide }

  /// - Returns: nil where it does not apply: an activation without a kernel, or transformed tensors of 2^31 elements or more.
  init?(outputs: Int, _ window: WindowNumbers, channels: Int, out: Int, _ epilogue: Epilogue, _ node: GPULowering) {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return nil }
    matrices = WinogradMatrices(outputs: outputs)
    self.activation = activation
    (self.window, self.channels, self.out, self.epilogue) = (window, channels, out, epilogue)
    func width(_ count: Int) -> Int {
      node.prefersVectors ? [16, 8, 4].first { $0 <= node.device.vectorWidth && count % $0 == 0 } ?? 1 : 1
    }
    (inWidth, outWidth) = (width(channels), width(out))
    guard window.output[1] >= outputs, window.output[2] >= outputs, tiles * points * max(channels, out) < 1 << 30 else { return nil }
  }

  /// Adds the kernels; `operands` are bias, residual and result.
  func append(to node: GPULowering, _ kernel: Tensor, _ operands: [GPUArgument]) {
    let transformed = node.temporary(reals: points * tiles * channels + 16)
    let sums = node.temporary(reals: points * tiles * out + 16)
    let group = node.prefersVectors ? 4 : 64
    let numbers: [GPUArgument] = [tiles, channels, window.input[1], window.input[2], tilesHigh, tilesWide, window.low[1], window.low[2]].map { .int($0) }
    let lanesIn = channels / inWidth
    node.kernel(
      inputSource, "winograd_input", [node.input(0), transformed] + numbers, global: [lanesIn, tiles], local: [min(group, node.group(of: lanesIn)), 1])
    let (channels, out, points, matrices) = (channels, out, points, matrices)
    let product = ProductKernel(
      numbers: MatrixNumbers(
        m: tiles, n: out, k: channels, aRow: channels, bRow: out, bColumn: 1, matrices: points, aMatrix: tiles * channels, bMatrix: channels * out,
        cMatrix: tiles * out),
      matrices: points, matrix: channels * out, left: transformed, right: 1,
      transform: RightTransform(name: "winograd \(matrices.outputs)", count: points * channels * out) { target in
        Self.transform(kernel, matrices, channels * out, &target)
      }, result: sums)
    guard product.appendDefault(to: node) else { return }
    let lanesOut = out / outWidth
    let outNumbers: [GPUArgument] = [tiles, out, window.output[1], window.output[2], tilesHigh, tilesWide].map { .int($0) }
    node.kernel(
      outputSource, "winograd_output", [sums] + operands + outNumbers, global: [lanesOut, tiles], local: [min(group, node.group(of: lanesOut)), 1])
  }

  /// G g G' of all kernels: [point][channel][out].
  private static func transform(_ kernel: Tensor, _ matrices: WinogradMatrices, _ kernels: Int, _ target: inout UnsafeMutableBufferPointer<Float>) {
    let source = kernel.bytes.bindMemory(to: Float.self)
    let g = matrices.kernel
    for (i, row) in g.enumerated() {
      for (j, column) in g.enumerated() {
        let factors = (0..<9).map { row[$0 / 3] * column[$0 % 3] }
        let first = (i * g.count + j) * kernels
        for index in 0..<kernels {
          var sum = 0.0
          for tap in 0..<9 { sum += factors[tap] * Double(source[tap * kernels + index]) }
          target[first + index] = Float(sum)
        }
      }
    }
  }

  // MARK: Text

  /// A row of a matrix times a vector whose element i is `element(i)`.
  private static func sum(_ row: [Double], _ element: (Int) -> String) -> String {
    let terms = row.indices.filter { row[$0] != 0 }.map { index in
      row[index] == 1 ? "+ \(element(index))" : row[index] == -1 ? "- \(element(index))" : "+ \(Float(row[index]))f * \(element(index))"
    }
    let text = terms.joined(separator: " ")
    return text.hasPrefix("+ ") ? String(text.dropFirst(2)) : text
  }

  /// Statements that set `{to}{i}_{j}` to M x M' of `{from}{i}_{j}`, by way of `h{i}_{j}`.
  private static func transform(_ matrix: [[Double]], _ from: String, _ to: String) -> String {
    let (rows, columns) = (matrix.count, matrix[0].count)
    var text = ""
    for i in 0..<rows { for j in 0..<columns { text += "  vec h\(i)_\(j) = \(sum(matrix[i]) { "\(from)\($0)_\(j)" });\n" } }
    for i in 0..<rows { for j in 0..<rows { text += "  vec \(to)\(i)_\(j) = \(sum(matrix[j]) { "h\(i)_\($0)" });\n" } }
    return text
  }

  private func defines(_ width: Int) -> [(String, String)] {
    [
      activation, ("WIDTH", "\(width)"), ("vec", width == 1 ? "float" : "float\(width)"), ("LDV(p, i)", width == 1 ? "LD(p, i)" : "LD\(width)(p, i)"),
      ("STV(p, i, v)", width == 1 ? "ST(p, i, v)" : "ST\(width)(p, i, v)"),
    ]
  }

  private func grid(_ line: (Int, Int) -> String, _ count: Int) -> String {
    (0..<count * count).map { line($0 / count, $0 % count) }.joined(separator: "\n") + "\n"
  }

  /// Parameters: x, U; tiles, channels, rows and columns of the input, of the tiles, padding. Work-items: channels, tiles.
  private var inputSource: KernelSource {
    KernelSource(
      """
      kernel void winograd_input(
          global const real *x, global real *u, int tiles, int channels, int ih, int iw, int tiles_high, int tiles_wide, int ph, int pw) {
        int c = get_global_id(0) * WIDTH, tile = get_global_id(1);
        if (c >= channels || tile >= tiles) return;
        int left = tile % tiles_wide * \(matrices.outputs) - pw, t = tile / tiles_wide, top = t % tiles_high * \(matrices.outputs) - ph;
        x += (size_t)(t / tiles_high) * ih * iw * channels + c;
        u += (size_t)tile * channels + c;
        size_t step = (size_t)tiles * channels;
      \(grid({ i, j in
        "  vec d\(i)_\(j) = 0; if (top + \(i) >= 0 && top + \(i) < ih && left + \(j) >= 0 && left + \(j) < iw) d\(i)_\(j) = LDV(x, ((top + \(i)) * iw + left + \(j)) * channels);"
      }, size))
      \(Self.transform(matrices.input, "d", "r"))
      \(grid({ i, j in "  STV(u, \(i * size + j) * step, r\(i)_\(j));" }, size))
      }
      """, defines(inWidth))
  }

  /// Parameters: M, bias, residual, y; tiles, output channels, rows and columns of the output, of the tiles. Work-items: channels, tiles.
  private var outputSource: KernelSource {
    KernelSource(
      """
      kernel void winograd_output(
          global const real *sums, global const real *bias, global const real *residual, global real *y, int tiles, int out, int oh, int ow,
          int tiles_high, int tiles_wide) {
        int c = get_global_id(0) * WIDTH, tile = get_global_id(1);
        if (c >= out || tile >= tiles) return;
        int left = tile % tiles_wide * \(matrices.outputs), t = tile / tiles_wide, top = t % tiles_high * \(matrices.outputs);
        sums += (size_t)tile * out + c;
        size_t step = (size_t)tiles * out, image = (size_t)(t / tiles_high) * oh * ow * out + c;
      \(grid({ i, j in "  vec m\(i)_\(j) = LDV(sums, \(i * size + j) * step);" }, size))
      \(Self.transform(matrices.output, "m", "r"))
      \(epilogue.bias ? "  vec b = LDV(bias, c);" : "")
      \(grid({ i, j in
        """
          if (top + \(i) < oh && left + \(j) < ow) {
            size_t o = image + (size_t)((top + \(i)) * ow + left + \(j)) * out;
            union { vec v; float e[WIDTH]; } u;
            u.v = r\(i)_\(j)\(epilogue.bias ? " + b" : "")\(epilogue.residual ? " + LDV(residual, o)" : "");
            for (int j = 0; j < WIDTH; j++) u.e[j] = ACTIVATE(u.e[j]);
            STV(y, o, u.v);
          }
        """
      }, matrices.outputs))
      }
      """, defines(outWidth))
  }
}

import GraphModule
import TensorModule

extension ConvKernelGradient: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    guard node.isAll(.float32) else { return .refused("it works on \(node.inputs[0].dtype.name)") }
    let (input, cotangent) = (node.inputShapes[0], node.inputShapes[1])
    let numbers = WindowNumbers(input: input, output: cotangent, window: window, strides: strides, dilations: dilations, low: low)
    guard numbers.fits else { return .refused("its numbers do not fit 32 bits") }
    let (channels, out) = (input[input.count - 1], cotangent[cotangent.count - 1])
    let (inner, groupOut) = (channels / groups, out / groups)
    let isDepthwise = groups > 1 && inner == 1 && groupOut == 1
    let kernel = KernelGradientKernel(node, inner: inner, columns: isDepthwise ? out : groupOut, isDepthwise: isDepthwise)
    let taps = numbers.window.reduce(1, *)
    let blocks = (inner + kernel.rows - 1) / kernel.rows
    let columns = out / kernel.columns
    let size = taps * inner * out
    // Lines of output pixels are dealt out to splits, so that all of a device works; their sums are added in their order.
    let lines = numbers.batch * numbers.output[0] * numbers.output[1]
    let wanted = node.prefersVectors ? 4 * node.device.computeUnits : 1 << 16
    let splits = max(1, min(lines, wanted / max(1, columns * taps * blocks), max(1, (1 << 26) / max(1, size))))
    let parts = splits == 1 ? node.output() : node.temporary(byteCount: 4 * size * splits)
    let group = node.prefersVectors ? 1 : min(64, max(1, columns), node.device.maximumGroup)
    node.kernel(
      kernel.source(writesResult: splits == 1), "conv_kernel_gradient",
      [node.input(0), node.input(1), parts] + [lines, splits, taps * blocks, blocks, channels, out, inner, groupOut].map { .int($0) } + numbers.arguments,
      global: [columns, taps * blocks, splits], local: [group, 1, 1])
    if splits > 1 { node.kernel(KernelGradientKernel.sum, "sum_parts", [parts, node.output(), .int(splits), .int(size)], count: size) }
    return .runs
  }
}

/// The derivative of a convolution by its kernel. A work-item has some input channels of a tap by one or two vectors of output channels, and
/// goes through the lines of output pixels of its split.
private struct KernelGradientKernel {
  let rows: Int
  let width: Int
  let vectors: Int
  /// Output channel c sees input channel c alone.
  let isDepthwise: Bool

  var columns: Int { width * vectors }

  /// - Parameter columns: output channels side by side with the same input channels.
  init(_ node: GPULowering, inner: Int, columns: Int, isDepthwise: Bool) {
    self.isDepthwise = isDepthwise
    width = node.prefersVectors ? [16, 8, 4].first { $0 <= node.device.vectorWidth && columns % $0 == 0 } ?? 1 : 1
    vectors = width > 1 && columns % (2 * width) == 0 && !isDepthwise ? 2 : 1
    rows = isDepthwise ? 1 : min(inner, node.prefersVectors ? 6 : 4)
  }

  private func each(_ text: (Int, Int) -> String) -> String {
    (0..<rows).flatMap { row in (0..<vectors).map { text(row, $0) } }.joined(separator: " ")
  }

  func source(writesResult: Bool) -> KernelSource {
    let (load, store) = width == 1 ? ("LD", writesResult ? "ST" : "PUT") : ("LD\(width)", writesResult ? "ST\(width)" : "PUT")
    let sums = each { row, vector in "s\(row)_\(vector) = 0" }.replacing(" s", with: ", s")
    let terms =
      isDepthwise
      ? "p0_0 += \(load)(x, at + c) * \(load)(dy, from);"
      : (0..<vectors).map { "vec d\($0) = \(load)(dy, from + \($0 * width));" }.joined(separator: " ") + "\n"
        + (0..<rows).map { row in
          "{ float a = LD(x, at + i\(row)); " + (0..<vectors).map { "p\(row)_\($0) += a * d\($0);" }.joined(separator: " ") + " }"
        }.joined(separator: "\n")
    return KernelSource(
      """
      kernel void conv_kernel_gradient(
          global const real *x, global const real *dy, global \(writesResult ? "real" : "float") *dw_, int lines, int splits, int tiles, int blocks,
          int channels, int out, int inner, int group_out, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * \(columns), tile = get_global_id(1), split = get_global_id(2);
        if (c >= out || tile >= tiles) return;
        int tap = tile / blocks, first = tile % blocks * \(rows), base = c / group_out * inner;
        int x0 = tap % kw * dw - pw, y0 = tap / kw % kh * dh - ph, z0 = tap / kw / kh * dd - pd;
        int low = x0 >= 0 ? 0 : (sw - 1 - x0) / sw, high = iw - 1 - x0 < 0 ? 0 : min(ow, (iw - 1 - x0) / sw + 1);
        \((0..<rows).map { "int i\($0) = base + min(first + \($0), inner - 1);" }.joined(separator: " "))
        vec \(sums);
        int end = (int)((long)lines * (split + 1) / splits);
        for (int line = (int)((long)lines * split / splits); line < end; line++) {
          int t = line / oh, v = y0 + line % oh * sh, z = z0 + t % od * sd;
          if (v < 0 || v >= ih || z < 0 || z >= id) continue;
          vec \(sums.replacing("s", with: "p"));
          size_t from = ((size_t)line * ow + low) * out + c;
          size_t at = ((((size_t)(t / od) * id + z) * ih + v) * iw + x0 + low * sw) * channels;
          for (int ox = low; ox < high; ox++, from += out, at += (size_t)sw * channels) {
            \(terms)
          }
          \(each { row, vector in "s\(row)_\(vector) += p\(row)_\(vector);" })
        }
        size_t o = (((size_t)\(writesResult ? "0" : "split") * (tiles / blocks) + tap) * inner + first) * out + c;
        \(each { row, vector in "if (first + \(row) < inner) \(store)(dw_, o + (size_t)\(row) * out + \(vector * width), s\(row)_\(vector));" })
      }
      """,
      [
        ("vec", width == 1 ? "float" : "float\(width)"), ("PUT(p, i, v)", width == 1 ? "((p)[i] = (v))" : "vstore\(width)((v), 0, (p) + (i))"),
      ])
  }

  /// Adds what splits found, in their order.
  static let sum = KernelSource(
    """
    kernel void sum_parts(global const float *parts, global real *y, int splits, int n) {
      int i = get_global_id(0);
      if (i >= n) return;
      float sum = 0;
      for (int split = 0; split < splits; split++) sum += parts[(size_t)split * n + i];
      ST(y, i, sum);
    }
    """)
}

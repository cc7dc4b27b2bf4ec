import GraphModule
import TensorModule

/// Products and convolutions of dtypes other than float32: a work-item sums one element of the result, in double for float64, else in float.
struct PlainProduct {
  let dtype: DType
  let epilogue: Epilogue
  let number: String
  let stored: String
  private let activation: String

  /// Nil when the device cannot compute with the dtype, or has no activation for it.
  init?(_ node: GPULowering, _ epilogue: Epilogue) {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return nil }
    guard dtype.isFloat, node.isAll(dtype),
      let activation = ScalarPrinter.expression(epilogue.activation.function, ["s"], epilogue.activation.parameters, dtype)
    else { return nil }
    self.dtype = dtype
    self.epilogue = epilogue
    self.activation = activation
    number = ScalarPrinter.type(dtype)
    stored = ScalarPrinter.storedType(dtype)
  }

  static func reason(_ node: GPULowering) -> GPUSupport {
    .refused(node.inputs[0].dtype == .float64 && !node.device.hasDouble ? "the device has no float64" : "its activation has no kernel")
  }

  func load(_ pointer: String, _ index: String) -> String { ScalarPrinter.load(dtype, pointer, index) }

  /// Operands and results that every such kernel has.
  var parameters: String {
    ["data", "taps", "bias", "residual"].map { "global const \(stored) *\($0), " }.joined() + "global \(stored) *y"
  }

  func arguments(_ node: GPULowering) -> [GPUArgument] {
    [node.input(0), node.input(1), node.optionalInput(epilogue.biasIndex()), node.optionalInput(epilogue.residualIndex()), node.output()]
  }

  /// Statements that finish sum `s` of channel `c` and write it to `o`.
  var ending: String {
    (epilogue.bias ? "  s += \(load("bias", "c"));\n" : "") + (epilogue.residual ? "  s += \(load("residual", "o"));\n" : "")
      + "  \(number) r = \(activation);\n  \(ScalarPrinter.store(dtype, "y", "o", "r"))\n"
  }
}

extension MatMul {
  /// Any batch axes, each with a stride of its own.
  func plain(_ node: GPULowering) -> GPUSupport {
    guard let plain = PlainProduct(node, epilogue) else { return PlainProduct.reason(node) }
    let (left, right, result) = (node.inputShapes[0], node.inputShapes[1], node.outputShapes[0])
    let rank = result.count
    let (n, k) = (result[rank - 1], left[left.count - (transposeA ? 2 : 1)])
    let grid = ElementGrid(result)
    let batch = Array(result.dropLast(2))
    func places(_ shape: Shape, _ name: String) -> (text: String, parameters: String, arguments: [GPUArgument]) {
      let strides = ElementwiseKernel.Axes.strides(of: Array(shape.dropLast(2)), in: batch).map { $0 * shape.suffix(2).reduce(1, *) }
      return (
        strides.indices.map { " + (size_t)c\($0) * \(name)\($0)" }.joined(), strides.indices.map { ", int \(name)\($0)" }.joined(),
        strides.map { .int($0) }
      )
    }
    let (a, b) = (places(left, "a"), places(right, "b"))
    let (row, column) = ("c\(rank - 2)", "c\(rank - 1)")
    let source = KernelSource(
      """
      kernel void plain_matmul(\(plain.parameters), int m_, int n_, int k_\(a.parameters)\(b.parameters), \(grid.parameters)) {
      \(grid.text)  size_t first = (size_t)0\(a.text), second = (size_t)0\(b.text), o = i;
        int c = \(column);
        \(plain.number) s = 0;
        for (int l = 0; l < k_; l++)
          s += \(plain.load("data", "(first + \(transposeA ? "(size_t)l * m_ + \(row)" : "(size_t)\(row) * k_ + l"))"))
             * \(plain.load("taps", "(second + \(transposeB ? "(size_t)c * k_ + l" : "(size_t)l * n_ + c"))"));
      \(plain.ending)}
      """)
    if let residual = epilogue.residualIndex() { node.allowInPlace(over: residual) }
    let sizes: [GPUArgument] = [.int(result[rank - 2]), .int(n), .int(k)]
    grid.append(to: node, source, "plain_matmul", plain.arguments(node) + sizes + a.arguments + b.arguments)
    return .runs
  }
}

extension Conv {
  func plain(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> GPUSupport {
    guard let plain = PlainProduct(node, epilogue) else { return PlainProduct.reason(node) }
    let source = KernelSource(
      """
      kernel void plain_conv(\(plain.parameters), int pixels, int out, int inner, int group_out, int total, \(WindowNumbers.parameters)) {
        int c = get_global_id(0), p = get_global_id(1);
        if (c >= out || p >= pixels) return;
        int source = c / group_out * inner;
        \(WindowNumbers.forEachTap(
          start: "\(plain.number) s = 0;",
          """
          size_t from = (line + u) * total + source, tap = (size_t)((kz * kh + ky) * kw + kx) * inner * out + c;
          for (int l = 0; l < inner; l++) s += \(plain.load("data", "(from + l)")) * \(plain.load("taps", "(tap + (size_t)l * out)"));
          """))
        size_t o = (size_t)p * out + c;
      \(plain.ending)}
      """)
    let sizes = [window.pixels, out, channels, out / groups, channels * groups].map { GPUArgument.int($0) }
    node.kernel(
      source, "plain_conv", plain.arguments(node) + sizes + window.arguments, global: [out, window.pixels], local: [node.group(of: out), 1])
    return .runs
  }
}

extension ConvTranspose {
  /// - Parameter numbers: of the forward convolution, which takes the result to x.
  func plain(_ node: GPULowering, _ numbers: WindowNumbers, _ channels: Int, _ out: Int) -> GPUSupport {
    guard let plain = PlainProduct(node, epilogue) else { return PlainProduct.reason(node) }
    let source = KernelSource(
      """
      kernel void plain_conv_transpose(\(plain.parameters), int pixels, int out, int inner, int group_out, int total, \(WindowNumbers.parameters)) {
        int c = get_global_id(0), p = get_global_id(1);
        if (c >= out || p >= pixels) return;
        int source = c / group_out * inner;
        \(WindowNumbers.forEachWindow(
          start: "\(plain.number) s = 0;",
          """
          size_t from = pixel * total + source, tap = ((size_t)((kz * kh + ky) * kw + kx) * group_out + c % group_out) * total + source;
          for (int l = 0; l < inner; l++) s += \(plain.load("data", "(from + l)")) * \(plain.load("taps", "(tap + l)"));
          """))
        size_t o = (size_t)p * out + c;
      \(plain.ending)}
      """)
    if let residual = epilogue.residualIndex() { node.allowInPlace(over: residual) }
    let results = numbers.input.reduce(numbers.batch, *)
    let sizes = [results, out, channels / groups, out / groups, channels].map { GPUArgument.int($0) }
    node.kernel(
      source, "plain_conv_transpose", plain.arguments(node) + sizes + numbers.arguments, global: [out, results],
      local: [node.group(of: out), 1])
    return .runs
  }
}

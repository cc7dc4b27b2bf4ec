import GraphModule
import TensorModule

extension Pool: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let output = node.outputShapes[0]
    let numbers = WindowNumbers(
      input: node.inputShapes[0], output: output, window: window, strides: strides, dilations: dilations, padding: padding)
    guard numbers.fits else { return .refused("its numbers do not fit 32 bits") }
    let channels = output[output.count - 1]
    if dtype == .float32, node.prefersVectors, let width = [16, 8, 4].first(where: { $0 <= node.device.vectorWidth && channels % $0 == 0 }) {
      let lanes = channels / width
      node.kernel(
        vectors(width), "pool", [node.input(0), node.output(), .int(numbers.pixels), .int(channels)] + numbers.arguments,
        global: [lanes, numbers.pixels], local: [min(16, lanes), 1])
      return .runs
    }
    node.kernel(
      source(dtype), "pool", [node.input(0), node.output(), .int(numbers.pixels), .int(channels)] + numbers.arguments,
      global: [channels, numbers.pixels], local: [node.group(of: channels), 1])
    return .runs
  }

  /// Parameters: x, result; pixels, channels; the window. Work-items: channels, pixels.
  private func source(_ dtype: DType) -> KernelSource {
    let (stored, type) = (ScalarPrinter.storedType(dtype), ScalarPrinter.type(dtype))
    let suffix = dtype == .float64 ? "d" : "f"
    let isMaximum = kind == .max
    let start = !isMaximum ? "0" : dtype.isFloat ? "-INFINITY" : ScalarPrinter.literal(Double(dtype.integerRange?.lowerBound ?? 0), dtype)
    let value = ScalarPrinter.load(dtype, "x", "((line + u) * channels + c)")
    let step = !isMaximum ? "s += \(value);" : dtype.isFloat ? "s = k_max_\(suffix)(\(value), s);" : "s = max(s, \(value));"
    let divisor = countsPadding ? "(kd * kh * kw)" : "max(taps, 1)"
    return KernelSource(
      """
      kernel void pool(global const \(stored) *x, global \(stored) *y, int pixels, int channels, \(WindowNumbers.parameters)) {
        int c = get_global_id(0), p = get_global_id(1);
        if (c >= channels || p >= pixels) return;
        \(WindowNumbers.forEachTap(start: "int taps = 0;\n\(type) s = \(start);", step + "\ntaps++;"))
        \(isMaximum ? "" : "s /= \(divisor);")
        size_t o = (size_t)p * channels + c;
        \(ScalarPrinter.store(dtype, "y", "o", "s"))
      }
      """)
  }

  /// As `source` over float32, `width` adjacent channels in each work-item.
  private func vectors(_ width: Int) -> KernelSource {
    let value = "LD\(width)(x, (line + u) * channels + c)"
    let step = kind == .max ? "vec v_ = \(value); s = (v_ != v_) | (v_ > s) ? v_ : s;" : "s += \(value);"
    return KernelSource(
      """
      kernel void pool(global const real *x, global real *y, int pixels, int channels, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * WIDTH, p = get_global_id(1);
        if (c >= channels || p >= pixels) return;
        \(WindowNumbers.forEachTap(start: "int taps = 0;\nvec s = \(kind == .max ? "-INFINITY" : "0");", step + "\ntaps++;"))
        \(kind == .max ? "" : "s /= (float)\(countsPadding ? "(kd * kh * kw)" : "max(taps, 1)");")
        ST\(width)(y, (size_t)p * channels + c, s);
      }
      """, [("WIDTH", "\(width)"), ("vec", "float\(width)")])
  }
}

import GraphModule
import TensorModule

extension PoolGradient: GPUBinding {
  /// Each window notes its count, or where its maximum is; then each element gathers from the windows that hold it.
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let (input, result) = (node.inputShapes[0], node.inputShapes[1])
    let numbers = WindowNumbers(
      input: input, output: result, window: pool.window, strides: pool.strides, dilations: pool.dilations, padding: pool.padding)
    guard numbers.fits, numbers.input.allSatisfy({ $0 < 1 << 29 }) else { return .refused("its numbers do not fit 32 bits") }
    let channels = input[input.count - 1]
    let (stored, number) = (ScalarPrinter.storedType(dtype), ScalarPrinter.type(dtype))
    let isMaximum = pool.kind == .max
    // For averages a window has one number.
    let lanes = isMaximum ? channels : 1
    let notes = node.temporary(byteCount: 4 * max(1, numbers.pixels * lanes))
    let step =
      isMaximum
      ? "\(number) w = \(ScalarPrinter.load(dtype, "x", "((line + u) * channels + c)")); if (note < 0 || w > best || (w != w && best == best)) { best = w; note = ((kz * kh) + ky) * kw + kx; }"
      : "note++;"
    let noter = KernelSource(
      """
      kernel void note_windows(global const \(stored) *x, global int *notes, int pixels, int channels, \(WindowNumbers.parameters)) {
        int c = get_global_id(0), p = get_global_id(1);
        if (c >= \(isMaximum ? "channels" : "1") || p >= pixels) return;
        \(WindowNumbers.forEachTap(start: "int note = \(isMaximum ? -1 : 0);\n\(number) best = 0;", step))
        notes[(size_t)p * \(isMaximum ? "channels" : "1") + c] = \(pool.countsPadding && !isMaximum ? "kd * kh * kw" : "note");
      }
      """)
    let slope = ScalarPrinter.load(dtype, "dy", "(pixel * channels + c)")
    let add = isMaximum ? "if (notes[pixel * channels + c] == (kz * kh + ky) * kw + kx) s += \(slope);" : "s += \(slope) / notes[pixel];"
    let gatherer = KernelSource(
      """
      kernel void pool_gradient(
          global const \(stored) *dy, global const int *notes, global \(stored) *dx, int elements, int channels, \(WindowNumbers.parameters)) {
        int c = get_global_id(0), p = get_global_id(1);
        if (c >= channels || p >= elements) return;
        \(WindowNumbers.forEachWindow(start: "\(number) s = 0;", add))
        \(ScalarPrinter.store(dtype, "dx", "((size_t)p * channels + c)", "s"))
      }
      """)
    if numbers.pixels > 0 {
      node.kernel(
        noter, "note_windows", [node.input(0), notes, .int(numbers.pixels), .int(channels)] + numbers.arguments, global: [lanes, numbers.pixels],
        local: [node.group(of: lanes), 1])
    }
    let elements = numbers.input.reduce(numbers.batch, *)
    node.kernel(
      gatherer, "pool_gradient", [node.input(1), notes, node.output(), .int(elements), .int(channels)] + numbers.arguments,
      global: [channels, elements], local: [node.group(of: channels), 1])
    return .runs
  }
}

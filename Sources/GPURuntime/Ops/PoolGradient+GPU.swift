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
    let kernel = PoolGradientKernel(node, pool, channels: channels, dtype: dtype)
    // For averages a window has one number.
    let lanes = kernel.isMaximum ? channels / kernel.width : 1
    let notes = node.temporary(byteCount: 4 * max(1, numbers.pixels * (kernel.isMaximum ? channels : 1)))
    if numbers.pixels > 0 {
      node.kernel(
        kernel.noter, "note_windows", [node.input(0), notes, .int(numbers.pixels), .int(channels)] + numbers.arguments, global: [lanes, numbers.pixels],
        local: [node.group(of: lanes), 1])
    }
    let elements = numbers.input.reduce(numbers.batch, *)
    node.kernel(
      kernel.gatherer, "pool_gradient", [node.input(1), notes, node.output(), .int(elements), .int(channels)] + numbers.arguments,
      global: [channels / kernel.width, elements], local: [node.group(of: channels / kernel.width), 1])
    return .runs
  }
}

/// On processors a work-item has a vector of channels, whose window is found once for all of them.
private struct PoolGradientKernel {
  let isMaximum: Bool
  let countsPadding: Bool
  let dtype: DType
  let width: Int

  init(_ node: GPULowering, _ pool: Pool, channels: Int, dtype: DType) {
    (isMaximum, countsPadding, self.dtype) = (pool.kind == .max, pool.countsPadding, dtype)
    width = node.prefersVectors && dtype == .float32 ? [16, 8, 4].first { $0 <= node.device.vectorWidth && channels % $0 == 0 } ?? 1 : 1
  }

  private var stored: String { ScalarPrinter.storedType(dtype) }
  private var number: String { width == 1 ? ScalarPrinter.type(dtype) : "float\(width)" }
  private var place: String { width == 1 ? "int" : "int\(width)" }

  private func load(_ pointer: String, _ index: String) -> String {
    width == 1 ? ScalarPrinter.load(dtype, pointer, "(\(index))") : "LD\(width)(\(pointer), \(index))"
  }

  /// Notes for each window how many elements count, or at which tap its maximum is.
  var noter: KernelSource {
    let step =
      !isMaximum
      ? "note++;"
      : width == 1
        ? "\(number) w = \(load("x", "(line + u) * channels + c")); if (note < 0 || w > best || (w != w && best == best)) { best = w; note = ((kz * kh) + ky) * kw + kx; }"
        : """
        \(number) w = \(load("x", "(line + u) * channels + c"));
        \(place) found = (w > best) | ((w != w) & (best == best)) | (\(place))(isFirst);
        best = select(best, w, found);
        note = select(note, (\(place))((kz * kh + ky) * kw + kx), found);
        isFirst = 0;
        """
    let start = isMaximum ? "\(place) note = -1;\n\(number) best = 0;\nint isFirst = -1;" : "int note = 0;"
    let result = isMaximum && width > 1 ? "vstore\(width)(note, 0, notes + o);" : "notes[o] = \(countsPadding && !isMaximum ? "kd * kh * kw" : "note");"
    return KernelSource(
      """
      kernel void note_windows(global const \(stored) *x, global int *notes, int pixels, int channels, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * \(isMaximum ? width : 1), p = get_global_id(1);
        if (c >= \(isMaximum ? "channels" : "1") || p >= pixels) return;
        \(WindowNumbers.forEachTap(start: start, step))
        size_t o = (size_t)p * \(isMaximum ? "channels" : "1") + c;
        \(result)
      }
      """)
  }

  /// Each element gathers from the windows that hold it.
  var gatherer: KernelSource {
    let slope = load("dy", "pixel * channels + c")
    let add =
      !isMaximum
      ? "s += \(slope) / (\(ScalarPrinter.type(dtype)))notes[pixel];"
      : width == 1
        ? "if (notes[pixel * channels + c] == (kz * kh + ky) * kw + kx) s += \(slope);"
        : "s += select((\(number))(0), \(slope), vload\(width)(0, notes + pixel * channels + c) == (\(place))((kz * kh + ky) * kw + kx));"
    let store = width == 1 ? ScalarPrinter.store(dtype, "dx", "((size_t)p * channels + c)", "s") : "ST\(width)(dx, (size_t)p * channels + c, s);"
    return KernelSource(
      """
      kernel void pool_gradient(
          global const \(stored) *dy, global const int *notes, global \(stored) *dx, int elements, int channels, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * \(width), p = get_global_id(1);
        if (c >= channels || p >= elements) return;
        \(WindowNumbers.forEachWindow(start: "\(number) s = 0;", add))
        \(store)
      }
      """)
  }
}

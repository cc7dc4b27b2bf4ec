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
        int x0 = p % ow * sw - pw, t = p / ow, y0 = t % oh * sh - ph, note = \(isMaximum ? "-1" : "0");
        t /= oh;
        int z0 = t % od * sd - pd;
        t /= od;
        \(number) best = 0;
        for (int kz = 0; kz < kd; kz++) {
          int z = z0 + kz * dd;
          if (z < 0 || z >= id) continue;
          for (int ky = 0; ky < kh; ky++) {
            int v = y0 + ky * dh;
            if (v < 0 || v >= ih) continue;
            size_t line = (((size_t)t * id + z) * ih + v) * iw;
            for (int kx = 0; kx < kw; kx++) {
              int u = x0 + kx * dw;
              if (u < 0 || u >= iw) continue;
              \(step)
            }
          }
        }
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
        int x = p % iw + pw, t = p / iw, row = t % ih + ph;
        t /= ih;
        int z = t % id + pd;
        t /= id;
        \(number) s = 0;
        for (int kz = 0; kz < kd; kz++) {
          int a = z - kz * dd;
          if (a < 0 || a % sd || a / sd >= od) continue;
          for (int ky = 0; ky < kh; ky++) {
            int b = row - ky * dh;
            if (b < 0 || b % sh || b / sh >= oh) continue;
            for (int kx = 0; kx < kw; kx++) {
              int d = x - kx * dw;
              if (d < 0 || d % sw || d / sw >= ow) continue;
              size_t pixel = (((size_t)t * od + a / sd) * oh + b / sh) * ow + d / sw;
              \(add)
            }
          }
        }
        \(ScalarPrinter.store(dtype, "dx", "((size_t)p * channels + c)", "s"))
      }
      """)
    func group(_ lanes: Int) -> Int { min([64, 32, 16, 8, 4, 2, 1].first { $0 <= max(1, lanes) } ?? 1, node.device.maximumGroup) }
    if numbers.pixels > 0 {
      node.kernel(
        noter, "note_windows", [node.input(0), notes, .int(numbers.pixels), .int(channels)] + numbers.arguments, global: [lanes, numbers.pixels],
        local: [group(lanes), 1])
    }
    let elements = numbers.input.reduce(numbers.batch, *)
    node.kernel(
      gatherer, "pool_gradient", [node.input(1), notes, node.output(), .int(elements), .int(channels)] + numbers.arguments,
      global: [channels, elements], local: [group(channels), 1])
    return .runs
  }
}

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
    let group = [64, 32, 16, 8, 4, 2, 1].first { $0 <= max(1, channels) } ?? 1
    node.kernel(
      source(dtype), "pool", [node.input(0), node.output(), .int(numbers.pixels), .int(channels)] + numbers.arguments,
      global: [channels, numbers.pixels], local: [min(group, node.device.maximumGroup), 1])
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
        int x0 = p % ow * sw - pw, t = p / ow, y0 = t % oh * sh - ph, taps = 0;
        t /= oh;
        int z0 = t % od * sd - pd;
        t /= od;
        \(type) s = \(start);
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
              taps++;
            }
          }
        }
        \(isMaximum ? "" : "s /= \(divisor);")
        size_t o = (size_t)p * channels + c;
        \(ScalarPrinter.store(dtype, "y", "o", "s"))
      }
      """)
  }
}

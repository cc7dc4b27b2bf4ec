import GraphModule
import TensorModule

extension Resize: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let (from, to) = (node.inputShapes[0], node.outputShapes[0])
    let spatial = from.count - 2
    guard (1...spatial).allSatisfy({ from[$0] < 1 << 20 && to[$0] < 1 << 20 }) else { return .refused("its pictures are too large") }
    let grid = ElementGrid(to)
    let strides = from.rowMajorStrides
    let isRounded = isRounded(dtype, spatial)
    let parameters = (1...spatial).map { ", int n\($0), int t\($0), float s\($0)" }.joined() + ", int t0"
    let arguments = (1...spatial).flatMap { [GPUArgument.int(from[$0]), .int(strides[$0]), .float(scale(from[$0], to[$0]))] } + [.int(strides[0])]
    let stored = mode == .nearest ? CopyKernel.type(bytes: node.storedBytes(dtype)) : ScalarPrinter.storedType(dtype)
    let source = KernelSource(
      """
      #pragma OPENCL FP_CONTRACT OFF
      #define NUMBER \(ScalarPrinter.type(dtype))
      static NUMBER between(NUMBER a, NUMBER b, NUMBER weight) { return \(isRounded ? "" : "weight == 0 ? a : ")a + (b - a) * weight; }
      kernel void resize(global const \(stored) *x, global \(stored) *y\(parameters), \(grid.parameters)) {
      \(grid.text)  int base = c0 * t0 + c\(spatial + 1);
      \((1...spatial).map { mode == .nearest ? nearest($0, isRounded) : linear($0, isRounded, ScalarPrinter.type(dtype)) }.joined())
        \(mode == .nearest ? "y[i] = x[base];" : ScalarPrinter.store(dtype, "y", "i", corner(1, spatial, [], isRounded, dtype)))
      }
      """)
    grid.append(to: node, source, "resize", [node.input(0), node.output()] + arguments)
    return .runs
  }

  /// Whether positions are rounded to float32 step by step, as the frameworks do: which pixel is the nearest depends on it, and to
  /// which integer a value in the middle of two is rounded later. Elsewhere the processor takes exact fractions, and so do kernels.
  private func isRounded(_ dtype: DType, _ spatial: Int) -> Bool { spatial <= 2 && (mode == .nearest || dtype == .float32) }

  /// Pixels of x for one of the result, divided here since a device may round quotients in its own way.
  private func scale(_ from: Int, _ to: Int) -> Float {
    if coordinates == .alignCorners { return to > 1 ? Float(from - 1) / Float(to - 1) : 0 }
    return Float(from) / Float(max(1, to))
  }

  /// The position in x, rounded to float32.
  private func position(_ axis: Int) -> String {
    if coordinates != .halfPixel { return "(float)c\(axis) * s\(axis)" }
    return "((float)c\(axis) + 0.5f) * s\(axis)\(mode == .nearest && rounding == .floor ? "" : " - 0.5f")"
  }

  /// The position in x as a fraction, so that no rounding moves it over a border.
  private func fraction(_ axis: Int) -> String {
    let (numerator, denominator) =
      switch coordinates {
      case .halfPixel: ("(2 * (long)c\(axis) + 1) * n\(axis) - d\(axis)", "2 * (long)d\(axis)")
      case .alignCorners: ("d\(axis) > 1 ? 2 * (long)c\(axis) * (n\(axis) - 1) : 0", "d\(axis) > 1 ? 2 * (long)(d\(axis) - 1) : 2")
      case .asymmetric: ("2 * (long)c\(axis) * n\(axis)", "2 * (long)d\(axis)")
      }
    return "    long p = \(numerator), q = \(denominator);\n"
  }

  private func nearest(_ axis: Int, _ isRounded: Bool) -> String {
    if isRounded {
      let place =
        switch rounding {
        case .floor: "floor(x_)"
        case .preferFloor: "ceil(x_ - 0.5f)"
        case .ceil: "ceil(x_)"
        }
      return "  {\n    float x_ = \(position(axis));\n    base += (int)fmin(fmax(\(place), 0.0f), (float)(n\(axis) - 1)) * t\(axis);\n  }\n"
    }
    let source =
      switch rounding {
      case .floor: "k_floor_divide(\(coordinates == .halfPixel ? "p + q / 2" : "p"), q)"
      case .preferFloor: "-k_floor_divide(q - 2 * p, 2 * q)"
      case .ceil: "-k_floor_divide(-p, q)"
      }
    return "  {\n\(fraction(axis))    base += (int)min(max(\(source), 0L), (long)n\(axis) - 1) * t\(axis);\n  }\n"
  }

  /// Sets the places of the two pixels and the weight of the second.
  private func linear(_ axis: Int, _ isRounded: Bool, _ number: String) -> String {
    let place =
      isRounded
      ? """
          float x_ = fmin(fmax(\(position(axis)), 0.0f), (float)(n\(axis) - 1));
          int low = (int)x_;
          w\(axis) = x_ - (float)low;

      """
      : """
      \(fraction(axis))    p = min(max(p, 0L), (n\(axis) - 1) * q);
          int low = (int)(p / q);
          w\(axis) = (\(number))(p - low * q) / (\(number))q;

      """
    return """
      int a\(axis), b\(axis);
      \(number) w\(axis);
      {
    \(place)    a\(axis) = low * t\(axis);
        b\(axis) = min(low + 1, n\(axis) - 1) * t\(axis);
      }

    """
  }

  /// The value between the corners that are picked already, the first axis innermost.
  private func corner(_ axis: Int, _ spatial: Int, _ picked: [String], _ isRounded: Bool, _ dtype: DType) -> String {
    // The axis that is split first is interpolated last: the processor's kernel ends with axis 1, the definition begins with it.
    let own = isRounded ? axis : spatial + 1 - axis
    if axis > spatial { return ScalarPrinter.load(dtype, "x", "(base + \(picked.joined(separator: " + ")))") }
    let (a, b) = (
      corner(axis + 1, spatial, picked + ["a\(own)"], isRounded, dtype), corner(axis + 1, spatial, picked + ["b\(own)"], isRounded, dtype)
    )
    return "between(\(a), \(b), w\(own))"
  }
}

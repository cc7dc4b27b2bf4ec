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
    let parameters = (1...spatial).map { ", int n\($0), int t\($0)" }.joined() + ", int t0"
    let arguments = (1...spatial).flatMap { [GPUArgument.int(from[$0]), .int(strides[$0])] } + [.int(strides[0])]
    let stored = mode == .nearest ? CopyKernel.type(bytes: node.storedBytes(dtype)) : ScalarPrinter.storedType(dtype)
    let source = KernelSource(
      """
      #define NUMBER \(ScalarPrinter.type(dtype))
      static NUMBER between(NUMBER a, NUMBER b, NUMBER weight) { return weight == 0 ? a : a + (b - a) * weight; }
      kernel void resize(global const \(stored) *x, global \(stored) *y\(parameters), \(grid.parameters)) {
      \(grid.text)  int base = c0 * t0 + c\(spatial + 1);
      \((1...spatial).map { mode == .nearest ? nearest($0) : linear($0, ScalarPrinter.type(dtype)) }.joined())
        \(mode == .nearest ? "y[i] = x[base];" : ScalarPrinter.store(dtype, "y", "i", corner(1, spatial, [], dtype)))
      }
      """)
    grid.append(to: node, source, "resize", [node.input(0), node.output()] + arguments)
    return .runs
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

  private func nearest(_ axis: Int) -> String {
    let source =
      switch rounding {
      case .floor: "k_floor_divide(\(coordinates == .halfPixel ? "p + q / 2" : "p"), q)"
      case .preferFloor: "-k_floor_divide(q - 2 * p, 2 * q)"
      case .ceil: "-k_floor_divide(-p, q)"
      }
    return "  {\n\(fraction(axis))    base += (int)min(max(\(source), 0L), (long)n\(axis) - 1) * t\(axis);\n  }\n"
  }

  /// Sets the places of the two pixels and the weight of the second.
  private func linear(_ axis: Int, _ number: String) -> String {
    """
      int a\(axis), b\(axis);
      \(number) w\(axis);
      {
    \(fraction(axis))    p = min(max(p, 0L), (n\(axis) - 1) * q);
        int low = (int)(p / q);
        w\(axis) = (\(number))(p - low * q) / (\(number))q;
        a\(axis) = low * t\(axis);
        b\(axis) = min(low + 1, n\(axis) - 1) * t\(axis);
      }

    """
  }

  /// The value between the corners that are picked already, the first axis innermost.
  private func corner(_ axis: Int, _ spatial: Int, _ picked: [String], _ dtype: DType) -> String {
    // The last axis is split first, so that axis 1 is interpolated first as the definition has it.
    let own = spatial + 1 - axis
    if own == 0 { return ScalarPrinter.load(dtype, "x", "(base + \(picked.joined(separator: " + ")))") }
    let (a, b) = (corner(axis + 1, spatial, picked + ["a\(own)"], dtype), corner(axis + 1, spatial, picked + ["b\(own)"], dtype))
    return "between(\(a), \(b), w\(own))"
  }
}

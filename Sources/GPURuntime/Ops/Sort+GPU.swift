import GraphModule
import TensorModule

extension TopK: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let shape = node.inputShapes[0]
    return RankKernel(outer: shape.dropLast().reduce(1, *), length: shape[shape.count - 1], inner: 1, taken: k, isDescending: true).append(to: node)
  }
}

extension Sort: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let shape = node.inputShapes[0]
    let (outer, length, inner) = (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
    return RankKernel(outer: outer, length: length, inner: inner, taken: length, isDescending: descending).append(to: node)
  }
}

/// Order along an axis: each element counts those before it, which is its place. Equals keep their order; NaN is the largest.
private struct RankKernel {
  /// Comparisons grow with the square of the length; the processor sorts longer rows faster.
  static let limit = 8192

  var outer: Int
  var length: Int
  var inner: Int
  /// How many places are wanted.
  var taken: Int
  var isDescending: Bool

  func append(to node: GPULowering) -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    if length > Self.limit { return .refused("it orders \(length) elements, more than \(Self.limit)") }
    let grid = ElementGrid([outer, length, inner])
    let stored = ScalarPrinter.storedType(dtype)
    let before = isDescending ? "(v != v ? own == own : own == own && v > own)" : "(own != own ? v == v : v == v && v < own)"
    let same = dtype.isFloat ? "(v == own || (v != v && own != own))" : "v == own"
    let source = KernelSource(
      """
      kernel void rank(global const \(stored) *x, global \(stored) *y, global int *places, int taken, \(grid.parameters)) {
      \(grid.text)  size_t base = (size_t)c0 * d1 * d2 + c2;
        \(ScalarPrinter.type(dtype)) own = \(ScalarPrinter.load(dtype, "x", "i"));
        int place = 0;
        for (int j = 0; j < d1; j++) {
          \(ScalarPrinter.type(dtype)) v = \(ScalarPrinter.load(dtype, "x", "(base + (size_t)j * d2)"));
          place += \(before) || (\(same) && j < c1);
        }
        if (place >= taken) return;
        size_t at = ((size_t)c0 * taken + place) * d2 + c2;
        if (y) \(ScalarPrinter.store(dtype, "y", "at", "own"))
        if (places) places[at] = c1;
      }
      """)
    grid.append(to: node, source, "rank", [node.input(0), node.optionalOutput(0), node.optionalOutput(1), .int(taken)])
    return .runs
  }
}

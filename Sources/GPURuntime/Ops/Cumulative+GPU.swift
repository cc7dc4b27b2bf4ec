import GraphModule
import TensorModule

extension Cumulative: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let axis = axis < 0 ? axis + shape.count : axis
    let (outer, length, inner) = (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
    let (stored, number) = (ScalarPrinter.storedType(dtype), ScalarPrinter.type(dtype))
    let start = kind == .sum ? "0" : kind == .prod ? "1" : "-INFINITY"
    let next =
      switch kind {
      case .sum: "total + v"
      case .prod: "total * v"
      case .logSumExp:
        "total != total || v != v ? NAN : fmin(total, v) == -INFINITY || fmax(total, v) == INFINITY ? fmax(total, v)"
          + " : fmax(total, v) + log1p(exp(fmin(total, v) - fmax(total, v)))"
      }
    let source = KernelSource(
      """
      kernel void cumulative(global const \(stored) *x, global \(stored) *y, int rows, int length, int inner) {
        int row = get_global_id(0);
        if (row >= rows) return;
        size_t base = (size_t)(row / inner) * length * inner + row % inner;
        \(number) total = \(start);
        for (int step = 0; step < length; step++) {
          size_t at = base + (size_t)(\(reverse ? "length - 1 - step" : "step")) * inner;
          \(number) v = \(ScalarPrinter.load(dtype, "x", "at"));
          \(number) next = \(next);
          \(ScalarPrinter.store(dtype, "y", "at", exclusive ? "total" : "next"))
          total = next;
        }
      }
      """)
    let rows = outer * inner
    node.allowInPlace(over: 0)
    let group = node.prefersVectors ? max(1, min(16, rows / (4 * max(1, node.device.computeUnits)))) : min(64, node.device.maximumGroup)
    node.kernel(
      source, "cumulative", [node.input(0), node.output(), .int(rows), .int(length), .int(inner)], global: [max(1, rows)], local: [group])
    return .runs
  }
}

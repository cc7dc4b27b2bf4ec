import GraphModule
import TensorModule

extension Scatter: GPUBinding {
  /// Rows of x are dealt out to parts. A work-item has a column of a part: it goes through all updates in order and takes those for its
  /// rows. So the order holds without atomics, and sums are the same each time.
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let depth = node.inputShapes[1].last ?? 0
    let (rows, inner) = (shape[..<depth].reduce(1, *), shape[depth...].reduce(1, *))
    let places = node.inputShapes[1].dropLast().reduce(1, *)
    let bytes = node.storedBytes(dtype)
    CopyKernel([rows * inner], source: [1], target: [1]).append(to: node, bytes: bytes, node.input(0), node.output())
    if places == 0 { return .runs }
    // Where each update goes.
    let index = node.inputs[1].dtype
    let targets = node.temporary(byteCount: 4 * places)
    let flag = node.errorFlag("op 'scatter': an index is not in its axis of \(shape.shapeText)")
    var parameters = ""
    var text = ""
    for axis in 0..<depth {
      parameters += ", int l\(axis)"
      text += "  { long at = \(ScalarPrinter.load(index, "indices", "((size_t)i * \(depth) + \(axis))"));\n"
      text += "    if (at < 0 || at >= l\(axis)) inside = 0;\n    else row = row * l\(axis) + (int)at; }\n"
    }
    let finder = KernelSource(
      """
      kernel void find_rows(global const \(ScalarPrinter.storedType(index)) *indices, global int *targets, global int *wrong, int n\(parameters)) {
        int i = get_global_id(0);
        if (i >= n) return;
        int row = 0, inside = 1;
      \(text)\(outside == .error ? "  if (!inside) *wrong = 1;\n" : "")  targets[i] = inside ? row : -1;
      }
      """)
    node.kernel(
      finder, "find_rows", [node.input(1), targets, flag, .int(places)] + shape[..<depth].map { .int($0) }, count: places)
    let wanted = (node.prefersVectors ? 4 * node.device.computeUnits : 8192) / max(1, inner)
    let parts = max(1, min(rows, min(1024, wanted)))
    let suffix = dtype == .float64 ? "d" : "f"
    let (held, update) = (ScalarPrinter.load(dtype, "y", "at"), ScalarPrinter.load(dtype, "updates", "((size_t)p * inner + c)"))
    let value =
      switch kind {
      case .update: update
      case .add: "\(held) + \(update)"
      case .mul: "\(held) * \(update)"
      case .min, .max:
        dtype.isFloat ? "k_\(kind.rawValue)_\(suffix)(\(held), \(update))" : "\(kind.rawValue)(\(held), \(update))"
      }
    let stored = ScalarPrinter.storedType(dtype)
    let source = KernelSource(
      """
      kernel void scatter(
          global const int *targets, global const \(stored) *updates, global \(stored) *y, int places, int inner, int rows, int parts) {
        int c = get_global_id(0), part = get_global_id(1);
        if (c >= inner) return;
        int first = (int)((long)rows * part / parts), end = (int)((long)rows * (part + 1) / parts);
        for (int p = 0; p < places; p++) {
          int row = targets[p];
          if (row < first || row >= end) continue;
          size_t at = (size_t)row * inner + c;
          \(ScalarPrinter.store(dtype, "y", "at", "(\(value))"))
        }
      }
      """)
    let group = node.prefersVectors ? 16 : min(64, node.device.maximumGroup)
    node.kernel(
      source, "scatter", [targets, node.input(2), node.output(), .int(places), .int(inner), .int(rows), .int(parts)], global: [inner, parts],
      local: [inner >= group ? group : max(1, inner), 1])
    return .runs
  }
}

import GraphModule
import TensorModule

extension Reduce: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    // Axes in turn kept and reduced.
    var groups: [(length: Int, isReduced: Bool)] = []
    for (axis, length) in node.inputShapes[0].enumerated() where length != 1 {
      let isReduced = axes.contains(axis)
      if groups.last?.isReduced == isReduced { groups[groups.count - 1].length *= length } else { groups.append((length, isReduced)) }
    }
    let total = groups.filter(\.isReduced).reduce(1) { $0 * $1.length }
    if !groups.contains(where: \.isReduced) { return node.sameElements() }
    var source = (argument: node.input(0), stored: RowKernel.Stored.dtype(dtype))
    // The last reduced group first: its rows are contiguous, or go by the longest runs.
    while let index = groups.lastIndex(where: \.isReduced) {
      let (outer, length, inner) = (groups[..<index].reduce(1) { $0 * $1.length }, groups[index].length, groups[(index + 1)...].reduce(1) { $0 * $1.length })
      let isLast = groups.filter(\.isReduced).count == 1
      let chunks = RowKernel.chunks(node, outer: outer, length: length, inner: inner)
      for (step, count) in [chunks, 1].enumerated() where step == 0 || chunks > 1 {
        let rows = RowKernel(node, dtype, outer: outer, length: step == 0 ? length : chunks, inner: inner, chunks: count)
        let writesResult = isLast && count == 1
        let size = dtype == .float64 || !dtype.isFloat ? 8 : 4
        let target = writesResult ? node.output() : node.temporary(byteCount: max(1, outer * count * inner * size))
        let reducer = Reducer(kind: kind, dtype: dtype, rows: rows, stored: source.stored, writesResult: writesResult)
        rows.append(
          to: node, reducer.source, "reduce", [source.argument, target, .int(total)])
        source = (target, .plain)
      }
      groups[index].length = 1
      groups[index].isReduced = false
    }
    return .runs
  }
}

/// One fold of an axis.
private struct Reducer {
  var kind: Reduce.Kind
  var dtype: DType
  var rows: RowKernel
  /// How its operand is stored.
  var stored: RowKernel.Stored
  /// Whether it writes the op's result, not numbers for another fold.
  var writesResult: Bool

  private var start: String {
    switch kind {
    case .sum, .mean, .any: "0"
    case .prod, .all: "1"
    case .max, .logsumexp: dtype.isFloat ? "-INFINITY" : ScalarPrinter.literal(Double(dtype.integerRange?.lowerBound ?? 0), dtype)
    case .min: dtype.isFloat ? "INFINITY" : "\(dtype.integerRange?.upperBound ?? 0)L"
    }
  }

  private func combine(_ a: String, _ b: String) -> String {
    switch kind {
    case .sum, .mean: "\(a) + \(b)"
    case .prod: "\(a) * \(b)"
    // NaN wins.
    case .max, .logsumexp: "((\(b) != \(b)) | (\(b) > \(a))) ? \(b) : \(a)"
    case .min: "((\(b) != \(b)) | (\(b) < \(a))) ? \(b) : \(a)"
    case .any: "\(a) | \(b)"
    case .all: "\(a) & \(b)"
    }
  }

  var source: KernelSource {
    let number = rows.number
    func x(_ access: RowKernel.Access) -> String { access.load("x", rows.place, stored) }
    let fold = rows.fold("value", start: start, combine, isSum: kind == .sum || kind == .mean, x)
    var finish = ""
    if kind == .logsumexp {
      finish = rows.fold("sum", start: "0", { "\($0) + \($1)" }, isSum: true) { "exp(\(x($0)) - value)" }
      finish += "  if (isfinite(value)) value = log(sum) + value;\n"
    }
    if kind == .mean, writesResult { finish += "  value /= total;\n" }
    let store = writesResult ? ScalarPrinter.store(dtype, "y", "row", "value") : "y[row] = value;"
    let result: RowKernel.Stored = writesResult ? .dtype(dtype) : .plain
    return KernelSource(
      """
      kernel void reduce(global const \(stored.type(number)) *x, global \(result.type(number)) *y, int total, \(RowKernel.parameters)) {
      \(rows.prologue)\(fold)\(finish)\(rows.lanes > 1 ? "  if (lane == 0)" : " ") \(store)
      }
      """)
  }
}

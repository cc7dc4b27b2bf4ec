import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let reductions: [Row] = [
    .written(Reduce.self, "ReduceSum, ReduceMean, ReduceProd, ReduceMax, ReduceMin, ReduceLogSumExp") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let dtype = w.type(0).dtype
      let order = op.keepDims ? form.order : kept(form.order, without: op.axes)
      if op.axes.isEmpty { return w.define(0, form.name, order: form.order) }
      let axes = try w.ints(op.axes.map { form.order[$0] }.sorted())
      let name =
        switch op.kind {
        // So that nothing is false, and all of nothing true.
        case .sum, .any: "ReduceSum"
        case .mean: "ReduceMean"
        case .prod, .all: "ReduceProd"
        case .max: "ReduceMax"
        case .min: "ReduceMin"
        case .logsumexp: "ReduceLogSumExp"
        }
      let wide: DType? = dtype == .bool || [.int8, .uint8, .int16].contains(dtype) ? (op.kind == .prod ? .int64 : .int32) : nil
      let result = w.emit(name, [wide.map { w.cast(form.name, $0) } ?? form.name, axes], [("keepdims", .int(op.keepDims ? 1 : 0))])[0]
      let mayBeEmpty = op.axes.contains { (w.type(0).dims[$0].fixed ?? 0) == 0 }
      if let wide, mayBeEmpty, let range = dtype.integerRange, op.kind == .max || op.kind == .min {
        // The limit of the narrow type for nothing.
        let limit = try w.scalar(Double(op.kind == .max ? range.lowerBound : range.upperBound), wide)
        return w.define(0, w.cast(w.one(op.kind == .max ? "Max" : "Min", result, limit), dtype), order: order)
      }
      w.define(0, wide == nil ? result : w.cast(result, dtype), order: order)
    },
    .written(ArgReduce.self, "ArgMax, ArgMin") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let dtype = w.type(0).dtype
      let axis = op.axis < 0 ? op.axis + w.type(0).rank : op.axis
      let name = [.bool, .int16].contains(dtype) ? w.cast(form.name, .int32) : form.name
      let result = w.emit(op.kind == .max ? "ArgMax" : "ArgMin", [name], [("axis", .int(form.order[axis])), ("keepdims", .int(op.keepDims ? 1 : 0))])[0]
      w.define(0, op.dtype == .int64 ? result : w.cast(result, op.dtype), order: op.keepDims ? form.order : kept(form.order, without: [axis]))
    },
    .written(Cumulative.self, "CumSum; products and logarithms of sums in steps of Slice, Pad and Mul over an axis of known length") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let (type, rank) = (w.type(0), w.type(0).rank)
      let logical = op.axis < 0 ? op.axis + rank : op.axis
      let axis = form.order[logical]
      if op.kind == .sum {
        let attributes: [(String, ONNXDraftAttribute)] = [("exclusive", .int(op.exclusive ? 1 : 0)), ("reverse", .int(op.reverse ? 1 : 0))]
        let place = try w.scope.draft.numbers([Double(axis)], .int64, [])
        let isNarrow = [.int8, .uint8, .int16].contains(type.dtype)
        let result = w.emit("CumSum", [isNarrow ? w.cast(form.name, .int32) : form.name, place], attributes)[0]
        return w.define(0, isNarrow ? w.cast(result, type.dtype) : result, order: form.order)
      }
      guard let count = type.dims[logical].fixed else { throw w.unsupported("a running \(op.kind.rawValue) over an axis of open length") }
      guard type.dtype.isFloat || type.dtype == .int32 || type.dtype == .int64 else { throw w.unsupported("a running product of \(type.dtype.name)") }
      let nothing = try w.scalar(op.kind == .prod ? 1 : -.infinity, type.dtype)
      func moved(_ name: String, _ by: Int) throws -> String {
        var pads = [Int](repeating: 0, count: 2 * rank)
        pads[op.reverse ? rank + axis : axis] = by
        let part = op.reverse ? try w.slice(name, axis: axis, by, ONNXNodeWriter.highest) : try w.slice(name, axis: axis, 0, -by)
        return w.one("Pad", part, try w.ints(pads), nothing)
      }
      func joined(_ a: String, _ b: String) throws -> String {
        if op.kind == .prod { return w.one("Mul", a, b) }
        // max + log(1 + exp(−|a − b|)), and the larger where both are infinite.
        let larger = w.one("Max", a, b)
        let distance = w.one("Sub", w.one("Min", a, b), larger)
        let sum = w.one("Add", larger, w.one("Log", w.one("Add", w.one("Exp", distance), try w.scalar(1, type.dtype))))
        return w.one("Where", w.one("IsInf", larger), larger, sum)
      }
      var name = op.exclusive && count > 0 ? try moved(form.name, 1) : form.name
      var step = 1
      while step < count {
        name = try joined(name, try moved(name, step))
        step *= 2
      }
      w.define(0, name, order: form.order)
    },
    .written(TopK.self, "TopK") { op, w in
      let dtype = w.type(0).dtype
      let isNarrow = [.int8, .uint8, .int16].contains(dtype)
      let x = isNarrow ? w.cast(try w.x(0), .int32) : try w.x(0)
      let results = w.emit("TopK", [x, try w.ints([op.k])], [("axis", .int(w.type(0).rank - 1))], results: 2)
      w.define(0, isNarrow ? w.cast(results[0], dtype) : results[0])
      w.define(1, w.cast(results[1], .int32))
    },
    .written(Sort.self, "TopK of all elements") { op, w in
      let dtype = w.type(0).dtype
      let isNarrow = [.int8, .uint8, .int16].contains(dtype)
      let axis = op.axis < 0 ? op.axis + w.type(0).rank : op.axis
      let x = isNarrow ? w.cast(try w.x(0), .int32) : try w.x(0)
      let results = w.emit(
        "TopK", [x, try w.scope.length(w.type(0).dims[axis])], [("axis", .int(axis)), ("largest", .int(op.descending ? 1 : 0))], results: 2)
      w.define(0, isNarrow ? w.cast(results[0], dtype) : results[0])
      w.define(1, w.cast(results[1], .int32))
    },
    .written(Unique.self, "Unique") { op, w in
      let dtype = w.type(0).dtype
      let isWidened = [.int32, .int16, .uint8].contains(dtype)
      let x = isWidened ? w.cast(try w.x(0), .int64) : try w.x(0)
      let results = w.emit("Unique", [x], [("sorted", .int(op.sorted ? 1 : 0))], results: 4)
      w.define(0, isWidened ? w.cast(results[0], dtype) : results[0])
      w.define(1, results[2])
      w.define(2, results[3])
    },
  ]

  /// The order of the axes that are left when some of the graph's are taken away.
  private static func kept(_ order: [Int], without axes: [Int]) -> [Int] {
    let places = order.indices.filter { !axes.contains($0) }.map { order[$0] }
    let sorted = places.sorted()
    return places.map { sorted.firstIndex(of: $0) ?? 0 }
  }
}

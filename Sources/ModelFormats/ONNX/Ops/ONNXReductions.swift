import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let reductions = Family(
    "Reductions and order",
    [
      Row(like: 0, "ReduceSum") { [try reduction($0, .sum)] },
      Row(like: 0, "ReduceProd") { [try reduction($0, .prod)] },
      Row(like: 0, "ReduceMax") { [try reduction($0, .max)] },
      Row(like: 0, "ReduceMin") { [try reduction($0, .min)] },
      Row(like: 0, "ReduceMean") { [try reduction($0, .mean)] },
      Row(like: 0, "ReduceL1") { [try reduction($0, .sum) { call, x in try call.unary(.abs, x) }] },
      Row(like: 0, "ReduceSumSquare") { [try reduction($0, .sum) { call, x in try call.unary(.square, x) }] },
      Row(like: 0, "ReduceL2") { [try reduction($0, .sum, float: true, after: .sqrt) { call, x in try call.unary(.square, x) }] },
      Row(like: 0, "ReduceLogSum") { [try reduction($0, .sum, float: true, after: .log)] },
      Row(like: 0, "ReduceLogSumExp") { [try reduction($0, .logsumexp, float: true)] },
      Row("ArgMax") { [try argReduce($0, .max)] },
      Row("ArgMin") { [try argReduce($0, .min)] },
      Row(like: 0, "CumSum", since: 11) { [try cumulative($0, .sum)] },
      Row(like: 0, "CumProd", since: 26) { [try cumulative($0, .prod)] },
      Row(like: 0, "TopK") { try topK($0) },
    ])

  private static func reduction(
    _ call: ONNXCall, _ kind: Reduce.Kind, float: Bool = false, after: ScalarFunction? = nil,
    before: ((ONNXCall, ValueID) throws -> ValueID)? = nil
  ) throws -> ValueID {
    var x = try call.x(0)
    let type = call.type(x)
    let given = try call.integers("axes", or: 1, "axes") ?? []
    let keep = try call.bool("keepdims", true)
    let isNothing = try call.bool("noop_with_empty_axes") && given.isEmpty
    let axes = isNothing ? [] : given.isEmpty ? Array(0..<type.rank) : try call.axes(given, type.rank)
    var kind = kind
    if type.dtype == .bool { kind = kind == .max ? .any : kind == .min ? .all : kind }
    if float, !type.dtype.isFloat { x = try call.cast(x, .float64) }
    if let before { x = try before(call, x) }
    if !axes.isEmpty {
      if kind == .mean, !type.dtype.isFloat {
        let count = axes.reduce(Dim(1)) { $0 * type.dims[$1] }
        let sum = try call.reduce(.sum, x, axes, keepDims: keep)
        x = try call.quotient(sum, try call.scalar(Double(try call.fixed(count)), type.dtype))
      } else {
        x = try call.reduce(kind, x, axes, keepDims: keep)
      }
    } else if kind == .logsumexp {
      x = try call.unary(.log, try call.unary(.exp, x))
    }
    if let after { x = try call.unary(after, x) }
    return try call.cast(x, type.dtype)
  }

  private static func argReduce(_ call: ONNXCall, _ kind: ArgReduce.Kind) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let axis = try call.axis(try call.int("axis", 0), type.rank)
    let keep = try call.bool("keepdims", true)
    guard try call.bool("select_last_index") else { return try call.add(ArgReduce(kind, axis: axis, keepDims: keep), [x], "arg_reduce") }
    let turned = try call.add(Reverse(axes: [axis]), [x], "reverse")
    let place = try call.add(ArgReduce(kind, axis: axis, keepDims: keep), [turned], "arg_reduce")
    return try call.binary(.sub, try call.scalar(Double(try call.fixed(type.dims[axis]) - 1), .int64), place)
  }

  private static func cumulative(_ call: ONNXCall, _ kind: Cumulative.Kind) throws -> ValueID {
    let x = try call.x(0)
    let axis = try call.axis(try call.integer(1, "an axis"), call.type(x).rank)
    return try call.add(Cumulative(kind, axis: axis, exclusive: try call.bool("exclusive"), reverse: try call.bool("reverse")), [x], "cumulative")
  }

  private static func topK(_ call: ONNXCall) throws -> [ValueID] {
    let x = try call.x(0), rank = call.type(x).rank
    let axis = try call.axis(try call.int("axis", -1), rank)
    if !call.has("k"), try call.input(1).evaluated == nil { return try openTopK(call, x, axis) }
    let k = call.has("k") ? try call.int("k") : try call.integer(1, "a count")
    let order = (0..<rank).filter { $0 != axis } + [axis]
    var back = [Int](repeating: 0, count: rank)
    for (place, axis) in order.enumerated() { back[axis] = place }
    let rows = try call.transpose(x, order)
    if try call.bool("largest", true) {
      let results = try call.addAll(TopK(k: k), [rows], "top_k")
      return [try call.transpose(results[0], back), try call.cast(try call.transpose(results[1], back), .int64)]
    }
    let results = try call.addAll(Sort(axis: rank - 1, descending: false), [rows], "sort")
    guard results.count == 2, (call.type(rows).dims.last?.fixed ?? k) >= k, k >= 0 else { throw call.wrong("k is \(k) for \(call.type(x).message)") }
    let parts = try results.map { try call.transpose(try call.slice($0, axis: rank - 1, 0, k), back) }
    return [parts[0], try call.cast(parts[1], .int64)]
  }

  /// The first of all elements in order, as many as the data say.
  private static func openTopK(_ call: ONNXCall, _ x: ValueID, _ axis: Int) throws -> [ValueID] {
    let results = try call.addAll(Sort(axis: axis, descending: try call.bool("largest", true)), [x], "sort")
    let end = try call.reshape(try call.cast(try call.x(1), .int64), [1])
    let start = try call.numbers([0], [1], .int64, "start")
    var dims = call.type(x).dims
    dims[axis] = try call.dims(1)?.first ?? call.dataSize()
    let parts = try results.map { try call.add(DynamicSlice(axes: [axis], dims: dims), [$0, start, end], "top") }
    return [parts[0], try call.cast(parts[1], .int64)]
  }
}

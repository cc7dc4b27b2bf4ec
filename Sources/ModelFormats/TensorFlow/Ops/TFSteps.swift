import GraphModule
import TensorModule

/// Ops that go through a sequence step by step, as loops over slices.
enum TFSteps {
  /// One step: the call inside the loop, the number of the step, the carried values and the slices.
  typealias Body = (_ call: TFCall, _ number: ValueID, _ carried: [ValueID], _ slices: [ValueID]) throws -> (next: [ValueID], rows: [ValueID])

  /// The carried values after the last step, then the stacked rows.
  ///
  /// - Parameter limit: the number of steps that run; rows behind are zeros. Nil runs all.
  static func run(_ call: TFCall, carried: [ValueID], sliced: [ValueID], limit: TFValue? = nil, _ step: Body) throws -> [ValueID] {
    let outer = call.builder
    let inner = TFBuilder(name: "body", parent: outer)
    let number = try inner.graph.addInput("iteration", TensorType(.int64, []))
    let states = try carried.enumerated().map { try inner.graph.addInput("carried_\($0)", call.type($1)) }
    let slices = try sliced.enumerated().map { index, id in
      let type = call.type(id)
      return try inner.graph.addInput("slice_\(index)", TensorType(type.dtype, Array(type.dims.dropFirst())))
    }
    let child = try TFConverter(continuing: call.converter, builder: inner, diagnostics: TFDiagnostics())
    let results = try step(TFCall(child, call.frame, call.node, call.name, call.inputs), number, states, slices)
    try inner.bindSymbols()
    var operands = carried + sliced + (try inner.captures.map { try outer.id($0) })
    inner.graph.outputs = (results.next + results.rows).enumerated().map { .init(name: "result_\($0)", value: $1) }
    var condition: Graph?
    if let limit {
      var test = Graph(name: "condition")
      let count = test.declareInput("iteration", TensorType(.int64, []))
      for type in carried.map(call.type) + inner.captures.map(\.type) { _ = test.declareInput("given", type) }
      let most = test.declareInput("limit", TensorType(.int64, []))
      _ = inner.graph.declareInput("limit", TensorType(.int64, []))
      test.outputs = [.init(name: "test", value: try test.addOne(Elementwise(.less), [count, most], name: "test"))]
      operands.append(try call.reshape(try call.cast(try outer.id(limit), .int64), []))
      condition = test
    }
    return try call.addAll(Loop(carried: carried.count, sliced: sliced.count, condition: condition, body: inner.graph), operands, "loop").dropLast()
  }

  /// Beams read back from their ends: `GatherTree` of ids and parents [time, batch, beams].
  static func gatherTree(_ call: TFCall) throws -> ValueID {
    let (ids, parents) = (try call.x(0), try call.x(1))
    let dims = call.type(ids).dims
    guard dims.count == 3, call.type(parents).rank == 3 else { throw call.wrong("takes ids and parents of rank 3") }
    let end = try call.x(3)
    let dtype = call.type(parents).dtype
    let one = try call.broadcast(try call.scalar(1, dtype), [dims[1], dims[2]])
    let beams = try call.add(Cumulative(.sum, axis: 1, exclusive: true), [one], "beams")
    let time = try call.reshape(try call.builder.size(dims[0]), [])
    let lengths = try call.binary(.min, try call.cast(try call.x(2), .int64), time)
    let outside = [beams, time, try call.reshape(lengths, [dims[1], 1]), end].map { TFValue.value($0, call.builder, name: "\(call.name)/tree") }
    let reversed = try [ids, parents].map { try call.add(Reverse(axes: [0]), [$0], "reversed") }
    let start = try call.broadcast(try call.scalar(0, dtype), [dims[1], dims[2]])
    let rows = try run(call, carried: [start], sliced: reversed) { step, number, carried, slices in
      let given = try outside.map { try step.builder.id($0) }
      let (beams, time, lengths, end) = (given[0], given[1], given[2], given[3])
      let left = try step.binary(.sub, time, number)
      let isLast = try step.binary(.equal, left, lengths)
      // The step's number is time − 1 − number.
      let isReached = try step.binary(.lessEqual, left, lengths)
      let place = try step.select(isLast, beams, carried[0])
      let pick = Gather(axis: 1, batchDims: 1)
      let row = try step.select(isReached, try step.add(pick, [slices[0], place], "ids"), end)
      let next = try step.select(isReached, try step.add(pick, [slices[1], place], "parents"), carried[0])
      return ([next], [row])
    }
    let all = try call.add(Reverse(axes: [0]), [rows[1]], "rows")
    let isEnd = try call.cast(try call.binary(.equal, all, end), .int32)
    let ends = try call.add(Cumulative(.sum, axis: 0, exclusive: true), [isEnd], "ends")
    return try call.select(try call.binary(.greater, ends, try call.scalar(0, .int32)), end, all)
  }
}

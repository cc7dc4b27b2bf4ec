import TensorModule

/// A loop over carried values: TensorFlow's While, ONNX Loop and Scan, `jax.lax.while_loop` and `scan`.
///
/// Operands: carried values, then sliced values, then captures. An iteration runs `body` on (its number as a scalar int64,
/// the carried values, one slice along axis 0 of each sliced value, the captures); the body gives the carried values
/// anew, then the rows of the stacked results. Before each iteration `condition`, if there is one, is run on (the number,
/// the carried values, the captures) and gives a scalar bool; the loop ends when it is false, when the slices or
/// `max_trips` are used up.
package struct Loop: ControlFlowOp {
  package static let name = "loop"
  package static let summary =
    "runs the body again and again; operands: carried values, sliced values, captures; body(number, carried..., a slice of each sliced value along axis 0, captures...) gives (carried..., a row of each stacked result); condition(number, carried..., captures...) is looked at before each iteration. Results: the carried values, the stacked results (rows that were not reached are 0), the number of iterations as a scalar int64. Carried values keep their shapes"

  /// The number of carried values.
  package var carried: Int
  /// The number of sliced values.
  package var sliced: Int
  /// The most iterations there are; nil leaves it to the slices or the condition.
  package var maxTrips: Int?
  package var condition: Graph?
  package var body: Graph

  package init(carried: Int, sliced: Int = 0, maxTrips: Int? = nil, condition: Graph? = nil, body: Graph) {
    self.carried = carried
    self.sliced = sliced
    self.maxTrips = maxTrips
    self.condition = condition
    self.body = body
  }

  package var attributes: Attributes {
    [
      ("carried", .int(carried)), ("sliced", .int(sliced)), ("max_trips", maxTrips.map { .int($0) } ?? .word("none")),
      ("condition", condition.map { .graph($0) } ?? .word("none")), ("body", .graph(body)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    carried = try reader.int("carried")
    sliced = try reader.int("sliced")
    switch try reader.value("max_trips") {
    case .int(let limit): maxTrips = limit
    case .word("none"): maxTrips = nil
    default: throw KilnError(.badInput, "op 'loop': max_trips must be an integer or none")
    }
    switch try reader.value("condition") {
    case .graph(let graph): condition = graph
    case .word("none"): condition = nil
    default: throw KilnError(.badInput, "op 'loop': condition must be a graph or none")
    }
    body = try reader.graph("body")
  }

  package var subgraphs: [Graph] { (condition.map { [$0] } ?? []) + [body] }

  package func replacing(subgraphs: [Graph]) -> Loop {
    var copy = self
    if condition != nil { copy.condition = subgraphs.first }
    copy.body = subgraphs.last ?? body
    return copy
  }

  /// The number of results that are stacked rows.
  package var stacked: Int { max(0, body.outputs.count - carried) }

  /// The types of the body's inputs for the operands' types.
  package func bodyInputs(_ inputs: [TensorType]) -> [TensorType] {
    let slices = inputs[carried..<carried + sliced].map { TensorType($0.dtype, Array($0.dims.dropFirst())) }
    return [TensorType(.int64, [])] + inputs[..<carried] + slices + inputs[(carried + sliced)...]
  }

  /// The types of the condition's inputs for the operands' types.
  package func conditionInputs(_ inputs: [TensorType]) -> [TensorType] {
    [TensorType(.int64, [])] + inputs[..<carried] + inputs[(carried + sliced)...]
  }

  /// The most iterations for the operands' types, where something but the condition bounds them.
  package func bound(_ inputs: [TensorType]) -> Dim? { sliced > 0 ? inputs[carried].dims[0] : maxTrips.map { Dim($0) } }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.that(
      carried >= 0 && sliced >= 0 && carried <= inputs.count && sliced <= inputs.count - carried, Self.name,
      "\(carried) carried and \(sliced) sliced values for \(inputs.count) operands")
    try Expect.that((maxTrips ?? 0) >= 0, Self.name, "max_trips must not be negative")
    try Expect.that(
      sliced > 0 || maxTrips != nil || condition != nil, Self.name, "nothing ends it: no slices, max_trips or condition")
    for index in carried..<carried + sliced {
      try Expect.rank(inputs[index], 1...maximumRank, Self.name, "a sliced value")
      try Expect.equal(inputs[carried].dims[0], inputs[index].dims[0], Self.name, "the lengths of the sliced values")
    }
    if let condition {
      let types = try condition.outputTypes(for: conditionInputs(inputs), Self.name)
      try Expect.that(
        types == [TensorType(.bool, [])], Self.name,
        "the condition must give one scalar bool, found \(types.map(\.message).joined(separator: ", "))")
    }
    let types = try body.outputTypes(for: bodyInputs(inputs), Self.name)
    try Expect.that(types.count >= carried, Self.name, "the body has \(types.count) outputs for \(carried) carried values")
    for index in 0..<carried {
      let (given, made) = (inputs[index], types[index])
      try Expect.that(
        given.dtype == made.dtype && given.rank == made.rank, Self.name,
        "carried value \(index) is \(given.message) and becomes \(made.message)")
      for (a, b) in zip(given.dims, made.dims) { try Expect.equal(a, b, Self.name, "the dims of carried value \(index)") }
    }
    let rows = try types[carried...].map { type in
      guard let bound = bound(inputs) else {
        throw KilnError(.badInput, "op 'loop': stacked results need slices or max_trips")
      }
      try Expect.rank(type, 0...(maximumRank - 1), Self.name, "a row of a stacked result")
      return TensorType(type.dtype, [bound] + type.dims)
    }
    return inputs[..<carried] + rows + [TensorType(.int64, [])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    var values = Array(inputs[..<carried])
    let slices = Array(inputs[carried..<carried + sliced])
    let captures = Array(inputs[(carried + sliced)...])
    let bound = min(slices.first?.shape[0] ?? Int.max, maxTrips ?? Int.max)
    var rows = [[ReferenceTensor]](repeating: [], count: stacked)
    let limit = bound == Int.max ? min(LoopLimit.reference, LoopLimit.unbounded) : LoopLimit.reference
    var trips = 0
    while trips < bound {
      let number = ReferenceTensor(.int64, [], .integers([Int64(trips)]))
      if let condition {
        guard try ReferenceBackend.run(condition, [number] + values + captures)[0].integers[0] != 0 else { break }
      }
      guard trips < limit else { throw LoopLimit.exceeded(limit) }
      let slice = slices.map { $0.row(trips) }
      let results = try ReferenceBackend.run(body, [number] + values + slice + captures)
      values = Array(results[..<carried])
      for index in rows.indices { rows[index].append(results[carried + index]) }
      trips += 1
    }
    let stacks = try zip(rows, outputs[carried...]).map { rows, type in
      ReferenceTensor.stack(rows, type.dtype, try Expect.shape(type, Self.name))
    }
    return values + stacks + [ReferenceTensor(.int64, [], .integers([Int64(trips)]))]
  }

  /// The work of all iterations, as far as something bounds them; else of one.
  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let once = body.flops(bodyInputs(inputs)) + (condition?.flops(conditionInputs(inputs)) ?? 0)
    let trips = min(bound(inputs)?.fixed ?? 1, maxTrips ?? Int.max)
    let (product, overflow) = once.multipliedReportingOverflow(by: max(trips, 0))
    return overflow ? Int.max : product
  }
}

extension ReferenceTensor {
  /// Row `index` along axis 0.
  package func row(_ index: Int) -> ReferenceTensor {
    let shape = Array(self.shape.dropFirst())
    let size = shape.elementCount
    let range = index * size..<(index + 1) * size
    let storage: Storage =
      switch self.storage {
      case .floats(let values): .floats(Array(values[range]))
      case .integers(let values): .integers(Array(values[range]))
      case .strings(let values): .strings(Array(values[range]))
      }
    return ReferenceTensor(dtype, shape, storage)
  }

  /// Rows one after the other; what they leave of `shape` is 0, false or an empty string.
  package static func stack(_ rows: [ReferenceTensor], _ dtype: DType, _ shape: Shape) -> ReferenceTensor {
    let count = shape.elementCount
    func filled<Element>(_ values: [Element], _ fill: Element) -> [Element] {
      values + [Element](repeating: fill, count: max(0, count - values.count))
    }
    if dtype == .string {
      let values: [ByteString] = rows.flatMap { row -> [ByteString] in
        if case .strings(let items) = row.storage { items } else { [] }
      }
      return ReferenceTensor(dtype, shape, .strings(filled(values, ByteString(""))))
    }
    return dtype.isFloat
      ? ReferenceTensor(dtype, shape, .floats(filled(rows.flatMap(\.numbers), 0)))
      : ReferenceTensor(dtype, shape, .integers(filled(rows.flatMap(\.integers), 0)))
  }
}

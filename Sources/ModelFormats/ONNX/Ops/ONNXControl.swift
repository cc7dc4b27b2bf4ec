import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let control = Family(
    "Branches and loops",
    [
      Row(values: "If") { try ONNXSubgraph(call: $0).branch() },
      Row(values: "Loop") { try ONNXLoop($0).build() },
      Row(values: "Scan", since: 9) { try scan($0) },
    ])

  /// A loop over slices whose results are stacked.
  private static func scan(_ call: ONNXCall) throws -> [ONNXValue] {
    let body = try call.graph("body")
    let count = try call.int("num_scan_inputs")
    guard count >= 1, count <= call.inputs.count, body.inputs.count == call.inputs.count else {
      throw call.wrong("its body has \(body.inputs.count) inputs for \(call.inputs.count) operands, \(count) of them scanned")
    }
    let states = call.inputs.count - count
    guard body.outputs.count >= states else { throw call.wrong("its body has \(body.outputs.count) outputs for \(states) states") }
    let stacked = body.outputs.count - states
    func list(_ key: String, _ length: Int) throws -> [Int] {
      let values = try call.ints(key, [Int](repeating: 0, count: length))
      guard values.count == length else { throw call.wrong("\(key) must have \(length) numbers, found \(values.count)") }
      return values
    }
    let (inAxes, outAxes) = (try list("scan_input_axes", count), try list("scan_output_axes", stacked))
    let (inTurned, outTurned) = (try list("scan_input_directions", count), try list("scan_output_directions", stacked))
    var operands = try (0..<states).map { try call.x($0) }
    for index in 0..<count {
      var x = try call.x(states + index)
      let rank = call.type(x).rank
      let axis = try call.axis(inAxes[index], rank)
      x = try call.transpose(x, [axis] + (0..<rank).filter { $0 != axis })
      operands.append(inTurned[index] == 0 ? x : try call.add(Reverse(axes: [0]), [x], "reverse"))
    }
    let elements = try call.inputs.indices.map { try call.element($0) }
    let part = ONNXSubgraph(call: call)
    let types = operands.map { call.type($0) }
    let made = try part.graph(
      body, "body",
      inputs: [(nil, TensorType(.int64, []), ONNXDataType(.int64))]
        + body.inputs.indices.map { index in
          let type = types[index]
          return (body.inputs[index].name, index < states ? type : TensorType(type.dtype, Array(type.dims.dropFirst())), elements[index])
        })
    guard let made else { throw call.failure }
    let captures = try made.captures.map { try call.builder.id($0) }
    let results = try call.addAll(Loop(carried: states, sliced: count, body: made.finished(made.captures)), operands + captures, "loop")
    return try (0..<body.outputs.count).map { index in
      var result = results[index]
      if index >= states {
        if outTurned[index - states] != 0 { result = try call.add(Reverse(axes: [0]), [result], "reverse") }
        let rank = call.type(result).rank
        let axis = try call.axis(outAxes[index - states], rank)
        var order = Array(1..<rank)
        order.insert(0, at: axis)
        result = try call.transpose(result, order)
      }
      return call.result(result, made.elements[index], index)
    }
  }
}

/// Graphs in a node's attributes as graphs of their own.
struct ONNXSubgraph {
  let call: ONNXCall

  /// A graph that was converted for itself.
  struct Made {
    let builder: ImportBuilder
    let own: [ValueID]
    let outputs: [ImportedValue]
    let elements: [ONNXDataType]

    var captures: [ImportedValue] { builder.captures }

    /// The graph, which takes the given captures behind its own inputs.
    func finished(_ captures: [ImportedValue]) throws -> Graph {
      let ids = try captures.map { try builder.id($0) }
      var graph = builder.graph
      graph.setInputs(own + ids)
      return graph
    }
  }

  /// Converts a graph.
  ///
  /// - Parameter inputs: its inputs; one without a name is read by nothing.
  /// - Returns: nil when a problem, which is noted, stands in the way.
  func graph(
    _ graph: ONNXGraph, _ name: String, inputs: [(name: String?, type: TensorType, element: ONNXDataType)],
    _ diagnostics: TFDiagnostics? = nil
  ) throws -> Made? {
    let builder = ImportBuilder(name: name, parent: call.builder)
    let scope = ONNXScope(graph, builder, opsets: call.scope.opsets, parent: call.scope, prefix: "")
    var own: [ValueID] = []
    for input in inputs {
      let value = try builder.addInput(input.name ?? "number", input.type)
      if let name = input.name { scope.bind(name, .tensor(value, input.element)) }
      own.append(try builder.id(value))
    }
    let converter = try ONNXConverter(inside: call.converter, builder: builder, diagnostics: diagnostics)
    let values = try converter.run(graph.nodes, scope, wanted: graph.outputs.map(\.name))
    let made = values.compactMap { $0 }
    guard made.count == values.count else { return nil }
    let outputs = try made.map { try call.tensor($0) }
    var ids: [ValueID] = []
    for (output, info) in zip(outputs, graph.outputs) {
      let id = try builder.id(output.0)
      ids.append(id)
      builder.graph.outputs.append(Graph.Output(name: info.name, value: id))
    }
    try builder.bindSymbols()
    return Made(builder: builder, own: own, outputs: outputs.map(\.0), elements: outputs.map(\.1))
  }

  /// Converts a graph in the place of its node.
  func inlined(_ graph: ONNXGraph, _ prefix: String, inputs: [ONNXValue] = []) throws -> [ONNXValue]? {
    let scope = ONNXScope(graph, call.builder, opsets: call.scope.opsets, parent: call.scope, prefix: "\(call.name)/\(prefix)/")
    guard graph.inputs.count == inputs.count else { throw call.wrong("its graph has \(graph.inputs.count) inputs for \(inputs.count) values") }
    for (info, value) in zip(graph.inputs, inputs) { scope.bind(info.name, value) }
    let converter = try ONNXConverter(inside: call.converter, builder: call.builder)
    let values = try converter.run(graph.nodes, scope, wanted: graph.outputs.map(\.name))
    let made = values.compactMap { $0 }
    return made.count == values.count ? made : nil
  }

  /// `If`: the branch that a known condition picks, or both.
  func branch() throws -> [ONNXValue] {
    let condition = try call.input(0)
    let (yes, no) = (try call.graph("then_branch"), try call.graph("else_branch"))
    if let known = condition.evaluated {
      guard known.count == 1, known.dtype == .bool else { throw call.wrong("its condition must be one bool, found \(condition.type.message)") }
      let isTrue = known.integers.first != 0
      guard let results = try inlined(isTrue ? yes : no, isTrue ? "then" : "else") else { throw call.failure }
      return results
    }
    guard let first = try graph(yes, "then", inputs: []), let second = try graph(no, "else", inputs: []) else { throw call.failure }
    var captures = first.captures
    for value in second.captures where !captures.contains(where: { $0 === value }) { captures.append(value) }
    let selector = try call.reshape(try call.builder.id(condition), [])
    let operands = try captures.map { try call.builder.id($0) }
    let results = try call.addAll(
      Branch(then: try first.finished(captures), otherwise: try second.finished(captures)), [selector] + operands, "branch")
    return results.enumerated().map { call.result($1, first.elements[$0], $0) }
  }
}

/// ONNX's `Loop`.
struct ONNXLoop {
  private let call: ONNXCall
  private let body: ONNXGraph
  private let initial: [ONNXValue]

  /// How many iterations are written out, and how many nodes they may add.
  static let maximumTrips = 2048
  static let maximumNodes = 100_000

  init(_ call: ONNXCall) throws {
    self.call = call
    body = try call.graph("body")
    guard call.inputs.count >= 2 else { throw call.wrong("has \(call.inputs.count) inputs; at least 2 are needed") }
    initial = try (2..<call.inputs.count).map { try call.value($0) }
    guard body.inputs.count == initial.count + 2, body.outputs.count >= initial.count + 1 else {
      throw call.wrong("its body has \(body.inputs.count) inputs and \(body.outputs.count) outputs for \(initial.count) variables")
    }
  }

  private var stacked: Int { body.outputs.count - 1 - initial.count }

  func build() throws -> [ONNXValue] {
    let trips = try call.has(0) ? call.input(0).evaluated?.integers.first.map { max(Int($0), 0) } : Int.max
    let isTensor = initial.allSatisfy { if case .tensor = $0 { true } else { false } }
    if trips == 0, stacked == 0 { return initial }
    // Lists grow, and values may change their shapes: then every iteration is written out.
    if isTensor {
      let trial = TFDiagnostics()
      do {
        let results = try loop(trips, trial)
        call.converter.diagnostics.merge(trial)
        return results
      } catch let error as KilnError {
        guard let trips, trips <= ONNXLoop.maximumTrips, error.code != .internal else {
          call.converter.diagnostics.merge(trial)
          throw error
        }
        return try unrolled(trips)
      }
    }
    return try unrolled(trips ?? Int.max)
  }

  // MARK: As a loop

  private func loop(_ trips: Int?, _ diagnostics: TFDiagnostics) throws -> [ONNXValue] {
    let values = try initial.map { try call.tensor($0) }
    let carried = try values.map { try call.builder.id($0.0) }
    let truth = TensorType(.bool, [])
    let inputs: [(name: String?, type: TensorType, element: ONNXDataType)] =
      [(body.inputs[0].name, TensorType(.int64, []), ONNXDataType(.int64)), (body.inputs[1].name, truth, ONNXDataType(.bool))]
      + values.indices.map { (body.inputs[$0 + 2].name, call.type(carried[$0]), values[$0].1) }
    // The body gets the condition as a carried value, which it may hand on.
    guard let made = try ONNXSubgraph(call: call).graph(body, "body", inputs: inputs, diagnostics) else { throw call.failure }
    let going = made.outputs[0]
    let isPassed = going === boundCondition(made)
    let goesOn = isPassed || going.evaluated.map { $0.count == 1 && $0.integers.first != 0 } ?? false
    let start: ValueID? = call.has(1) ? try call.reshape(try call.x(1), []) : nil
    let startKnown = try call.has(1) ? call.input(1).evaluated?.integers.first : 1
    guard made.builder.graph.outputs.count == body.outputs.count else { throw KilnError(.internal, "a body lost outputs") }
    let counters = ONNXLoopCounters(made, values.map(\.0))
    // Whether only the number of trips ends it.
    let isCounted = try startKnown == 1 && (goesOn || counters.holds(for: trips))
    if trips == nil || trips == Int.max, !call.has(0), isCounted { throw call.wrong("nothing ends the loop") }
    let first = try start ?? call.builder.scalar(1, .bool)
    // Conditions may be [1].
    let test = made.builder.graph.outputs[0].value
    if made.builder.graph.type(of: test).rank > 0 {
      made.builder.graph.outputs[0].value = try made.builder.graph.addOne(Reshape([]), [test], name: "condition")
    }
    let known = trips.flatMap { $0 == Int.max ? nil : $0 }
    if isCounted, let known, (1...ONNXLoop.maximumTrips).contains(known) { return try counted(made, carried, counters, known) }
    var sliced: [ValueID] = []
    var extra: [ImportedValue] = []
    if stacked > 0, known == nil {
      guard call.has(0) else { throw call.unsupported("results of every iteration of a loop without a number of trips") }
      // As many slices as trips.
      let limit = try call.reshape(try call.cast(try call.x(0), .int64), [])
      sliced = [try call.add(DynamicRange(call.dataSize()), [try call.scalar(0, .int64), limit, try call.scalar(1, .int64)], "range")]
    } else if known == nil, call.has(0) {
      extra = [try call.input(0)]
    }
    var condition: Graph?
    let captures = made.captures + extra.filter { value in !made.captures.contains { $0 === value } }
    if !isCounted || !extra.isEmpty {
      let builder = ImportBuilder(name: "condition", parent: call.builder)
      let number = try builder.addInput("number", TensorType(.int64, []))
      let on = try builder.addInput("condition", truth)
      var own = [try builder.id(number), try builder.id(on)]
      for (index, id) in carried.enumerated() { own.append(try builder.id(try builder.addInput("value_\(index)", call.type(id)))) }
      var result = own[1]
      if let limit = extra.first {
        let flat = try builder.graph.addOne(Reshape([]), [try builder.id(limit)], name: "limit")
        let wide = builder.graph.type(of: flat).dtype == .int64 ? flat : try builder.graph.addOne(Cast(.int64), [flat], name: "limit")
        let below = try builder.graph.addOne(Elementwise(.less), [own[0], wide], name: "below")
        result = try builder.graph.addOne(Elementwise(.and), [result, below], name: "goes_on")
      }
      let ids = try captures.map { try builder.id($0) }
      builder.graph.setInputs(own + ids)
      builder.graph.outputs = [Graph.Output(name: "goes_on", value: result)]
      condition = builder.graph
    }
    var finished = try made.finished(captures)
    if !sliced.isEmpty {
      let slice = finished.declareInput("slice", TensorType(.int64, []))
      let inputs = finished.inputs.filter { $0 != slice }
      finished.setInputs(Array(inputs[..<(carried.count + 2)]) + [slice] + Array(inputs[(carried.count + 2)...]))
    }
    let operands = try captures.map { try call.builder.id($0) }
    let op = Loop(carried: carried.count + 1, sliced: sliced.count, maxTrips: known, condition: condition, body: finished)
    var results = try call.addAll(op, [first] + carried + sliced + operands, "loop")
    guard let count = results.popLast() else { throw KilnError(.internal, "a loop has no results") }
    results.removeFirst()
    return try results.enumerated().map { index, value in
      guard index >= carried.count, !isCounted else { return call.result(value, made.elements[index + 1], index) }
      // Rows that were not reached are cut off.
      let end = try call.reshape(count, [1])
      var dims = call.type(value).dims
      dims[0] = call.dataSize()
      let cut = try call.add(DynamicSlice(axes: [0], dims: dims), [value, try call.numbers([0], [1], .int64, "start"), end], "rows")
      return call.result(cut, made.elements[index + 1], index)
    }
  }

  /// The loop of a known number of trips that nothing else ends.
  private func counted(_ made: ONNXSubgraph.Made, _ carried: [ValueID], _ counters: ONNXLoopCounters, _ trips: Int) throws -> [ONNXValue] {
    let found = try ONNXCountedLoop(try made.finished(made.captures), made, counters, count: carried.count, trips: trips)
    let captures = try made.captures.map { try call.builder.id($0) }
    let operands = found.carried.map { carried[$0] } + found.sliced.map { captures[$0] } + found.captures.map { captures[$0] }
    // As many slices as trips.
    let op = Loop(carried: found.carried.count, sliced: found.sliced.count, maxTrips: found.sliced.isEmpty ? trips : nil, body: found.body)
    let results = try call.addAll(op, operands, "loop")
    var values: [ONNXValue] = []
    for place in carried.indices {
      let id =
        if let kept = found.carried.firstIndex(of: place) { results[kept] } else if let tensor = found.finals[place] {
          call.constant(tensor, "final")
        } else { throw KilnError(.internal, "a loop lost a carried value") }
      values.append(call.result(id, made.elements[place + 1], place))
    }
    for (index, id) in results.dropLast().dropFirst(found.carried.count).enumerated() {
      values.append(call.result(id, made.elements[carried.count + index + 1], carried.count + index))
    }
    return values
  }

  /// The body's input for the condition, as the value that its output may be.
  private func boundCondition(_ made: ONNXSubgraph.Made) -> ImportedValue? {
    made.outputs.first.flatMap { output in output.id == made.own[1] ? output : nil }
  }

  // MARK: Written out

  private func unrolled(_ trips: Int) throws -> [ONNXValue] {
    var values = initial
    var rows = [[ONNXValue]](repeating: [], count: stacked)
    let before = call.builder.graph.nodes.count
    func isTrue(_ value: ONNXValue) throws -> Bool {
      guard let known = try call.tensor(value).0.evaluated, known.count == 1 else {
        throw call.unsupported("a loop whose values change their shapes and whose number of iterations depends on the data")
      }
      return known.integers.first != 0
    }
    var goesOn = try call.has(1) ? isTrue(try call.value(1)) : true
    var number = 0
    while goesOn, number < trips {
      guard number < ONNXLoop.maximumTrips, call.builder.graph.nodes.count - before <= ONNXLoop.maximumNodes else {
        throw call.unsupported("a loop of more than \(ONNXLoop.maximumTrips) iterations or \(ONNXLoop.maximumNodes) nodes whose values change their shapes")
      }
      let counter = ONNXValue.plain(.constant(try Tensor([Int64(number)], shape: []), call.builder, name: "\(call.name)/number_\(number)"))
      let on = ONNXValue.plain(.constant(try Tensor([true], shape: []), call.builder, name: "\(call.name)/on_\(number)"))
      guard let results = try ONNXSubgraph(call: call).inlined(body, "\(number)", inputs: [counter, on] + values) else { throw call.failure }
      goesOn = try isTrue(results[0])
      values = Array(results[1..<1 + initial.count])
      for index in rows.indices { rows[index].append(results[1 + initial.count + index]) }
      number += 1
    }
    let stacks = try rows.map { items -> ONNXValue in
      guard let first = items.first else { throw call.unsupported("a loop without iterations that stacks results") }
      let element = try call.tensor(first).1
      let parts = try items.map { try call.expand(try call.builder.id(try call.tensor($0).0), 0) }
      return call.result(try call.concat(parts, axis: 0), element)
    }
    return values + stacks
  }
}

extension ONNXCall {
  /// The problem of a node whose graphs have problems, which are noted.
  var failure: KilnError { KilnError(.unsupportedModel, "its graphs are not read") }
}

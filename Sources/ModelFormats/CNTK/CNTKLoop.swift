import GraphModule
import TensorModule

/// Functions that feed each other through delays, as a loop over time.
///
/// A step of the loop has the values of one time for all sequences: no time axis. A delay by n steps is n carried values, which
/// hold the initial state at first. `FutureValue` runs from the end: the padding comes first, and leaves the states alone.
struct CNTKLoop {
  /// What stands for problems that are noted already.
  static let noted = "a loop's functions have problems"
  private static let maximumSteps = 64
  private static let maximumTries = 6

  private let converter: CNTKConverter
  private let group: Set<Int>
  /// Functions of the group that are in no circle.
  private let projections: Set<Int>
  private let delays: [Int]
  private let isBackward: Bool
  /// The functions of one step but for the delays, in order.
  private let order: [Int]

  private var graph: CNTKGraph { converter.graph }
  private func function(_ index: Int) -> CNTKFunction { graph.model.functions[index] }

  init(_ converter: CNTKConverter, _ group: CNTKGraph.Group) throws {
    self.converter = converter
    let functions = converter.graph.model.functions
    let inner = Set(group.functions)
    self.group = try CNTKLoop.withProjections(converter, inner)
    projections = self.group.subtracting(inner)
    delays = group.functions.filter { functions[$0].isDelay }
    isBackward = delays.contains { functions[$0].op == "FutureValue" }
    guard !delays.isEmpty else {
      let names = group.functions.prefix(4).map { KilnError.quoted(functions[$0].title) }.joined(separator: ", ")
      throw KilnError(.badInput, "functions \(names) feed each other in a circle without a delay")
    }
    if isBackward, delays.contains(where: { functions[$0].op == "PastValue" }) {
      throw KilnError(.unsupportedModel, "a recurrence that looks both back and ahead is not supported")
    }
    order = try CNTKLoop.sorted(converter.graph, self.group)
  }

  /// The group with the products and sums outside the circles that only it reads: a layer's kernel and bias belong to its step, where
  /// the optimizer knows the layer by them.
  private static func withProjections(_ converter: CNTKConverter, _ group: Set<Int>) throws -> Set<Int> {
    let graph = converter.graph
    var all = group
    var open = group.sorted()
    while let index = open.popLast() {
      for uid in graph.model.functions[index].inputs {
        let source = try graph.source(uid)
        guard case .result(let operand, _) = source, !all.contains(operand), ["Times", "Plus", "Slice"].contains(graph.model.functions[operand].op),
          !converter.isRead(source, outside: all), case .value(let value)? = try? converter.find(source), value.axes.sequence != nil,
          !graph.model.functions[index].isDelay
        else { continue }
        all.insert(operand)
        open.append(operand)
      }
    }
    return all
  }

  /// The functions without the delays, each after those that it reads in the same step.
  private static func sorted(_ graph: CNTKGraph, _ group: Set<Int>) throws -> [Int] {
    var order: [Int] = []
    var state: [Int: Int] = [:]
    for start in group.sorted() where !graph.model.functions[start].isDelay && state[start] == nil {
      var stack = [start]
      while let top = stack.last {
        if state[top] == 2 {
          stack.removeLast()
          continue
        }
        if state[top] == 1 {
          stack.removeLast()
          state[top] = 2
          order.append(top)
          continue
        }
        state[top] = 1
        for uid in graph.model.functions[top].inputs {
          guard case .result(let operand, _) = try graph.source(uid), group.contains(operand), !graph.model.functions[operand].isDelay else { continue }
          if state[operand] == 1 {
            throw KilnError(
              .badInput, "functions \(KilnError.quoted(graph.model.functions[operand].title)) and \(KilnError.quoted(graph.model.functions[top].title)) feed each other in a circle without a delay")
          }
          if state[operand] == nil { stack.append(operand) }
        }
      }
    }
    return order
  }

  /// What a loop needs of one delay.
  private struct Delay {
    var function: Int
    var steps: Int
    var source: CNTKGraph.Source
    var initial: CNTKValue
    /// The dims of one step of it without the batch.
    var shape: [Dim]
    var dtype: DType
  }

  func build() throws {
    let outside = try outsideValues()
    var sequence: CNTKSequence?
    for (_, value) in outside {
      guard let found = value.axes.sequence else { continue }
      if let other = sequence, other !== found {
        throw KilnError(.unsupportedModel, "a recurrence over the sequence axes \(KilnError.quoted(other.name)) and \(KilnError.quoted(found.name)) is not supported")
      }
      sequence = found
    }
    guard let sequence else { throw KilnError(.unsupportedModel, "a recurrence that reads no sequence is not supported") }
    var delays = try delays.map { try delay($0) }
    for _ in 0..<CNTKLoop.maximumTries {
      let diagnostics = TFDiagnostics()
      let step = try CNTKLoopStep(self.converter, diagnostics, outside: outside)
      let isSettled = try attempt(step, &delays, sequence)
      if isSettled || !diagnostics.isEmpty {
        converter.diagnostics.merge(diagnostics)
        for delay in delays { converter.diagnostics.count(function(delay.function).op) }
        if !diagnostics.isEmpty { throw KilnError(.internal, CNTKLoop.noted) }
        return
      }
    }
    throw KilnError(.badInput, "the shapes in a recurrence never settle")
  }

  /// The values from outside that the group reads, sequences first.
  private func outsideValues() throws -> [(source: CNTKGraph.Source, value: CNTKValue)] {
    var found: [(CNTKGraph.Source, CNTKValue)] = []
    var seen: Set<CNTKGraph.Source> = []
    for index in order {
      for uid in function(index).inputs {
        let source = try graph.source(uid)
        if case .result(let operand, _) = source, group.contains(operand) { continue }
        guard seen.insert(source).inserted else { continue }
        guard case .value(let value) = try converter.find(source) else { throw KilnError(.internal, CNTKLoop.noted) }
        found.append((source, value))
      }
    }
    return found.filter { $0.1.axes.sequence != nil } + found.filter { $0.1.axes.sequence == nil }
  }

  private func delay(_ index: Int) throws -> Delay {
    let node = function(index)
    guard node.inputs.count == 2 else { throw KilnError(.badInput, "a delay has \(node.inputs.count) inputs instead of 2") }
    let source = try graph.source(node.inputs[0])
    guard case .result(let made, _) = source, group.contains(made) else {
      throw KilnError(.unsupportedModel, "a recurrence through an initial state is not supported")
    }
    guard case .value(let initial) = try converter.find(try graph.source(node.inputs[1])) else { throw KilnError(.internal, CNTKLoop.noted) }
    guard initial.axes.sequence == nil else { throw KilnError(.unsupportedModel, "an initial state that is a sequence is not supported") }
    let steps = node.attributes["offset"]?.int ?? 1
    guard (1...CNTKLoop.maximumSteps).contains(steps) else {
      throw KilnError(.unsupportedModel, "a delay of \(steps) steps in a recurrence is not supported; at most \(CNTKLoop.maximumSteps) are")
    }
    let declared = [node.inputs[0], function(made).result(0)].lazy.compactMap { graph.declaration($0) }.first { variable in
      !variable.shape.dims.contains { $0 < 0 } && variable.shape.dims.count < maximumRank
    }
    let shape = declared.map { $0.shape.rowMajor.map { Dim($0) } } ?? initial.shape
    return Delay(function: index, steps: steps, source: source, initial: initial, shape: shape, dtype: initial.value.type.dtype)
  }

  /// Converts a step with what is thought of the delays' shapes.
  ///
  /// - Returns: whether they were right; the loop is then in the graph. Otherwise they are put right.
  private func attempt(_ step: CNTKLoopStep, _ delays: inout [Delay], _ sequence: CNTKSequence) throws -> Bool {
    let builder = step.builder
    var own = [try builder.id(try builder.addInput("number", TensorType(.int64, [])))]
    var states: [[ValueID]] = []
    for delay in delays {
      let type = TensorType(delay.dtype, [converter.batch] + delay.shape)
      let values = try (0..<delay.steps).map { try builder.addInput("\(graph.names[delay.function])/state_\($0)", type) }
      states.append(try values.map { try builder.id($0) })
      own += states[states.count - 1]
      guard let last = values.last else { continue }
      step.bind(.result(function: delay.function, index: 0), CNTKValue(value: last, axes: .batch))
    }
    let call = CNTKCall(converter, function(delays[0].function), builder.parent?.free(graph.names[delays[0].function]) ?? "loop", [])
    var sliced: [ValueID] = []
    for (source, value) in step.outside where value.axes.sequence != nil {
      own.append(try step.slice(source, value))
      sliced.append(try timeFirst(call, value))
    }
    var mask: ValueID?
    if isBackward {
      let id = try sequence.mask(call)
      let input = try builder.addInput("within", TensorType(.bool, [call.type(id).dims[0]]))
      mask = try builder.id(input)
      own.append(try builder.id(input))
      sliced.append(try timeFirst(call, CNTKValue(value: .value(id, converter.builder, name: "mask"), axes: CNTKAxes(hasBatch: true, sequence: sequence))))
    }
    for index in order { step.converter.convert(index, isCounted: !projections.contains(index)) }
    guard step.isSound else { return false }
    // What the delays get.
    var isSettled = true
    var nexts: [ValueID] = []
    for index in delays.indices {
      guard case .value(let value) = try step.converter.find(delays[index].source) else { return false }
      guard value.shape == delays[index].shape, value.value.type.dtype == delays[index].dtype else {
        delays[index].shape = value.shape
        delays[index].dtype = value.value.type.dtype
        isSettled = false
        continue
      }
      let inner = CNTKCall(step.converter, function(delays[index].function), "\(graph.names[delays[index].function])/next", [])
      let all = CNTKValue(value: .value(states[index][0], builder, name: "state"), axes: .batch)
      let new = try inner.full(value, .batch, like: all)
      nexts.append(try kept(inner, new, states[index][0], mask))
      for place in 1..<max(1, delays[index].steps) { nexts.append(try kept(inner, states[index][place - 1], states[index][place], mask)) }
    }
    guard isSettled else { return false }
    try emit(step, delays, own, nexts, sliced, mask, call, sequence)
    return true
  }

  /// The new state where the step is within the sequence.
  private func kept(_ call: CNTKCall, _ new: ValueID, _ old: ValueID, _ mask: ValueID?) throws -> ValueID {
    guard let mask else { return new }
    let dims = call.type(mask).dims + call.type(new).dims.dropFirst().map { _ in 1 }
    return try call.select(try call.reshape(mask, dims), new, old)
  }

  /// A sequence as slices in the order of the steps.
  private func timeFirst(_ call: CNTKCall, _ value: CNTKValue) throws -> ValueID {
    let id = try call.builder.id(value.value)
    let rank = call.type(id).rank
    guard value.axes.hasBatch else { throw call.unsupported("a sequence without a batch axis") }
    let turned = try call.transpose(id, [1, 0] + Array(2..<max(2, rank)))
    return isBackward ? try call.add(Reverse(axes: [0]), [turned], "reverse") : turned
  }

  private func emit(
    _ step: CNTKLoopStep, _ delays: [Delay], _ own: [ValueID], _ nexts: [ValueID], _ sliced: [ValueID], _ mask: ValueID?, _ call: CNTKCall,
    _ sequence: CNTKSequence
  ) throws {
    let builder = step.builder
    var stacked: [CNTKGraph.Source] = []
    var outputs = nexts.enumerated().map { Graph.Output(name: "state_\($0)", value: $1) }
    for index in order + delays.map(\.function) {
      for result in 0..<2 {
        let source = CNTKGraph.Source.result(function: index, index: result)
        guard step.converter.values[source] != nil, converter.isRead(source, outside: group) else { continue }
        guard case .value(let value) = try step.converter.find(source) else { continue }
        let inner = CNTKCall(step.converter, function(index), "\(graph.names[index])/row", [])
        let like = CNTKValue(value: .value(own[1], builder, name: "state"), axes: .batch)
        let row = try inner.full(value, .batch, like: like)
        // Behind the sequences there is nothing.
        let nothing = try inner.zero(inner.type(row).dtype)
        outputs.append(Graph.Output(name: "row_\(stacked.count)", value: try kept(inner, row, nothing, mask)))
        stacked.append(source)
      }
    }
    builder.graph.outputs = outputs
    try builder.bindSymbols()
    let captures = builder.captures
    let ids = try captures.map { try builder.id($0) }
    var body = builder.graph
    body.setInputs(own + ids)
    var carried: [ValueID] = []
    for delay in delays {
      let id = try call.spread(delay.initial, .batch, rank: delay.shape.count)
      let first = try call.broadcast(try call.cast(id, delay.dtype), [converter.batch] + delay.shape)
      carried += [ValueID](repeating: first, count: delay.steps)
    }
    let operands = try captures.map { try call.builder.id($0) }
    let results = try call.addAll(Loop(carried: carried.count, sliced: sliced.count, body: body.compacted()), carried + sliced + operands, "loop")
    for (index, source) in stacked.enumerated() {
      guard case .result(let made, let place) = source, results.indices.contains(carried.count + index) else { continue }
      let outer = CNTKCall(converter, function(made), converter.builder.free(graph.names[made]), [])
      var rows = results[carried.count + index]
      if isBackward { rows = try outer.add(Reverse(axes: [0]), [rows], "reverse") }
      rows = try outer.transpose(rows, [1, 0] + Array(2..<max(2, outer.type(rows).rank)))
      let value = outer.result(rows, CNTKAxes(hasBatch: true, sequence: sequence), place)
      if outer.builder.graph.value(named: outer.outputName(place)) == nil { outer.builder.graph.rename(rows, to: outer.outputName(place)) }
      converter.values[source] = value
    }
  }
}

/// One step of a loop while it is converted.
final class CNTKLoopStep {
  let builder: ImportBuilder
  let converter: CNTKConverter
  let outside: [(source: CNTKGraph.Source, value: CNTKValue)]
  private let diagnostics: TFDiagnostics

  init(_ outer: CNTKConverter, _ diagnostics: TFDiagnostics, outside: [(source: CNTKGraph.Source, value: CNTKValue)]) throws {
    builder = ImportBuilder(name: "step", parent: outer.builder)
    converter = CNTKConverter(inside: outer, builder: builder, diagnostics: diagnostics)
    self.outside = outside
    self.diagnostics = diagnostics
    for (source, value) in outside where value.axes.sequence == nil { converter.values[source] = value }
  }

  var isSound: Bool { diagnostics.isEmpty }

  func bind(_ source: CNTKGraph.Source, _ value: CNTKValue) { converter.values[source] = value }

  /// The input that is one step of a sequence.
  func slice(_ source: CNTKGraph.Source, _ value: CNTKValue) throws -> ValueID {
    var dims = value.value.type.dims
    dims.remove(at: value.axes.hasBatch ? 1 : 0)
    let input = try builder.addInput(value.value.name, TensorType(value.value.type.dtype, dims))
    bind(source, CNTKValue(value: input, axes: CNTKAxes(hasBatch: value.axes.hasBatch)))
    return try builder.id(input)
  }
}

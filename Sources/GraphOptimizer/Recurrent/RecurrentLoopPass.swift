import GraphModule
import TensorModule

/// Makes loops that are an LSTM, a GRU or a simple RNN the op `rnn`.
///
/// A loop is one when its body computes the cell's equations from one sliced operand and the state, whatever its nodes are called and in
/// whatever order they add and multiply. Steps that a mask or a sample's length leaves out may copy the state and put out zeros or the
/// output before.
struct RecurrentLoopPass {
  private var graph: Graph
  private(set) var changes: [Node] = []

  static func run(_ graph: Graph) throws -> (graph: Graph, changes: [Node]) {
    guard graph.nodes.contains(where: { $0.op is Loop }) else { return (graph, []) }
    var pass = RecurrentLoopPass(graph: graph)
    try pass.run()
    return (pass.changes.isEmpty ? graph : pass.graph.compacted(), pass.changes)
  }

  private init(graph: Graph) { self.graph = graph }

  private mutating func run() throws {
    let nodes = graph.nodes
    let producers = graph.producers()
    let used = Set(nodes.flatMap(\.inputs) + graph.outputs.map(\.value))
    graph.nodes = []
    func node(_ id: ValueID) -> Node? { producers[id].map { nodes[$0] } }
    for original in nodes {
      guard original.op is Loop, let trips = original.outputs.last, !used.contains(trips) else {
        graph.nodes.append(original)
        continue
      }
      let constants = graph.constants
      func isZero(_ value: ValueID?) -> Bool {
        guard var id = value else { return false }
        for _ in 0..<8 {
          if let tensor = constants[id] { return tensor.dtype.isFloat && tensor.splat == 0 }
          guard let made = node(id), made.op is BroadcastTo || made.op is Reshape || made.op is DynamicBroadcastTo else { return false }
          id = made.inputs[0]
        }
        return false
      }
      var current = RecurrentLoopPass.pruned(original, used)
      // Layer after layer, then what is left.
      while let loop = current.op as? Loop {
        let before = graph
        func isZeroNow(_ operand: Int) -> Bool { isZero(current.inputs.indices.contains(operand) ? current.inputs[operand] : nil) }
        if let found = RecurrentLoop(loop, isZero: isZeroNow), limits(found, current, node), (try? emit(found, current, isZeroNow)) == true {
          changes.append(original)
          break
        }
        graph = before
        let layer = RecurrentLayer(loop) { found in
          guard case .lengths(let id)? = found.mask?.source, let place = loop.body.inputs.firstIndex(of: id), let operand = RecurrentLoop.limitOperand(loop) else { return false }
          return limits(current.inputs[operand], current.inputs[place - 1], node)
        }
        guard let layer, let rest = try? peel(layer, loop, current, isZeroNow) else {
          graph = before
          graph.nodes.append(current)
          break
        }
        changes.append(original)
        current = rest
      }
    }
  }

  /// The loop without the stacked results that nobody reads.
  private static func pruned(_ node: Node, _ used: Set<ValueID>) -> Node {
    guard var loop = node.op as? Loop else { return node }
    let kept = node.outputs.indices.filter { $0 < loop.carried || $0 == node.outputs.count - 1 || used.contains(node.outputs[$0]) }
    guard kept.count < node.outputs.count else { return node }
    var body = loop.body
    body.outputs = kept.filter { $0 < body.outputs.count }.map { loop.body.outputs[$0] }
    loop.body = body.compacted()
    var copy = node
    copy.op = loop
    copy.outputs = kept.map { node.outputs[$0] }
    return copy
  }

  /// Adds the layer's sequence op; the loop that is left.
  private mutating func peel(_ layer: RecurrentLayer, _ loop: Loop, _ node: Node, _ isZero: (Int) -> Bool) throws -> Node? {
    let found = layer.found
    let states = [found.h] + (found.c.map { [$0] } ?? [])
    let body = RecurrentBody(loop)
    guard let input = body.sliced.firstIndex(of: found.cell.input) else { return nil }
    var mask: Int?
    switch found.mask?.source {
    case .slice(let id): mask = body.sliced.firstIndex(of: id).map { loop.carried + $0 }
    case .lengths(let id): mask = loop.body.inputs.firstIndex(of: id).map { $0 - 1 }
    case nil: break
    }
    if found.mask != nil, mask == nil { return nil }
    let parts = Sequence(
      cell: found.cell, mask: found.mask, maskOperand: mask, zeroOutputForMask: true, input: loop.carried + input, states: states, returnSequences: true)
    guard let results = try sequence(parts, node, isZero) else { return nil }
    for (place, state) in states.enumerated() { guard try give(results[1 + place], node.outputs[state], node) else { return nil } }
    let rows = try graph.addOne(Transpose([1, 0, 2]), [results[0]], name: "\(graph[node.outputs[0]].name)/layer", scope: node.scope)
    var rest = node
    rest.op = layer.rest
    let kept = (0..<loop.carried).filter { !states.contains($0) }
    rest.inputs = kept.map { node.inputs[$0] } + node.inputs[loop.carried..<loop.carried + loop.sliced] + [rows] + node.inputs[(loop.carried + loop.sliced)...]
    rest.outputs = node.outputs.indices.filter { !states.contains($0) }.map { node.outputs[$0] }
    let types = try layer.rest.infer(rest.inputs.map(graph.type(of:)))
    guard types == rest.outputs.map(graph.type(of:)) else { return nil }
    return rest
  }

  /// Whether the loop ends no earlier than the longest sample: its limit is the greatest of the lengths, or more.
  private func limits(_ found: RecurrentLoop, _ loop: Node, _ node: (ValueID) -> Node?) -> Bool {
    guard let operand = found.limitOperand else { return true }
    guard loop.inputs.indices.contains(operand), let place = found.maskOperand else { return false }
    return limits(loop.inputs[operand], loop.inputs[place], node)
  }

  private func limits(_ limit: ValueID, _ lengths: ValueID, _ node: (ValueID) -> Node?) -> Bool {
    var open = [limit]
    for _ in 0..<8 {
      guard let id = open.popLast() else { return false }
      guard let made = node(id) else { continue }
      switch made.op {
      case let op as Elementwise where op.function == .max: open += made.inputs
      case let op as Elementwise where op.function == .identity: open += made.inputs
      case is Cast, is Reshape: open += made.inputs
      case let op as Reduce where op.kind == .max:
        if made.inputs[0] == lengths { return true }
      default: continue
      }
    }
    return false
  }

  /// What is needed of a loop's operands for a sequence op.
  private struct Sequence {
    var cell: RecurrentCell
    var mask: RecurrentMask?
    var maskOperand: Int?
    var zeroOutputForMask: Bool
    var input: Int
    var states: [Int]
    var returnSequences: Bool
  }

  /// Adds a sequence op; its results, or nil when it does not fit.
  private mutating func sequence(_ parts: Sequence, _ node: Node, _ isZero: (Int) -> Bool) throws -> [ValueID]? {
    let name = graph[node.outputs[0]].name
    let x = node.inputs[parts.input]
    let type = graph.type(of: x)
    guard type.rank == 3, type.dtype.isFloat else { return nil }
    var operands = try graph.add(Transpose([1, 0, 2]), [x], name: "\(name)/sequence", scope: node.scope)
    let (cell, units) = (parts.cell, parts.cell.units)
    let width = cell.cell.gates * units
    func weights(_ values: [Double], _ shape: Shape, _ suffix: String) throws {
      operands.append(graph.addConstant("\(name)/\(suffix)", try Tensor(converting: values, to: type.dtype, shape: shape)))
    }
    try weights(cell.kernel, [cell.features, width], "kernel")
    try weights(cell.recurrent, [units, width], "recurrent_kernel")
    if let bias = cell.bias { try weights(bias, cell.cell == .gruResetAfter ? [2, width] : [width], "bias") }
    if let mask = parts.mask, let place = parts.maskOperand { operands.append(try self.mask(mask, node.inputs[place], x, name, node.scope)) }
    let isInitial = !parts.states.allSatisfy(isZero)
    if isInitial { operands += parts.states.map { node.inputs[$0] } }
    let op = RNN(
      cell: cell.cell, activation: cell.activation, recurrentActivation: cell.recurrentActivation, returnSequences: parts.returnSequences,
      zeroOutputForMask: parts.zeroOutputForMask, bias: cell.bias != nil, mask: parts.mask != nil, initialState: isInitial)
    let results = try graph.add(op, operands, name: "\(name)/rnn", scope: node.scope)
    return results.count == (cell.cell == .lstm ? 3 : 2) ? results : nil
  }

  /// Makes a value a result of the loop; false when their types do not agree.
  private mutating func give(_ value: ValueID, _ output: ValueID, _ node: Node) throws -> Bool {
    let (made, wanted) = (graph.type(of: value), graph.type(of: output))
    guard made.rank == wanted.rank, made.dtype == wanted.dtype else { return false }
    let reshape = Reshape(wanted.dims)
    if made.dims != wanted.dims, try reshape.infer([made]) != [wanted] { return false }
    graph.nodes.append(
      Node(
        op: made.dims == wanted.dims ? Elementwise(.identity) as any OpDefinition : reshape, inputs: [value], outputs: [output], scope: node.scope,
        device: node.device))
    return true
  }

  /// Adds the sequence op and what the loop's results are of it; false when it does not fit.
  private mutating func emit(_ found: RecurrentLoop, _ node: Node, _ isZero: (Int) -> Bool) throws -> Bool {
    let name = graph[node.outputs[0]].name
    let isSequence = found.results.contains { if case .sequence = $0 { true } else { false } }
    let parts = Sequence(
      cell: found.cell, mask: found.mask, maskOperand: found.maskOperand, zeroOutputForMask: found.zeroOutputForMask, input: found.input,
      states: [found.h] + (found.c.map { [$0] } ?? []), returnSequences: isSequence)
    guard let results = try sequence(parts, node, isZero) else { return false }
    func add(_ op: any OpDefinition, _ value: ValueID, _ suffix: String) throws -> ValueID {
      try graph.addOne(op, [value], name: "\(name)/\(suffix)", scope: node.scope)
    }
    for (output, result) in zip(node.outputs, found.results) {
      var value: ValueID
      switch result {
      case .h: value = results[1]
      case .c: value = results[2]
      case .sequence: value = try add(Transpose([1, 0, 2]), results[0], "outputs")
      case .last(let isRow):
        value = results[0]
        if isSequence {
          value = try add(Slice([.all, .init(start: -1), .all]), value, "last")
          value = try add(Reshape([graph.type(of: value).dims[0], Dim(found.cell.units)]), value, "last")
        }
        if isRow { value = try add(Reshape([1] + graph.type(of: value).dims), value, "last") }
      }
      guard try give(value, output, node) else { return false }
    }
    return true
  }

  /// The mask [batch, time] of a sequence [time, batch, features]: true where a step counts.
  private mutating func mask(_ mask: RecurrentMask, _ operand: ValueID, _ x: ValueID, _ name: String, _ scope: String) throws -> ValueID {
    func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID {
      try graph.addOne(op, operands, name: "\(name)/mask", scope: scope)
    }
    let dims = graph.type(of: x).dims
    switch mask.source {
    case .slice:
      let type = graph.type(of: operand)
      let flat = type.rank == 2 ? operand : try add(Reshape([type.dims[0], type.dims[1]]), [operand])
      return try add(Transpose([1, 0]), [flat])
    case .lengths:
      let lengths = try add(Cast(.int64), [operand])
      let one = graph.addConstant("\(name)/one", try Tensor(integers: [1], dtype: .int64, shape: [1]))
      let steps = try add(Cumulative(.sum, axis: 0, exclusive: true), [try add(BroadcastTo([dims[0]]), [one])])
      let row = try add(Reshape([1, dims[0]]), [steps])
      let column = try add(Reshape(graph.type(of: lengths).dims + [1]), [lengths])
      return try add(Elementwise(.less), [row, column])
    }
  }
}

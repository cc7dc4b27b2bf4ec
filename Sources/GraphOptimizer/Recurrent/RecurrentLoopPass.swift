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
      guard let loop = original.op as? Loop, let trips = original.outputs.last, !used.contains(trips) else {
        graph.nodes.append(original)
        continue
      }
      let constants = graph.constants
      func isZero(_ operand: Int) -> Bool {
        guard original.inputs.indices.contains(operand) else { return false }
        var id = original.inputs[operand]
        for _ in 0..<8 {
          if let tensor = constants[id] { return tensor.dtype.isFloat && tensor.splat == 0 }
          guard let made = node(id), made.op is BroadcastTo || made.op is Reshape || made.op is DynamicBroadcastTo else { return false }
          id = made.inputs[0]
        }
        return false
      }
      let before = graph
      guard let found = RecurrentLoop(loop, isZero: isZero), limits(found, original, node), let made = try? emit(found, loop, original, isZero), made else {
        graph = before
        graph.nodes.append(original)
        continue
      }
      changes.append(original)
    }
  }

  /// Whether the loop ends no earlier than the longest sample: its limit is the greatest of the lengths, or more.
  private func limits(_ found: RecurrentLoop, _ loop: Node, _ node: (ValueID) -> Node?) -> Bool {
    guard let operand = found.limitOperand else { return true }
    guard loop.inputs.indices.contains(operand), let place = found.maskOperand else { return false }
    let lengths = loop.inputs[place]
    var open = [loop.inputs[operand]]
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

  /// Adds the sequence op and what the loop's results are of it; false when it does not fit.
  private mutating func emit(_ found: RecurrentLoop, _ loop: Loop, _ node: Node, _ isZero: (Int) -> Bool) throws -> Bool {
    let name = graph[node.outputs[0]].name
    func type(_ id: ValueID) -> TensorType { graph.type(of: id) }
    func add(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> [ValueID] {
      try graph.add(op, operands, name: "\(name)/\(suffix)", scope: node.scope)
    }
    let x = node.inputs[found.input]
    guard type(x).rank == 3, type(x).dtype.isFloat else { return false }
    let dtype = type(x).dtype
    var operands = try add(Transpose([1, 0, 2]), [x], "sequence")
    let (cell, units) = (found.cell, found.cell.units)
    let width = cell.cell.gates * units
    func weights(_ values: [Double], _ shape: Shape, _ suffix: String) throws {
      operands.append(graph.addConstant("\(name)/\(suffix)", try Tensor(converting: values, to: dtype, shape: shape)))
    }
    try weights(cell.kernel, [cell.features, width], "kernel")
    try weights(cell.recurrent, [units, width], "recurrent_kernel")
    if let bias = cell.bias { try weights(bias, cell.cell == .gruResetAfter ? [2, width] : [width], "bias") }
    if let mask = found.mask, let place = found.maskOperand {
      operands.append(try self.mask(mask, node.inputs[place], x, name, node.scope))
    }
    let initial = [found.h] + (found.c.map { [$0] } ?? [])
    let isInitial = !initial.allSatisfy(isZero)
    if isInitial { operands += initial.map { node.inputs[$0] } }
    let isSequence = found.results.contains { if case .sequence = $0 { true } else { false } }
    let op = RNN(
      cell: cell.cell, activation: cell.activation, recurrentActivation: cell.recurrentActivation, returnSequences: isSequence,
      zeroOutputForMask: found.zeroOutputForMask, bias: cell.bias != nil, mask: found.mask != nil, initialState: isInitial)
    let results = try add(op, operands, "rnn")
    guard results.count == (cell.cell == .lstm ? 3 : 2) else { return false }
    for (output, result) in zip(node.outputs, found.results) {
      var value: ValueID
      switch result {
      case .h: value = results[1]
      case .c: value = results[2]
      case .sequence: value = try add(Transpose([1, 0, 2]), [results[0]], "outputs")[0]
      case .last(let isRow):
        value = results[0]
        if isSequence {
          value = try add(Slice([.all, .init(start: -1), .all]), [value], "last")[0]
          value = try add(Reshape([type(value).dims[0], Dim(units)]), [value], "last")[0]
        }
        if isRow { value = try add(Reshape([1] + type(value).dims), [value], "last")[0] }
      }
      guard type(value).rank == type(output).rank, type(value).dtype == type(output).dtype else { return false }
      if type(value).dims == type(output).dims {
        graph.nodes.append(Node(op: Elementwise(.identity), inputs: [value], outputs: [output], scope: node.scope, device: node.device))
      } else {
        let reshape = Reshape(type(output).dims)
        guard try reshape.infer([type(value)]) == [type(output)] else { return false }
        graph.nodes.append(Node(op: reshape, inputs: [value], outputs: [output], scope: node.scope, device: node.device))
      }
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

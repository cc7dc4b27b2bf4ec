import GraphModule
import TensorModule

/// What is rewritten around loops and branches: the rules themselves run inside each subgraph.
///
/// - A branch whose selector is constant becomes the graph that it picks.
/// - A constant operand becomes a constant of the subgraphs, where it can be folded and packed; operands that no
///   subgraph reads go.
/// - A carried value that the body gives back unchanged becomes a capture.
/// - What a loop's body computes from captures alone is computed once, before the loop.
/// - Sizes that are known outside are bound inside.
struct ControlFlowPass {
  private var graph: Graph
  private(set) var changes: [Node] = []

  /// The graph with its loops and branches simplified.
  ///
  /// - Parameter optimize: optimizes a subgraph.
  static func run(
    _ graph: Graph, optimize: (Graph) throws -> Graph
  ) throws -> (graph: Graph, changes: [Node]) {
    var pass = ControlFlowPass(graph)
    try pass.run(optimize)
    return (pass.graph.compacted(), pass.changes)
  }

  private init(_ graph: Graph) { self.graph = graph }

  private mutating func run(_ optimize: (Graph) throws -> Graph) throws {
    let nodes = graph.nodes
    graph.nodes = []
    for node in nodes {
      guard var op = node.op as? any ControlFlowOp else {
        graph.nodes.append(node)
        continue
      }
      op = op.replacing(subgraphs: try op.subgraphs.map(optimize))
      var edited = node
      edited.op = op
      if let op = op as? Branch, try inline(op, node) { continue }
      if var call = try Call(edited, in: graph) {
        let changed = try call.simplify(&graph)
        if changed, let replaced = try call.node(in: &graph) {
          changes.append(node)
          edited = replaced
        }
      }
      graph.nodes.append(edited)
    }
  }

  /// Puts the graph that a constant selector picks in the branch's place.
  private mutating func inline(_ op: Branch, _ node: Node) throws -> Bool {
    guard let selector = graph.constants[node.inputs[0]], selector.count == 1 else { return false }
    let body = op.branches[op.index(selector.integers[0])]
    var map = Dictionary(uniqueKeysWithValues: zip(body.inputs, node.inputs.dropFirst()))
    let prefix = graph[node.outputs[0]].name
    let bound = try body.binding(node.inputs.dropFirst().map(graph.type(of:)))
    guard let bound else { return false }
    for (id, tensor) in bound.constants.sorted(by: { $0.key.index < $1.key.index }) {
      map[id] = graph.addConstant("\(prefix)/\(bound[id].name)", tensor)
    }
    for inner in bound.nodes {
      let operands = inner.inputs.compactMap { map[$0] }
      guard operands.count == inner.inputs.count else { return false }
      let scope = [node.scope, inner.scope].filter { !$0.isEmpty }.joined(separator: "/")
      let outputs = inner.outputs.map { graph.declare("\(prefix)/\(bound[$0].name)", bound.type(of: $0)) }
      for (old, new) in zip(inner.outputs, outputs) { map[old] = new }
      graph.nodes.append(Node(op: inner.op, inputs: operands, outputs: outputs, scope: scope, device: inner.device))
    }
    for (output, result) in zip(bound.outputs, node.outputs) {
      guard let value = map[output.value] else { return false }
      graph.nodes.append(
        Node(op: Elementwise(.identity), inputs: [value], outputs: [result], scope: node.scope, device: node.device))
    }
    changes.append(node)
    return true
  }
}

/// A node that runs subgraphs, taken apart: which operand feeds which input of which subgraph.
private struct Call {
  var node: Node
  var op: any ControlFlowOp
  var subgraphs: [Graph]
  /// For each operand that is a capture, the inputs that it feeds: one in each subgraph.
  var captures: [(operand: ValueID, inputs: [ValueID])]
  /// The operands before the captures.
  var leading: [ValueID]

  /// Nil when the op's shape does not fit its attributes.
  init?(_ node: Node, in graph: Graph) throws {
    self.node = node
    guard let op = node.op as? any ControlFlowOp else { return nil }
    self.op = op
    subgraphs = op.subgraphs
    let first: Int
    let skipped: [Int]
    switch op {
    case let op as Loop:
      first = op.carried + op.sliced
      skipped = (op.condition == nil ? [] : [1 + op.carried]) + [1 + op.carried + op.sliced]
    case is Branch:
      first = 1
      skipped = subgraphs.map { _ in 0 }
    default: return nil
    }
    guard node.inputs.count >= first, zip(subgraphs, skipped).allSatisfy({ $0.inputs.count == $1 + node.inputs.count - first })
    else { return nil }
    leading = Array(node.inputs[..<first])
    let graphs = subgraphs
    captures = (first..<node.inputs.count).map { index in
      (node.inputs[index], zip(graphs, skipped).map { $0.inputs[$1 + index - first] })
    }
  }

  mutating func simplify(_ graph: inout Graph) throws -> Bool {
    var changed = false
    if passThrough(&graph) { changed = true }
    if try bindConstants(graph) { changed = true }
    if try hoist(&graph) { changed = true }
    if dropUnused() { changed = true }
    return changed
  }

  /// Carried values that the body gives back become captures; their results are the operands.
  private mutating func passThrough(_ graph: inout Graph) -> Bool {
    guard var loop = op as? Loop, var body = subgraphs.last else { return false }
    var changed = false
    for index in (0..<loop.carried).reversed() where body.outputs[index].value == body.inputs[1 + index] {
      let operand = leading.remove(at: index)
      let input = body.inputs[1 + index]
      var inputs = [input]
      if loop.condition != nil {
        let given = subgraphs[0].inputs[1 + index]
        inputs.insert(given, at: 0)
        subgraphs[0].setInputs(subgraphs[0].inputs.filter { $0 != given } + [given])
      }
      body.setInputs(body.inputs.filter { $0 != input } + [input])
      body.outputs.remove(at: index)
      captures.append((operand, inputs))
      let result = node.outputs.remove(at: index)
      graph.nodes.append(
        Node(op: Elementwise(.identity), inputs: [operand], outputs: [result], scope: node.scope, device: node.device))
      loop.carried -= 1
      changed = true
    }
    subgraphs[subgraphs.count - 1] = body
    op = loop
    return changed
  }

  /// Constant operands become constants of the subgraphs.
  private mutating func bindConstants(_ graph: Graph) throws -> Bool {
    var changed = false
    for index in captures.indices.reversed() {
      guard let tensor = graph.constants[captures[index].operand] else { continue }
      var copies = subgraphs
      for (place, input) in captures[index].inputs.enumerated() {
        guard let bound = try copies[place].binding(input, to: tensor) else { break }
        copies[place] = bound
      }
      guard zip(copies, captures[index].inputs).allSatisfy({ $0.constants[$1] != nil }) else { continue }
      subgraphs = copies
      captures.remove(at: index)
      changed = true
    }
    return changed
  }

  /// Nodes of a loop's body that read captures only are moved before the loop.
  private mutating func hoist(_ graph: inout Graph) throws -> Bool {
    guard op is Loop, var body = subgraphs.last else { return false }
    let bodyIndex = subgraphs.count - 1
    var outside: [ValueID: ValueID] = [:]
    for capture in captures { outside[capture.inputs[bodyIndex]] = capture.operand }
    var kept: [Node] = []
    var moved: [(inner: ValueID, outer: ValueID)] = []
    let prefix = graph[node.outputs[0]].name
    for inner in body.nodes {
      let isMovable =
        !(inner.op is any ControlFlowOp) && !(inner.op is Gather) && !(inner.op is SetItem) && !(inner.op is Scatter)
        && inner.inputs.contains { outside[$0] != nil }
        && inner.inputs.allSatisfy { outside[$0] != nil || body.constants[$0] != nil }
      guard isMovable else {
        kept.append(inner)
        continue
      }
      let types = try? inner.op.infer(
        inner.inputs.map { id in outside[id].map(graph.type(of:)) ?? body.type(of: id) })
      guard let types, types.count == inner.outputs.count, inner.op.hasFixedAttributes else {
        kept.append(inner)
        continue
      }
      let operands = inner.inputs.map { id in
        if let known = outside[id] { return known }
        return graph.addConstant("\(prefix)/\(body[id].name)", body.constants[id] ?? Tensor(strings: [], shape: [0]))
      }
      let results = zip(inner.outputs, types).map { graph.declare("\(prefix)/\(body[$0].name)", $1) }
      let scope = [node.scope, inner.scope].filter { !$0.isEmpty }.joined(separator: "/")
      graph.nodes.append(Node(op: inner.op, inputs: operands, outputs: results, scope: scope, device: inner.device))
      for (old, new) in zip(inner.outputs, results) {
        outside[old] = new
        moved.append((old, new))
      }
    }
    if moved.isEmpty { return false }
    body.nodes = kept
    let read = Set(kept.flatMap(\.inputs) + body.outputs.map(\.value))
    for (inner, outer) in moved where read.contains(inner) {
      body.setInputs(body.inputs + [inner])
      var inputs = [inner]
      if bodyIndex == 1 {
        // The condition takes what the body takes, under symbols of its own.
        let type = body.type(of: inner)
        let name = body[inner].name
        let dims = type.dims.enumerated().map { $1.fixed != nil ? $1 : Dim.symbol("\(name).\($0)") }
        inputs.insert(subgraphs[0].declareInput(name, TensorType(type.dtype, dims)), at: 0)
      }
      captures.append((outer, inputs))
    }
    subgraphs[bodyIndex] = body
    return true
  }

  /// Captures that no subgraph reads go.
  private mutating func dropUnused() -> Bool {
    var changed = false
    for index in captures.indices.reversed() {
      let isNeeded = zip(subgraphs, captures[index].inputs).contains { graph, input in
        if graph.outputs.contains(where: { $0.value == input }) { return true }
        if graph.nodes.contains(where: { $0.inputs.contains(input) }) { return true }
        // A symbol that only this input binds must stay bound.
        let others = graph.inputs.filter { $0 != input }.flatMap { graph.type(of: $0).dims.flatMap(\.symbols) }
        return !graph.type(of: input).dims.flatMap(\.symbols).allSatisfy(Set(others).contains)
      }
      if isNeeded { continue }
      for (place, input) in captures.remove(at: index).inputs.enumerated() {
        subgraphs[place].setInputs(subgraphs[place].inputs.filter { $0 != input })
      }
      changed = true
    }
    return changed
  }

  /// The node put together again, or nil when its results would have other types.
  func node(in graph: inout Graph) throws -> Node? {
    var result = node
    var ordered = subgraphs
    for (place, subgraph) in subgraphs.enumerated() {
      let own = captures.map { $0.inputs[place] }
      let set = Set(own)
      ordered[place].setInputs(subgraph.inputs.filter { !set.contains($0) } + own)
    }
    result.op = op.replacing(subgraphs: ordered.map { $0.compacted() })
    result.inputs = leading + captures.map(\.operand)
    let types = try result.op.infer(result.inputs.map(graph.type(of:)))
    guard types.count == result.outputs.count else {
      throw KilnError(.internal, "a loop or branch lost a result")
    }
    for (output, type) in zip(result.outputs, types) where graph.type(of: output) != type {
      throw KilnError(.internal, "a result of '\(op.opName)' changed from \(graph.type(of: output)) to \(type)")
    }
    return result
  }
}

extension OpDefinition {
  /// Whether no attribute holds a symbol.
  fileprivate var hasFixedAttributes: Bool {
    attributes.allSatisfy { if case .dims(let dims) = $0.value { dims.allSatisfy { $0.fixed != nil } } else { true } }
  }
}

extension Graph {
  /// The graph with an input made a constant, or nil when the tensor does not fit.
  fileprivate func binding(_ input: ValueID, to tensor: Tensor) throws -> Graph? {
    let declared = type(of: input)
    guard declared.dtype == tensor.dtype, declared.rank == tensor.shape.count else { return nil }
    var bindings: [String: Int] = [:]
    for (dim, length) in zip(declared.dims, tensor.shape) {
      if let symbol = dim.plainSymbol { bindings[symbol] = length }
    }
    guard zip(declared.dims, tensor.shape).allSatisfy({ $0.substituting(bindings).fixed == $1 }) else { return nil }
    var copy = self
    copy.replaceConstant(input, with: tensor)
    copy.setInputs(inputs.filter { $0 != input })
    return try? copy.substituting(bindings)
  }

  /// The graph with the symbols of its inputs replaced by dims of the operands, or nil where dims are not simple.
  fileprivate func binding(_ operands: [TensorType]) throws -> Graph? {
    let shapes = operands.compactMap(\.shape)
    if shapes.count == operands.count { return try? specialized(to: shapes) }
    // Renaming symbols: an input's dims must be what the operand's are.
    guard zip(inputs, operands).allSatisfy({ type(of: $0) == $1 }) else { return nil }
    return self
  }
}

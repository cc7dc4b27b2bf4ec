import TensorModule

extension Graph {
  /// A copy that holds only live values (inputs; what is needed for the outputs), numbered in a canonical order:
  /// inputs, constants by name, then results in node order.
  ///
  /// - Parameter keepDeadNodes: also keep nodes that no output needs (then only the numbering changes).
  package func compacted(keepDeadNodes: Bool = false) -> Graph {
    var live = Set(outputs.map(\.value) + states.flatMap { [$0.value, $0.next] })
    var kept: [Node] = []
    let sizes = keepDeadNodes ? [:] : dataSizes()
    // The data sizes that live nodes name; a node that finds one of them lives too.
    var named: Set<String> = []
    for (index, node) in nodes.enumerated().reversed() {
      guard keepDeadNodes || node.outputs.contains(where: live.contains) || !named.isDisjoint(with: sizes[index] ?? []) else { continue }
      live.formUnion(node.inputs)
      live.formUnion(node.outputs)
      if !sizes.isEmpty { named.formUnion(node.op.attributes.flatMap { $0.value.dimSymbols }) }
      kept.append(node)
    }
    var copy = Graph(name: name)
    copy.metadata = metadata
    var map: [ValueID: ValueID] = [:]
    for input in inputs { map[input] = copy.adoptInput(self[input]) }
    for id in constants.keys.filter(live.contains).sorted(by: { self[$0].name < self[$1].name }) {
      map[id] = copy.addConstant(self[id].name, constants[id]!)
    }
    for node in kept.reversed() {
      for output in node.outputs { map[output] = copy.declare(self[output].name, type(of: output)) }
      copy.nodes.append(
        Node(op: node.op, inputs: node.inputs.map { map[$0]! }, outputs: node.outputs.map { map[$0]! }, scope: node.scope,
          device: node.device))
    }
    copy.outputs = outputs.map { Output(name: $0.name, value: map[$0.value]!) }
    copy.states = states.map { State(value: map[$0.value]!, next: map[$0.next]!) }
    return copy
  }

  /// The graph for given input shapes: every symbol bound, every type inferred anew.
  ///
  /// - Parameters:
  ///   - shapes: one for each input, in order.
  ///   - allowingDataSizes: leave dims as symbols that nodes bind when they run.
  /// - Throws: `KilnError` (`badInput`) when a shape does not fit its input's type, or an op refuses the shapes.
  package func specialized(to shapes: [Shape], allowingDataSizes: Bool = false) throws -> Graph {
    let bindings = try bind(shapes)
    var copy = self
    for (input, shape) in zip(inputs, shapes) {
      copy.setType(TensorType(type(of: input).dtype, shape: shape), of: input)
    }
    for index in copy.nodes.indices {
      let node = copy.nodes[index]
      let op = (node.op as? any SymbolicAttributes)?.substituting(bindings) ?? node.op
      let types = try op.infer(node.inputs.map { copy.type(of: $0) })
      for (output, type) in zip(node.outputs, types) {
        guard allowingDataSizes || type.shape != nil else {
          throw KilnError(.badInput, "the shape of \(KilnError.quoted(self[output].name)) is not known: \(type.message)")
        }
        copy.setType(type, of: output)
      }
      copy.nodes[index].op = op
    }
    return copy
  }

  /// The graph with some symbols replaced by numbers, every type inferred anew.
  package func substituting(_ bindings: [String: Int]) throws -> Graph {
    var copy = self
    for input in inputs { copy.setType(type(of: input).substituting(bindings), of: input) }
    for index in copy.nodes.indices {
      let node = copy.nodes[index]
      let op = (node.op as? any SymbolicAttributes)?.substituting(bindings) ?? node.op
      let types = try op.infer(node.inputs.map { copy.type(of: $0) })
      for (output, type) in zip(node.outputs, types) { copy.setType(type, of: output) }
      copy.nodes[index].op = op
    }
    return copy
  }

  /// What the symbols stand for when the inputs have these shapes.
  package func bind(_ shapes: [Shape]) throws -> [String: Int] {
    guard shapes.count == inputs.count else {
      throw KilnError(.badInput, "the model has \(inputs.count) inputs, found \(shapes.count)")
    }
    var bindings: [String: Int] = [:]
    for (input, shape) in zip(inputs, shapes) {
      let wanted = type(of: input)
      let mismatch = KilnError(
        .badInput,
        "input \(KilnError.quoted(self[input].name)): expected \(wanted.message), found \(shape.shapeText)")
      guard wanted.rank == shape.count, shape.allSatisfy({ $0 >= 0 }) else { throw mismatch }
      for (dim, length) in zip(wanted.dims, shape) {
        if dim.terms.count == 1, case .symbol(let name)? = dim.terms[0].atoms.first, dim == .symbol(name) {
          if let bound = bindings.updateValue(length, forKey: name), bound != length {
            throw KilnError(
              .badInput,
              "input \(KilnError.quoted(self[input].name)): '\(name)' is \(length) here and \(bound) in another input")
          }
        }
      }
      guard zip(wanted.dims, shape).allSatisfy({ $0.substituting(bindings).fixed == $1 }) else { throw mismatch }
    }
    return bindings
  }

  /// Replaces a constant's tensor and type.
  package mutating func replaceConstant(_ id: ValueID, with tensor: Tensor) {
    setConstant(id, tensor)
    setType(TensorType(tensor.dtype, shape: tensor.shape), of: id)
  }
}

/// An op whose attributes hold dims, which are bound together with the inputs' symbols.
package protocol SymbolicAttributes: OpDefinition {
  func substituting(_ bindings: [String: Int]) -> Self
}

extension Graph: Equatable {
  /// Equal names, types, ops, constants and order of nodes; numbering does not matter.
  package static func == (left: Graph, right: Graph) -> Bool {
    let a = left.compacted(keepDeadNodes: true)
    let b = right.compacted(keepDeadNodes: true)
    return a.name == b.name && a.metadata == b.metadata && a.values == b.values && a.inputs == b.inputs
      && a.outputs == b.outputs && a.constants == b.constants && a.states == b.states && a.nodes.count == b.nodes.count
      && zip(a.nodes, b.nodes).allSatisfy {
        $0.op.isEqual(to: $1.op) && $0.inputs == $1.inputs && $0.outputs == $1.outputs && $0.scope == $1.scope
          && $0.device == $1.device
      }
  }
}

import GraphModule

extension Graph {
  /// The graph in which a pooling makes what an activation behind it would, where nothing else reads its result.
  ///
  /// - Returns: the activations by the poolings' new results.
  func joiningPoolActivations() -> (graph: Graph, activations: [ValueID: Activation]) {
    guard nodes.contains(where: { $0.op is Pool }) else { return (self, [:]) }
    var readers = [Int](repeating: 0, count: values.count)
    var makers = [Int?](repeating: nil, count: values.count)
    for (index, node) in nodes.enumerated() {
      for input in node.inputs { readers[input.index] += 1 }
      for output in node.outputs { makers[output.index] = index }
    }
    for output in outputs { readers[output.value.index] += 1 }
    var graph = self
    var activations: [ValueID: Activation] = [:]
    var joined: Set<Int> = []
    for (index, node) in nodes.enumerated() {
      guard let op = node.op as? Elementwise, op.function.arity == 1, !op.function.isPredicate, !op.function.isSpecial,
        let operand = node.inputs.first, readers[operand.index] == 1, type(of: operand).dtype == .float32,
        let maker = makers[operand.index], nodes[maker].op is Pool
      else { continue }
      graph.nodes[maker].outputs = node.outputs
      activations[node.outputs[0]] = Activation(op.function, op.parameters)
      joined.insert(index)
    }
    graph.nodes = graph.nodes.enumerated().filter { !joined.contains($0.offset) }.map(\.element)
    return (graph, activations)
  }
}

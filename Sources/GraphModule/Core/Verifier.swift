import TensorModule

/// Checks that a graph is well formed: runs after every importer, and in tests after every rewrite.
package enum Verifier {
  /// Throws for the first fault, with the nodes around it.
  package static func verify(_ graph: Graph) throws { try verify(graph, depth: 0) }

  private static func verify(_ graph: Graph, depth: Int) throws {
    guard depth <= Graph.maximumDepth else {
      throw KilnError(.badInput, "graphs are nested deeper than \(Graph.maximumDepth)")
    }
    var names: Set<String> = []
    for value in graph.values where !names.insert(value.name).inserted {
      throw KilnError(.badInput, "two values have the name \(KilnError.quoted(value.name))")
    }
    for id in graph.inputs + graph.constants.keys {
      try check(graph.type(of: id), name: graph[id].name)
    }
    for (id, tensor) in graph.constants {
      guard graph.type(of: id) == TensorType(tensor.dtype, shape: tensor.shape) else {
        throw KilnError(
          .badInput,
          "constant \(KilnError.quoted(graph[id].name)) is declared \(graph.type(of: id).message) and holds \(tensor.dtype.name)\(tensor.shape.shapeText)")
      }
    }
    var symbols = Set(graph.symbols)
    var defined = Set(graph.inputs).union(graph.constants.keys)
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs where !defined.contains(input) {
        let name = graph.values.indices.contains(input.index) ? graph[input].name : "#\(input.index)"
        throw fault(graph, index, "reads \(KilnError.quoted(name)) before it is made")
      }
      for output in node.outputs where !graph.values.indices.contains(output.index) {
        throw fault(graph, index, "makes '#\(output.index)', which is not a value of the graph")
      }
      for subgraph in (node.op as? any ControlFlowOp)?.subgraphs ?? [] {
        do { try verify(subgraph, depth: depth + 1) } catch let error as KilnError {
          throw error.inside(node.outputs.first.map { graph[$0].name } ?? node.op.opName)
        }
      }
      let named = Set(node.op.attributes.flatMap { $0.value.dimSymbols }).subtracting(symbols)
      if node.op is any DataDependentOp { symbols.formUnion(named) } else if let unknown = named.sorted().first {
        throw fault(graph, index, "names the size \(KilnError.quoted(unknown)), which nothing before it has")
      }
      let types: [TensorType]
      do { types = try node.op.infer(node.inputs.map(graph.type(of:))) } catch let error as KilnError {
        throw fault(graph, index, error.message)
      }
      guard types.count == node.outputs.count else {
        throw fault(graph, index, "has \(node.outputs.count) results where its op makes \(types.count)")
      }
      for (output, type) in zip(node.outputs, types) {
        guard defined.insert(output).inserted else { throw fault(graph, index, "makes a value that exists already") }
        guard graph.type(of: output) == type else {
          throw fault(graph, index, "is declared \(graph.type(of: output)) where its op makes \(type)")
        }
        try check(type, name: graph[output].name)
      }
    }
    var stateValues: Set<ValueID> = []
    for state in graph.states {
      guard graph.constants[state.value] != nil, stateValues.insert(state.value).inserted else {
        throw KilnError(.badInput, "a state is not a constant, or is listed twice")
      }
      guard defined.contains(state.next), graph.type(of: state.next) == graph.type(of: state.value) else {
        throw KilnError(
          .badInput, "state \(KilnError.quoted(graph[state.value].name)) is \(graph.type(of: state.value).message) and has no next value of that type")
      }
    }
    var outputNames: Set<String> = []
    for output in graph.outputs {
      guard defined.contains(output.value) else {
        throw KilnError(.badInput, "output \(KilnError.quoted(output.name)) is not a value of the graph")
      }
      guard outputNames.insert(output.name).inserted else {
        throw KilnError(.badInput, "two outputs have the name \(KilnError.quoted(output.name))")
      }
    }
  }

  private static func check(_ type: TensorType, name: String) throws {
    guard type.rank <= maximumRank else {
      throw KilnError(.badInput, "\(KilnError.quoted(name)) has rank \(type.rank); at most \(maximumRank) is supported")
    }
    var product = 1
    for dim in type.dims {
      guard let length = dim.fixed else { continue }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(length, 1))
      guard length >= 0, !overflow, next < 1 << 43 else {
        throw KilnError(.badInput, "\(KilnError.quoted(name)) has an impossible size: \(type.message)")
      }
      product = next
    }
  }

  private static func fault(_ graph: Graph, _ index: Int, _ message: String) -> KilnError {
    let node = graph.nodes[index]
    let around = (max(0, index - 1)...min(graph.nodes.count - 1, index + 1))
      .map { TextForm.line(graph.nodes[$0], in: graph) }
    return KilnError(
      .badInput,
      "node \(KilnError.quoted(node.outputs.first.flatMap { graph.values.indices.contains($0.index) ? graph[$0].name : nil } ?? "?")) (\(node.op.opName)) \(message)",
      hint: "near: " + around.joined(separator: " ; "))
  }
}

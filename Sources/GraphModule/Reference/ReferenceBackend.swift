import TensorModule

/// Runs a graph by the ops' own definitions, in Double. Slow; the oracle of every other backend.
package enum ReferenceBackend {
  /// The outputs for inputs given in order.
  ///
  /// - Parameters:
  ///   - fetch: values to return instead of the graph's outputs.
  /// - Throws: `KilnError` (`badInput`) when an input does not fit, or an op refuses.
  package static func run(
    _ graph: Graph, _ inputs: [ReferenceTensor], fetch: [ValueID]? = nil
  ) throws -> [ReferenceTensor] {
    let bound = try graph.specialized(to: inputs.map(\.shape), allowingDataSizes: true)
    // Grows by the sizes that nodes find.
    var sizes: [String: Int] = [:]
    let hasDataSizes = bound.nodes.contains { $0.op is any DataDependentOp }
    var values: [ValueID: ReferenceTensor] = [:]
    for (id, input) in zip(bound.inputs, inputs) {
      guard input.dtype == bound.type(of: id).dtype else {
        throw KilnError(
          .badInput,
          "input \(KilnError.quoted(bound[id].name)): expected \(bound.type(of: id).dtype.name), found \(input.dtype.name)"
        )
      }
      values[id] = input
    }
    for (id, tensor) in bound.constants { values[id] = ReferenceTensor(tensor) }
    for node in bound.nodes {
      let operands = try node.inputs.map { id in
        guard let value = values[id] else {
          throw KilnError(.internal, "value '\(bound[id].name)' is used before it is made")
        }
        return value
      }
      var op = node.op
      var types = node.outputs.map(bound.type(of:))
      if hasDataSizes {
        if let op = op as? any DataDependentOp {
          for (id, result) in zip(node.outputs, try op.run(operands, &sizes)) { values[id] = result }
          continue
        }
        op = (op as? any SymbolicAttributes)?.substituting(sizes) ?? op
        types = try op.infer(operands.map { TensorType($0.dtype, shape: $0.shape) })
      }
      let results = try op.evaluated(operands, types)
      for ((id, type), result) in zip(zip(node.outputs, types), results) {
        guard result.shape == type.shape, result.dtype == type.dtype else {
          throw KilnError(
            .internal,
            "op '\(op.opName)' promised \(type) and made \(result.dtype.name)\(result.shape.shapeText)"
          )
        }
        values[id] = result
      }
    }
    return try (fetch ?? bound.outputs.map(\.value)).map { id in
      guard let value = values[id] else { throw KilnError(.internal, "value '\(bound[id].name)' was not computed") }
      return value
    }
  }

  /// One of several runs that hand on the graph's states.
  ///
  /// - Parameter states: what the states hold, in the graph's order; their next values when it returns. Empty: they start.
  package static func run(_ graph: Graph, _ inputs: [Tensor], states: inout [Tensor]) throws -> [Tensor] {
    let (lifted, initial) = graph.liftingStates()
    let results: [Tensor] = try run(lifted, inputs + (states.isEmpty ? initial : states))
    states = Array(results.suffix(initial.count))
    return Array(results.dropLast(initial.count))
  }

  /// The same for plain tensors; results are rounded to their dtype.
  package static func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [Tensor] {
    try run(graph, inputs.map { ReferenceTensor($0) }).map { try $0.tensor() }
  }
}

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
    let bound = try graph.specialized(to: inputs.map(\.shape))
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
      let results = try node.op.evaluated(operands, node.outputs.map(bound.type(of:)))
      for (id, result) in zip(node.outputs, results) {
        guard result.shape == bound.type(of: id).shape, result.dtype == bound.type(of: id).dtype else {
          throw KilnError(
            .internal,
            "op '\(node.op.opName)' promised \(bound.type(of: id)) and made \(result.dtype.name)\(result.shape.shapeText)"
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

  /// The same for plain tensors; results are rounded to their dtype.
  package static func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [Tensor] {
    try run(graph, inputs.map { ReferenceTensor($0) }).map { try $0.tensor() }
  }
}

import TensorModule

/// Makes the gradient of a scalar in a graph by values of it: the same graph with the derivative's nodes behind its own.
package final class GradientTape {
  package var graph: Graph
  private var scalars: [String: ValueID] = [:]
  /// What the last `gradients` found for each value.
  package private(set) var cotangents: [ValueID: ValueID] = [:]

  /// - Parameter graph: specialized to the shapes that it runs with.
  package init(_ graph: Graph) { self.graph = graph }

  package func add(_ op: any OpDefinition, _ operands: [ValueID], _ scope: String = "gradient") throws -> ValueID {
    try graph.addOne(op, operands, name: "\(scope)/\((op as? Elementwise)?.function.rawValue ?? op.opName)", scope: scope)
  }

  func addAll(_ op: any OpDefinition, _ operands: [ValueID], _ scope: String) throws -> [ValueID] {
    try graph.add(op, operands, name: "\(scope)/\(op.opName)", scope: scope)
  }

  package func scalar(_ number: Double, _ dtype: DType) throws -> ValueID {
    let key = "gradient/\(dtype.name)(\(number))"
    if let made = scalars[key] { return made }
    let id = graph.addConstant(key, try Tensor(converting: [number], to: dtype, shape: []))
    scalars[key] = id
    return id
  }

  /// The derivatives of `loss` by `variables`, in their order; nil where the loss does not depend on one.
  ///
  /// - Parameters:
  ///   - loss: a float value; the derivative is that of the sum of its elements unless `seed` says otherwise.
  ///   - seed: the loss's own cotangent.
  /// - Throws: `KilnError` (`unsupportedModel`) with the name of a node that lies between and has no derivative.
  package func gradients(of loss: ValueID, by variables: [ValueID], seed: ValueID? = nil) throws -> [ValueID?] {
    // Values that depend on a variable.
    var depends = [Bool](repeating: false, count: graph.values.count)
    for variable in variables { depends[variable.index] = true }
    for node in graph.nodes where node.inputs.contains(where: { depends[$0.index] }) {
      // What is not a float has no derivative.
      for output in node.outputs where graph.type(of: output).dtype.isFloat { depends[output.index] = true }
    }
    cotangents = [:]
    guard depends[loss.index] else { return variables.map { _ in nil } }
    if let seed { cotangents[loss] = seed } else {
      let type = graph.type(of: loss)
      let one = try scalar(1, type.dtype)
      cotangents[loss] = type.rank == 0 ? one : try add(BroadcastTo(type.dims), [one])
    }
    for node in Array(graph.nodes).reversed() {
      let own = node.outputs.map { cotangents[$0] }
      guard own.contains(where: { $0 != nil }), node.inputs.contains(where: { depends[$0.index] }) else { continue }
      let call = GradientCall(node, cotangents: own, isWanted: node.inputs.map { depends[$0.index] }, tape: self)
      let name = node.outputs.first.map { graph[$0].name } ?? node.op.opName
      guard let op = node.op as? any DifferentiableOp else {
        throw KilnError(
          .unsupportedModel, "op '\(node.op.opName)' has no derivative", at: [name], hint: "freeze the layers before it")
      }
      do { try op.gradient(call) } catch let error as KilnError { throw error.inside(name) }
      for (input, cotangent) in zip(node.inputs, call.found) {
        guard let cotangent, depends[input.index] else { continue }
        if let other = cotangents[input] {
          cotangents[input] = try add(Elementwise(.add), [other, cotangent], call.scope)
        } else {
          cotangents[input] = cotangent
        }
      }
    }
    return variables.map { cotangents[$0] }
  }
}

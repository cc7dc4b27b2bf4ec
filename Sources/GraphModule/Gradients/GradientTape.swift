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
  ///   - segments: runs of the graph's nodes, in their order, whose values are computed again for the derivative instead of kept.
  ///     What other nodes hand to a run is kept.
  /// - Throws: `KilnError` (`unsupportedModel`) with the name of a node that lies between and has no derivative.
  package func gradients(of loss: ValueID, by variables: [ValueID], seed: ValueID? = nil, recomputing segments: [Range<Int>] = []) throws -> [ValueID?] {
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
    let nodes = Array(graph.nodes)
    // The segment that is being passed, and its values as they were computed again.
    var segment: Int?
    var again: [ValueID: ValueID] = [:]
    for (place, original) in nodes.enumerated().reversed() {
      let own = original.outputs.map { cotangents[$0] }
      guard let first = own.compactMap({ $0 }).first, original.inputs.contains(where: { depends[$0.index] }) else { continue }
      let found = segments.firstIndex { $0.contains(place) }
      if found != segment {
        segment = found
        again = try found.map { try recompute(nodes[segments[$0]], after: first, besides: Set(variables)) } ?? [:]
      }
      var node = original
      node.inputs = node.inputs.map { again[$0] ?? $0 }
      node.outputs = node.outputs.map { again[$0] ?? $0 }
      let call = GradientCall(node, cotangents: own, isWanted: original.inputs.map { depends[$0.index] }, tape: self)
      let name = original.outputs.first.map { graph[$0].name } ?? node.op.opName
      guard let op = node.op as? any DifferentiableOp else {
        throw KilnError(
          .unsupportedModel, "op '\(node.op.opName)' has no derivative", at: [name], hint: "freeze the layers before it")
      }
      do { try op.gradient(call) } catch let error as KilnError { throw error.inside(name) }
      for (input, cotangent) in zip(original.inputs, call.found) {
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

  /// Adds a run of nodes a second time.
  ///
  /// - Parameters:
  ///   - barrier: what has to be there before the run begins.
  ///   - variables: are always there.
  /// - Returns: the new values of the run, and what stands for the values that the run takes from others.
  private func recompute(
    _ nodes: ArraySlice<Node>, after barrier: ValueID, besides variables: Set<ValueID>
  ) throws -> [ValueID: ValueID] {
    var again: [ValueID: ValueID] = [:]
    for node in nodes {
      let operands = try node.inputs.map { input -> ValueID in
        if let new = again[input] { return new }
        // Constants and variables, and what is made of them alone, stay what they are.
        if graph.constants[input] != nil || variables.contains(input) { return input }
        let new = try add(After(), [input, barrier], "gradient/again")
        again[input] = new
        return new
      }
      let name = node.outputs.first.map { graph[$0].name } ?? node.op.opName
      let results = try graph.add(node.op, operands, name: "again/\(name)", scope: "gradient/again/\(node.scope)", device: node.device)
      for (old, new) in zip(node.outputs, results) { again[old] = new }
    }
    return again
  }
}

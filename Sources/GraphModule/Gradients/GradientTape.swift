import TensorModule

/// Makes the gradient of a scalar in a graph by values of it: the same graph with the derivative's nodes behind its own.
package final class GradientTape {
  package var graph: Graph
  private var scalars: [String: ValueID] = [:]
  /// The 16-bit floats that the forward part keeps its values in for the derivative; those that are widened there are widened
  /// again where the derivative reads them.
  package var kept: DType?
  /// The nodes that make values, of the first `indexed` ones.
  private var makers: [ValueID: Int] = [:]
  private var indexed = 0
  private var widened: [ValueID: (value: ValueID, place: Int)] = [:]
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
    let (narrow, rounded) = kept.map { narrowSources($0) } ?? ([:], [:])
    widened = [:]
    // The segment that is being passed, and its values as they were computed again.
    var segment: Int?
    var again: [ValueID: ValueID] = [:]
    for (place, original) in nodes.enumerated().reversed() {
      var own = original.outputs.map { cotangents[$0] }
      guard let first = own.compactMap({ $0 }).first, original.inputs.contains(where: { depends[$0.index] }) else { continue }
      let found = segments.firstIndex { $0.contains(place) }
      if found != segment {
        segment = found
        again = try found.map { try recompute(nodes[segments[$0]], after: first, besides: Set(variables), narrow) } ?? [:]
      }
      if let kept, original.op is any ProductOp { own = try own.map { try $0.map { try round($0, kept) } } }
      var node = original
      node.inputs = try node.inputs.map { try again[$0] ?? widenedAgain($0, narrow, after: first) }
      node.outputs = try node.outputs.map { output in
        let value = rounded[output] ?? output
        return try again[value] ?? widenedAgain(value, narrow, after: first)
      }
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

  // MARK: Values kept in 16 bits

  /// For each value that is a widened one the narrow one, and for each that was rounded to it what it was widened to.
  private func narrowSources(_ dtype: DType) -> (narrow: [ValueID: ValueID], rounded: [ValueID: ValueID]) {
    var (narrow, rounded, origins): ([ValueID: ValueID], [ValueID: ValueID], [ValueID: ValueID]) = ([:], [:], [:])
    for node in graph.nodes {
      guard let cast = node.op as? Cast else { continue }
      let (from, to) = (node.inputs[0], node.outputs[0])
      if cast.dtype == dtype { origins[to] = from }
      if cast.dtype == .float32, graph.type(of: from).dtype == dtype {
        narrow[to] = from
        if let origin = origins[from] { rounded[origin] = to }
      }
    }
    return (narrow, rounded)
  }

  /// A value widened again for the derivative, so that only the narrow one is kept; others as they are.
  private func widenedAgain(_ value: ValueID, _ narrow: [ValueID: ValueID], after barrier: ValueID) throws -> ValueID {
    guard let source = narrow[value] else { return value }
    // Neighbours share it; one that is read again much later would be kept for long.
    if let made = widened[value], graph.nodes.count - made.place < 24 { return made.value }
    let made = try widen(source, after: barrier)
    widened[value] = (made, graph.nodes.count)
    return made
  }

  private func widen(_ source: ValueID, after barrier: ValueID) throws -> ValueID {
    let scope = "gradient/again"
    // What is always there is rounded again instead of kept.
    if let rounding = producer(source), rounding.op is Cast, let origin = rounding.inputs.first, graph.inputs.contains(origin) {
      let later = try add(After(), [origin, barrier], scope)
      return try add(Cast(.float32), [try add(rounding.op, [later], scope)], scope)
    }
    return try add(Cast(.float32), [try add(After(), [source, barrier], scope)], scope)
  }

  private func producer(_ value: ValueID) -> Node? {
    for place in indexed..<graph.nodes.count { for output in graph.nodes[place].outputs { makers[output] = place } }
    indexed = graph.nodes.count
    return makers[value].map { graph.nodes[$0] }
  }

  /// A value at the precision of `dtype`.
  private func round(_ value: ValueID, _ dtype: DType) throws -> ValueID {
    guard graph.type(of: value).dtype == .float32 else { return value }
    if let node = producer(value), node.op is Cast, graph.type(of: node.inputs[0]).dtype == dtype { return value }
    return try add(Cast(.float32), [try add(Cast(dtype), [value])])
  }

  /// Adds a run of nodes a second time.
  ///
  /// - Parameters:
  ///   - barrier: what has to be there before the run begins.
  ///   - variables: are always there.
  /// - Returns: the new values of the run, and what stands for the values that the run takes from others.
  private func recompute(
    _ nodes: ArraySlice<Node>, after barrier: ValueID, besides variables: Set<ValueID>, _ narrow: [ValueID: ValueID]
  ) throws -> [ValueID: ValueID] {
    var again: [ValueID: ValueID] = [:]
    for node in nodes {
      let operands = try node.inputs.map { input -> ValueID in
        if let new = again[input] { return new }
        // Constants and variables, and what is made of them alone, stay what they are.
        if graph.constants[input] != nil || variables.contains(input) { return input }
        let new = try narrow[input].map { try widen($0, after: barrier) } ?? add(After(), [input, barrier], "gradient/again")
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

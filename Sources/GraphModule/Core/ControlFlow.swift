import TensorModule

/// An op whose attributes hold graphs that it runs: `branch` and `loop`.
///
/// Subgraphs are closed: they have their own names, and what they read from around them are operands of the node and
/// inputs of the subgraph. The symbols in a subgraph's types are its own as well; its inputs' dims bind them.
package protocol ControlFlowOp: OpDefinition {
  /// In the order in which the attributes list them.
  var subgraphs: [Graph] { get }
  /// The op with other subgraphs, in the same order and of the same number.
  func replacing(subgraphs: [Graph]) -> Self
}

extension Graph {
  /// How deep graphs may be nested.
  package static let maximumDepth = 64

  /// The name under which a container stores a constant: its own at the top, `kiln.graph/N/NAME` in the N-th subgraph.
  ///
  /// - Parameter subgraph: counts graphs from the top (0) in the order in which the text form begins them.
  package static func storedName(_ name: String, subgraph: Int) -> String {
    subgraph == 0 ? name : "\(storedPrefix)\(subgraph)/\(name)"
  }

  package static let storedPrefix = "kiln.graph/"

  /// The graph and every graph in it, in the order in which the text form begins them, numbered as the text form does.
  package var allGraphs: [Graph] {
    var found = [compacted(keepDeadNodes: true)]
    for node in found[0].nodes {
      for subgraph in (node.op as? any ControlFlowOp)?.subgraphs ?? [] { found += subgraph.allGraphs }
    }
    return found
  }

  /// Whether a node runs subgraphs.
  package var hasControlFlow: Bool { nodes.contains { $0.op is any ControlFlowOp } }

  /// The types of the outputs when the inputs have these types: how a control flow op infers its results.
  ///
  /// With fixed dims every type is inferred anew. Otherwise the symbols in the inputs' types are replaced by the operands'
  /// dims.
  ///
  /// - Throws: `KilnError` (`badInput`) that names the input that an operand does not fit.
  package func outputTypes(for operands: [TensorType], _ op: String) throws -> [TensorType] {
    guard operands.count == inputs.count else {
      throw KilnError(
        .badInput, "op '\(op)': graph \(KilnError.quoted(name)) has \(inputs.count) inputs where \(operands.count) values are given")
    }
    var bindings: [String: Dim] = [:]
    for (input, operand) in zip(inputs, operands) {
      let declared = type(of: input)
      guard declared.dtype == operand.dtype, declared.rank == operand.rank else { throw misfit(input, operand, op) }
      for (dim, given) in zip(declared.dims, operand.dims) {
        guard let symbol = dim.plainSymbol, bindings[symbol]?.fixed == nil else { continue }
        if let known = bindings[symbol] { DimEqualities.note(known, given) }
        bindings[symbol] = bindings[symbol] == nil || given.fixed != nil ? given : bindings[symbol]
      }
    }
    for (input, operand) in zip(inputs, operands) {
      for (dim, given) in zip(type(of: input).dims, operand.dims) {
        guard let a = dim.substituting(bindings).fixed, let b = given.fixed, a != b else { continue }
        throw misfit(input, operand, op)
      }
    }
    let shapes = operands.compactMap(\.shape)
    let bound = shapes.count == operands.count ? try specialized(to: shapes, allowingDataSizes: true) : self
    let types = bound.outputs.map { bound.type(of: $0.value) }
    let known = Set(bindings.keys)
    guard types.allSatisfy({ $0.dims.allSatisfy { $0.symbols.isSubset(of: known) } }) else {
      throw KilnError(.badInput, "op '\(op)': sizes of the results of graph \(KilnError.quoted(name)) depend on its data")
    }
    return types.map { TensorType($0.dtype, $0.dims.map { $0.substituting(bindings) }) }
  }

  private func misfit(_ input: ValueID, _ operand: TensorType, _ op: String) -> KilnError {
    KilnError(
      .badInput,
      "op '\(op)': input \(KilnError.quoted(self[input].name)) of graph \(KilnError.quoted(name)) is \(type(of: input).message), found \(operand.message)")
  }
}

extension Dim {
  /// The symbol's name, when the dim is a symbol and nothing else.
  package var plainSymbol: String? {
    guard constant == 0, terms.count == 1, terms[0].coefficient == 1, terms[0].atoms.count == 1,
      case .symbol(let name) = terms[0].atoms[0]
    else { return nil }
    return name
  }

  /// The dim with symbols replaced by other dims.
  package func substituting(_ bindings: [String: Dim]) -> Dim {
    if terms.isEmpty || bindings.isEmpty { return self }
    var sum = Dim(constant)
    for term in terms {
      var product = Dim(term.coefficient)
      for atom in term.atoms {
        switch atom {
        case .symbol(let name): product = product * (bindings[name] ?? .symbol(name))
        case .quotient(let dim, let divisor): product = product * dim.substituting(bindings).floorDivided(by: divisor)
        }
      }
      sum = sum + product
    }
    return sum
  }
}

/// Limits on loops that do not end by themselves.
package enum LoopLimit {
  /// Iterations of one loop on the reference backend.
  @TaskLocal package static var reference = 1 << 20

  /// The same for a loop that only its condition ends.
  @TaskLocal package static var unbounded = 1 << 20

  package static func exceeded(_ limit: Int) -> KilnError {
    KilnError(.failed, "a loop did not end within \(limit) iterations")
  }
}

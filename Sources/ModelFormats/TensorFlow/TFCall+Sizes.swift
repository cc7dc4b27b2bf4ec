import GraphModule
import TensorModule

/// Operands that give shapes, sizes and positions.
extension TFCall {
  /// The integers of an operand as dims: numbers and expressions over lengths. Numbers that the model computes become lengths
  /// that its data bind; a negative one is then an error when the model runs.
  func sizes(_ index: Int, _ what: String) throws -> [Dim] {
    let value = try input(index)
    guard let numbers = value.numbers else { throw unsupported("\(what) of type \(value.type.message) that depends on the model's data") }
    return try numbers.enumerated().map { place, dim in
      let open = dim.symbols.filter(builder.sizes.isOpen)
      if open.isEmpty { return dim }
      guard let symbol = dim.plainSymbol ?? value.ownNumbers?[place].plainSymbol else { throw KilnError(.internal, "\(what) has no symbols") }
      try builder.bind(symbol)
      return .symbol(symbol)
    }
  }

  /// One size.
  func size(_ index: Int, _ what: String) throws -> Dim {
    let dims = try sizes(index, what)
    guard dims.count == 1, let dim = dims.first else { throw wrong("\(what) must be one number, found \(dims.count)") }
    return dim
  }

  /// The integers of an operand, nil for those that the model computes.
  func numbers(_ index: Int, _ what: String) throws -> [Dim?] {
    let value = try input(index)
    guard let numbers = value.numbers else { throw unsupported("\(what) of type \(value.type.message) that depends on the model's data") }
    return numbers.map { $0.symbols.contains(where: builder.sizes.isOpen) ? nil : $0 }
  }

  /// An operand's integers as an int64 vector of the graph.
  func vector(_ index: Int) throws -> ValueID {
    let value = try cast(try x(index), .int64)
    return try reshape(value, [type(value).elementCount])
  }

  /// A length that the data bind.
  func fresh() -> Dim { builder.sizes.fresh() }

  /// Adds a node whose results' sizes depend on the data.
  func dynamic(_ op: any DataDependentOp, _ operands: [ValueID], _ suffix: String) throws -> [ValueID] {
    try builder.addDynamic(op, operands, name: "\(name)/\(suffix)", scope: name.lastIndex(of: "/").map { String(name[..<$0]) } ?? "")
  }

  /// A size as a scalar.
  func scalar(size dim: Dim, _ dtype: DType) throws -> ValueID {
    if let fixed = dim.fixed { return try scalar(Double(fixed), dtype) }
    return try cast(try reshape(try builder.size(dim), []), dtype)
  }

  /// Known elements with symbols as a value under the name of an output; nil when they are not few integers.
  func sizes(_ elements: DimTensor, output: Int) throws -> ValueID? {
    guard elements.dtype.isInteger, elements.elements.count <= TFValue.maximumNumbers else { return nil }
    var id = try builder.vector(elements.elements)
    id = try reshape(try cast(id, elements.dtype), elements.shape.map { Dim($0) })
    let wanted = output == 0 ? name : "\(name):\(output)"
    if builder.graph[id].name.hasPrefix("\(name)/"), builder.graph.value(named: wanted) == nil { builder.graph.rename(id, to: wanted) }
    return id
  }
}

import GraphModule
import TensorModule

/// Operands that give shapes, sizes and positions.
extension TFCall {
  /// The integers of an operand as dims: numbers and expressions over lengths. Numbers that the model computes become lengths
  /// that its data bind; a negative one is then an error when the model runs.
  ///
  /// - Parameter count: how many there must be, for operands whose own type does not say it.
  func sizes(_ index: Int, _ what: String, count: Int? = nil) throws -> [Dim] {
    try terms(index, what, count: count).map(builder.bound)
  }

  /// The integers of an operand as dims, for arithmetic: those that the model computes are no lengths of axes.
  func terms(_ index: Int, _ what: String, count: Int? = nil) throws -> [Dim] {
    var value = try input(index)
    if let count, value.numberCount == nil, value.type.elementCount.fixed == nil { value = values([try reshape(try x(index), [Dim(count)])])[0] }
    guard let numbers = value.numbers else { throw unsupported("\(what) of type \(value.type.message) that depends on the model's data") }
    return numbers
  }

  /// The same with −1, which the model must not compute, as nil.
  func sizesOrOpen(_ index: Int, _ what: String) throws -> [Dim?] {
    try terms(index, what).map { ($0.fixed ?? 0) < 0 ? nil : try builder.bound($0) }
  }

  /// One size.
  func size(_ index: Int, _ what: String) throws -> Dim {
    let dims = try sizes(index, what)
    guard dims.count == 1, let dim = dims.first else { throw wrong("\(what) must be one number, found \(dims.count)") }
    return dim
  }

  /// The integers of an operand, nil for those that the model computes.
  func numbers(_ index: Int, _ what: String, count: Int? = nil) throws -> [Dim?] {
    try terms(index, what, count: count).map { $0.symbols.contains(where: builder.sizes.isOpen) ? nil : $0 }
  }

  /// An operand's integers as an int64 vector of the graph.
  func vector(_ index: Int) throws -> ValueID {
    let value = try cast(try x(index), .int64)
    return try reshape(value, [type(value).elementCount])
  }

  /// A number that the model computes, a scalar or a vector of one element, as a length.
  func bound(_ number: ValueID) throws -> Dim {
    let value = TFValue.value(number, builder, name: name)
    if let known = value.known?.elements.first { return known }
    guard let dim = value.ownNumbers?.first else { throw KilnError(.internal, "\(value.type.message) is no size") }
    return try builder.bound(dim)
  }

  /// Sizes as the value of an int64 output.
  func vector(_ dims: [Dim], output: Int) throws -> TFValue {
    let elements = DimTensor(.int64, [dims.count], dims)
    let title = output == 0 ? name : "\(name):\(output)"
    func made() throws -> ValueID {
      guard let made = try sizes(elements, output: output) else { throw unsupported("a shape of \(dims.count) axes as data") }
      return made
    }
    if !dims.contains(where: { $0.symbols.contains(where: builder.sizes.isOpen) }) {
      return .known(elements, builder, name: title) { try made() }
    }
    let value = TFValue.value(try made(), builder, name: title)
    value.traced = elements
    return value
  }

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

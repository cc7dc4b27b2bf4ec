import GraphModule
import TensorModule

extension TFBuilder {
  /// A value of this graph with an axis whose length is the symbol; in a subgraph a capture, if nothing else has it.
  func place(of symbol: String) throws -> (value: ValueID, axis: Int)? {
    if let found = localPlace(of: symbol) { return found }
    guard let parent, let outer = try parent.place(of: symbol) else { return nil }
    let value = TFValue.value(outer.value, parent, name: parent.graph[outer.value].name)
    return (try id(value), outer.axis)
  }

  /// Whether a value of this graph, or of one around it, has the symbol as its length.
  func knows(_ symbol: String) -> Bool { localPlace(of: symbol) != nil || parent?.knows(symbol) == true }

  /// Captures what binds the symbols that are used in this subgraph without being bound there.
  func bindSymbols() throws {
    guard parent != nil else { return }
    var bound = Set(graph.symbols)
    for node in graph.nodes {
      let used = node.outputs.flatMap { graph.type(of: $0).dims.flatMap(\.symbols) }
        + (node.op is any SymbolicAttributes ? node.op.attributes.flatMap { $0.value.dimSymbols } : [])
      for symbol in Set(used).subtracting(bound).sorted() {
        if parent?.knows(symbol) == true, let outer = try parent?.place(of: symbol), let parent {
          _ = try id(TFValue.value(outer.value, parent, name: parent.graph[outer.value].name))
        }
        bound.insert(symbol)
      }
    }
  }

  /// A length as a scalar int64.
  func scalar(of dim: Dim) throws -> ValueID {
    if let fixed = dim.fixed { return try scalar(Double(fixed), .int64) }
    var sum: ValueID?
    func add(_ op: ScalarFunction, _ a: ValueID, _ b: ValueID) throws -> ValueID { try graph.addOne(Elementwise(op), [a, b], name: "size") }
    for term in dim.terms {
      var product: ValueID?
      for atom in term.atoms {
        let factor: ValueID
        switch atom {
        case .symbol(let symbol):
          guard let (value, axis) = try place(of: symbol) else {
            throw KilnError(.unsupportedModel, "the size \(KilnError.quoted(symbol)) as data is not supported here")
          }
          let shape = try graph.addOne(ShapeOf(), [value], name: "size")
          factor = try graph.addOne(Gather(axis: 0), [shape, try scalar(Double(axis), .int64)], name: "size")
        case .quotient(let inner, let divisor):
          factor = try add(.floorDiv, try scalar(of: inner), try scalar(Double(divisor), .int64))
        }
        product = try product.map { try add(.mul, $0, factor) } ?? factor
      }
      guard var value = product else { continue }
      if term.coefficient != 1 { value = try add(.mul, value, try scalar(Double(term.coefficient), .int64)) }
      sum = try sum.map { try add(.add, $0, value) } ?? value
    }
    guard let sum else { return try scalar(Double(dim.constant), .int64) }
    return dim.constant == 0 ? sum : try add(.add, sum, try scalar(Double(dim.constant), .int64))
  }

  /// Lengths as an int64 vector.
  func vector(of dims: [Dim]) throws -> ValueID {
    if let fixed = TensorType(.int64, dims).shape {
      return graph.addConstant("sizes", try Tensor(integers: fixed.map(Int64.init), dtype: .int64, shape: [fixed.count]))
    }
    return try graph.addOne(Concat(axis: 0), try dims.map { try graph.addOne(Reshape([1]), [try scalar(of: $0)], name: "size") }, name: "sizes")
  }

  /// Known elements in this graph.
  func materialised(_ elements: DimTensor) throws -> ValueID {
    var value = elements.shape.isEmpty ? try scalar(of: elements.elements.first ?? 0) : try vector(of: elements.elements)
    if elements.shape.count > 1 { value = try graph.addOne(Reshape(elements.shape.map { Dim($0) }), [value], name: "sizes") }
    return elements.dtype == .int64 ? value : try graph.addOne(Cast(elements.dtype), [value], name: "sizes")
  }

  /// A symbol for a size that depends on the data, which no other size has.
  func freshSymbol(_ stem: String) -> Dim {
    var root = self
    while let parent = root.parent { root = parent }
    root.sizes += 1
    return .symbol("\(stem)_\(root.sizes)")
  }
}

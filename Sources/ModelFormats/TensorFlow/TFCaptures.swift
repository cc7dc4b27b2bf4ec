import GraphModule
import TensorModule

/// What a subgraph under construction reads of the graphs around it.
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
    guard let parent else { return }
    var bound = Set(graph.symbols)
    for node in graph.nodes {
      let used = node.outputs.flatMap { graph.type(of: $0).dims.flatMap(\.symbols) }
        + (node.op is any SymbolicAttributes ? node.op.attributes.flatMap { $0.value.dimSymbols } : [])
      for symbol in Set(used).subtracting(bound).sorted() {
        if parent.knows(symbol), let outer = try parent.place(of: symbol) {
          _ = try id(TFValue.value(outer.value, parent, name: parent.graph[outer.value].name))
        }
        bound.insert(symbol)
      }
    }
  }

  /// A length as a scalar int64.
  func scalar(of dim: Dim) throws -> ValueID {
    if let fixed = dim.fixed { return try scalar(Double(fixed), .int64) }
    return try graph.addOne(Reshape([]), [try size(dim)], name: "sizes/scalar")
  }
}

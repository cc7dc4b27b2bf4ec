import TensorModule

/// The different values of a vector: `tf.unique_with_counts`, ONNX Unique.
package struct Unique: DataDependentOp {
  package static let name = "unique"
  package static let summary =
    "the different elements of a vector x in order of their first occurrence (or `sorted`), the index of each element of x among them (int64), and how often each occurs (int64); `dims` declares their number as for nonzero"

  package var sorted: Bool
  package var dims: [Dim]

  package init(sorted: Bool = false, _ count: Dim) {
    self.sorted = sorted
    dims = [count]
  }

  package var attributes: Attributes { [("sorted", .bool(sorted)), ("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws {
    sorted = try reader.bool("sorted")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.rank(inputs[0], 1...1, Self.name, "x")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the count alone")
    return [TensorType(inputs[0].dtype, dims), TensorType(.int64, inputs[0].dims), TensorType(.int64, dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    let (picks, places, counts): ([Int], [Int64], [Int64])
    switch x.storage {
    case .floats(let values): (picks, places, counts) = order(values) { $0 < $1 }
    case .integers(let values): (picks, places, counts) = order(values) { $0 < $1 }
    case .strings(let values): (picks, places, counts) = order(values) { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }
    return [
      x.picked([picks.count], picks), ReferenceTensor(.int64, x.shape, .integers(places)),
      ReferenceTensor(.int64, [counts.count], .integers(counts)),
    ]
  }

  /// The index of the first occurrence of each different value, the place of every value among them, and their counts.
  private func order<Value: Hashable>(
    _ values: [Value], _ isLess: (Value, Value) -> Bool
  ) -> (picks: [Int], places: [Int64], counts: [Int64]) {
    var known: [Value: Int] = [:]
    var picks: [Int] = []
    var places: [Int] = []
    for (index, value) in values.enumerated() {
      if let place = known[value] { places.append(place) } else {
        known[value] = picks.count
        places.append(picks.count)
        picks.append(index)
      }
    }
    if sorted {
      let order = picks.indices.sorted { isLess(values[picks[$0]], values[picks[$1]]) }
      var rank = [Int](repeating: 0, count: order.count)
      for (new, old) in order.enumerated() { rank[old] = new }
      picks = order.map { picks[$0] }
      places = places.map { rank[$0] }
    }
    var counts = [Int64](repeating: 0, count: picks.count)
    for place in places { counts[place] += 1 }
    return (picks, places.map(Int64.init), counts)
  }

  package func substituting(_ bindings: [String: Int]) -> Unique {
    Unique(sorted: sorted, dims[0].substituting(bindings))
  }

  package static var examples: [OpExample] {
    [
      OpExample(Unique(3), [TensorType(.int32, [6])], fixed: [0: [4, 1, 4, 4, -2, 1]]),
      OpExample(Unique(sorted: true, 3), [TensorType(.int64, [6])], fixed: [0: [4, 1, 4, 4, -2, 1]]),
      OpExample(Unique(2), [TensorType(.float32, [3])], fixed: [0: [0.5, -1, 0.5]]),
      OpExample(Unique(1), [TensorType(.uint8, [1])], fixed: [0: [7]]),
      OpExample(Unique(0), [TensorType(.int32, [0])]),
    ]
  }
}

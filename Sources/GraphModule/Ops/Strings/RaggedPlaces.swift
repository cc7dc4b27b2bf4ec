import TensorModule

/// The row and column of each element of rows of unequal lengths.
package struct RaggedPlaces: DataDependentOp {
  package static let name = "ragged_places"
  package static let summary =
    "of rows that splits (integers [rows + 1]) tell apart, the row and column of each element (int64 [count, 2]); 0, 1, … as many as the longest row has (int64); and the rows' lengths (int64 [rows]); `dims` declares the count and the longest row"

  package var dims: [Dim]

  package init(_ dims: [Dim]) { self.dims = dims }

  package var attributes: Attributes { [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws { dims = try reader.dims("dims") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try SizeOperand.vector(inputs[0], nil, Self.name, "splits")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 2, Self.name, "dims must be the count and the longest row")
    try Expect.that(inputs[0].dims[0].fixed != 0, Self.name, "splits must not be empty")
    return [TensorType(.int64, [dims[0], 2]), TensorType(.int64, [dims[1]]), TensorType(.int64, [inputs[0].dims[0] - 1])]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let splits = try RaggedRows.splits(inputs[0].integers.map { Int(clamping: $0) }, Self.name)
    _ = try SizeOperand.shape([Int64(splits.last ?? 0)], Self.name)
    let lengths = zip(splits, splits.dropFirst()).map { $1 - $0 }
    let longest = lengths.max() ?? 0
    let places = lengths.enumerated().flatMap { row, length in (0..<length).flatMap { [Int64(row), Int64($0)] } }
    return [
      ReferenceTensor(.int64, [places.count / 2, 2], .integers(places)),
      ReferenceTensor(.int64, [longest], .integers((0..<longest).map(Int64.init))),
      ReferenceTensor(.int64, [lengths.count], .integers(lengths.map(Int64.init))),
    ]
  }

  package func substituting(_ bindings: [String: Int]) -> RaggedPlaces { RaggedPlaces(dims.map { $0.substituting(bindings) }) }

  package static var examples: [OpExample] {
    [
      OpExample(RaggedPlaces([4, 3]), [TensorType(.int64, [4])], fixed: [0: [0, 3, 3, 4]]),
      OpExample(RaggedPlaces([2, 2]), [TensorType(.int32, [2])], fixed: [0: [0, 2]]),
      OpExample(RaggedPlaces([0, 0]), [TensorType(.int64, [1])], fixed: [0: [0]]),
    ]
  }
}

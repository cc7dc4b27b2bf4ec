import TensorModule

/// Strings with the same number joined, as in `tf.strings.unsorted_segment_join`.
package struct SegmentJoin: OpDefinition, SymbolicAttributes {
  package static let name = "segment_join"
  package static let summary =
    "the texts of x [n] whose element of the second operand (integers [n]) is 0, 1, …, joined in their order with the separator: [count], \"\" where there is none; negative numbers are left out, `dims` gives the count"

  package var separator: String
  package var dims: [Dim]

  package init(separator: String = "", _ count: Dim) { (self.separator, dims) = (separator, [count]) }

  package var attributes: Attributes { [("separator", .string(separator)), ("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws {
    separator = try reader.string("separator")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...1, Self.name, "the operand")
    try SizeOperand.vector(inputs[1], nil, Self.name, "the numbers")
    try Expect.equal(inputs[0].dims[0], inputs[1].dims[0], Self.name, "the numbers of texts and segments")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the count alone")
    return [TensorType(.string, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let count = try Expect.shape(outputs[0], Self.name)[0]
    var rows = [[UInt8]?](repeating: nil, count: count)
    let middle = Array(separator.utf8)
    for (text, segment) in zip(inputs[0].texts, inputs[1].integers) where segment >= 0 {
      guard segment < count else { throw KilnError(.badInput, "op '\(Self.name)': segment \(segment) is not below \(count)") }
      rows[Int(segment)] = (rows[Int(segment)].map { $0 + middle } ?? []) + text.bytes
    }
    return [ReferenceTensor(.string, [count], .strings(rows.map { ByteString($0 ?? []) }))]
  }

  package func substituting(_ bindings: [String: Int]) -> SegmentJoin {
    SegmentJoin(separator: separator, dims[0].substituting(bindings))
  }

  package static var examples: [OpExample] {
    let x = TensorType(.string, [4])
    return [
      OpExample(SegmentJoin(separator: ", ", 3), [x, TensorType(.int32, [4])], fixed: [1: [0, 2, 0, -1]]),
      OpExample(SegmentJoin(1), [x, TensorType(.int64, [4])], fixed: [1: [0, 0, 0, 0]]),
      OpExample(SegmentJoin(2), [TensorType(.string, [0]), TensorType(.int64, [0])], fixed: [1: []]),
      OpExample(SegmentJoin(0), [TensorType(.string, [1]), TensorType(.int32, [1])], fixed: [1: [-1]]),
    ]
  }
}

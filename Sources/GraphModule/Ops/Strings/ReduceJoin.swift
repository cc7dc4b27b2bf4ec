import TensorModule

/// Strings joined along the last axis, as in `tf.strings.reduce_join`.
package struct ReduceJoin: OpDefinition {
  package static let name = "reduce_join"
  package static let summary = "the texts along the last axis of x [..., n] joined with the separator between them: [...]"

  package var separator: String

  package init(separator: String = "") { self.separator = separator }

  package var attributes: Attributes { [("separator", .string(separator))] }

  package init(from reader: inout AttributeReader) throws { separator = try reader.string("separator") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...maximumRank, Self.name, "the operand")
    return [TensorType(.string, Array(inputs[0].dims.dropLast()))]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let (texts, length) = (inputs[0].texts, inputs[0].shape.last ?? 0)
    let middle = Array(separator.utf8)
    let out = (0..<shape.elementCount).map { row in
      ByteString(Array(texts[row * length..<(row + 1) * length].map(\.bytes).joined(separator: middle)))
    }
    return [ReferenceTensor(.string, shape, .strings(out))]
  }

  package static var examples: [OpExample] {
    [
      OpExample(ReduceJoin(), [TensorType(.string, [2, 3])]), OpExample(ReduceJoin(separator: ", "), [TensorType(.string, [4])]),
      OpExample(ReduceJoin(separator: "-"), [TensorType(.string, [2, 0])]), OpExample(ReduceJoin(), [TensorType(.string, [3, 1])]),
    ]
  }
}

import TensorModule

/// Strings joined element by element, as in `tf.strings.join`.
package struct StringJoin: OpDefinition {
  package static let name = "string_join"
  package static let summary = "the operands, broadcast, joined element by element with the separator between them"

  package var separator: String

  /// Bytes of a result: joins of joins double a text with every node.
  static let maximumBytes = 64 << 20

  package init(separator: String = "") { self.separator = separator }

  package var attributes: Attributes { [("separator", .string(separator))] }

  package init(from reader: inout AttributeReader) throws { separator = try reader.string("separator") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...4096, Self.name)
    var dims: [Dim] = []
    for (index, type) in inputs.enumerated() {
      try Expect.strings(type, Self.name, "operand \(index)")
      dims = try Broadcast.dims(dims, type.dims, Self.name)
    }
    return [TensorType(.string, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let parts = inputs.map { $0.broadcast(to: shape).texts }
    let middle = Array(separator.utf8)
    var bytes = shape.elementCount * middle.count * (parts.count - 1)
    for part in parts { bytes = part.reduce(bytes) { $0 + $1.bytes.count } }
    guard bytes <= Self.maximumBytes else {
      throw KilnError(.badInput, "op '\(Self.name)': makes \(bytes) bytes of text; the limit is \(Self.maximumBytes)")
    }
    let out = (0..<shape.elementCount).map { index in
      ByteString(Array(parts.map { $0[index].bytes }.joined(separator: middle)))
    }
    return [ReferenceTensor(.string, shape, .strings(out))]
  }

  package static var examples: [OpExample] {
    let row = TensorType(.string, [3])
    return [
      OpExample(StringJoin(separator: ", "), [row, row, TensorType(.string, [])]),
      OpExample(StringJoin(), [TensorType(.string, [2, 1]), row]), OpExample(StringJoin(separator: "x"), [row]),
      OpExample(StringJoin(), [TensorType(.string, [0, 3]), row]),
    ]
  }
}

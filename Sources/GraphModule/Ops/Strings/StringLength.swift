import TensorModule

/// How strings are measured.
package enum StringUnit: String, Sendable, CaseIterable {
  case bytes
  /// Characters: bytes that continue none.
  case characters
}

/// The lengths of strings, as in `tf.strings.length`.
package struct StringLength: OpDefinition {
  package static let name = "string_length"
  package static let summary = "the length of each text of x, in bytes or characters of UTF-8: int32, of x's shape"

  package var unit: StringUnit

  package init(_ unit: StringUnit = .bytes) { self.unit = unit }

  package var attributes: Attributes { [("unit", .word(unit.rawValue))] }

  package init(from reader: inout AttributeReader) throws { unit = try reader.choice("unit") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    return [TensorType(.int32, inputs[0].dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let lengths = inputs[0].texts.map { text in
      Int64(unit == .bytes ? text.count : text.bytes.reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) })
    }
    return [ReferenceTensor(.int32, inputs[0].shape, .integers(lengths))]
  }

  package static var examples: [OpExample] {
    StringUnit.allCases.map { OpExample(StringLength($0), [TensorType(.string, [3, 3])]) }
      + [OpExample(StringLength(), [TensorType(.string, [])]), OpExample(StringLength(), [TensorType(.string, [0])])]
  }
}

import TensorModule

/// Texts in another encoding of Unicode, as in `tf.strings.unicode_transcode`.
package struct UnicodeTranscode: OpDefinition {
  package static let name = "unicode_transcode"
  package static let summary =
    "each text of x from one encoding (utf_8, utf_16_be, utf_32_be) in another; ill-formed bytes become the replacement, go (ignore) or are an error (strict)"

  package var source: UnicodeEncoding
  package var target: UnicodeEncoding
  package var errors: UnicodeErrors

  package init(from source: UnicodeEncoding, to target: UnicodeEncoding, _ errors: UnicodeErrors) {
    (self.source, self.target, self.errors) = (source, target, errors)
  }

  package var attributes: Attributes {
    [("source", .word(source.rawValue)), ("target", .word(target.rawValue))] + errors.attributes
  }

  package init(from reader: inout AttributeReader) throws {
    source = try reader.choice("source")
    target = try reader.choice("target")
    errors = try UnicodeErrors(from: &reader)
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try errors.check(Self.name)
    return [inputs[0]]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let texts = try inputs[0].texts.map { text in
      ByteString(try source.decode(text.bytes, errors, Self.name).flatMap { target.encode($0.scalar) })
    }
    return [ReferenceTensor(.string, inputs[0].shape, .strings(texts))]
  }

  package static var examples: [OpExample] {
    let x = TensorType(.string, [3])
    return [
      OpExample(UnicodeTranscode(from: .utf8, to: .utf16, UnicodeErrors()), [x]),
      OpExample(UnicodeTranscode(from: .utf16, to: .utf8, UnicodeErrors(replacement: 63)), [x]),
      OpExample(UnicodeTranscode(from: .utf32, to: .utf8, UnicodeErrors(.ignore, controls: true)), [TensorType(.string, [1])]),
      OpExample(UnicodeTranscode(from: .utf8, to: .utf32, UnicodeErrors(.strict)), [TensorType(.string, [0])]),
    ]
  }
}

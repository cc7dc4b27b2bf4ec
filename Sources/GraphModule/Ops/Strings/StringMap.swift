import TensorModule

/// One text made of another: case and white space.
package struct StringMap: OpDefinition {
  package enum Function: String, Sendable, CaseIterable {
    /// ASCII's letters only; other bytes stay.
    case lower, upper
    /// Unicode's full mapping; bytes that are no character become U+FFFD.
    case lowerUnicode = "lower_unicode"
    case upperUnicode = "upper_unicode"
    /// Without white space of ASCII at the ends.
    case strip
  }

  package static let name = "string_map"
  package static let summary =
    "x with each text changed: lower and upper change ASCII's letters, lower_unicode and upper_unicode all, strip takes white space off the ends"

  package var function: Function

  package init(_ function: Function) { self.function = function }

  package var attributes: Attributes { [("function", .word(function.rawValue))] }

  package init(from reader: inout AttributeReader) throws { function = try reader.choice("function") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    return [inputs[0]]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    [ReferenceTensor(.string, inputs[0].shape, .strings(inputs[0].texts.map(apply)))]
  }

  private func apply(_ text: ByteString) -> ByteString {
    switch function {
    case .lower: ByteString(UTF8Text.asciiLower(text.bytes))
    case .upper: ByteString(UTF8Text.asciiUpper(text.bytes))
    case .lowerUnicode: ByteString(UTF8Text.mapped(text.bytes, upper: false))
    case .upperUnicode: ByteString(UTF8Text.mapped(text.bytes, upper: true))
    case .strip: ByteString(Array(UTF8Text.stripped(text.bytes)))
    }
  }

  package static var examples: [OpExample] {
    Function.allCases.map { OpExample(StringMap($0), [TensorType(.string, [2, 3])]) }
      + [OpExample(StringMap(.strip), [TensorType(.string, [])]), OpExample(StringMap(.lower), [TensorType(.string, [0, 2])])]
  }
}

extension Expect {
  /// Throws unless the operand holds strings.
  static func strings(_ type: TensorType, _ op: String, _ operand: String) throws {
    try that(type.dtype == .string, op, "\(operand) must be a tensor of strings, found \(type.message)")
  }
}

extension ReferenceTensor {
  /// The elements of a string tensor; of another none.
  package var texts: [ByteString] { if case .strings(let values) = storage { values } else { [] } }
}

import TensorModule

/// Numbers read from strings, as in `tf.strings.to_number`.
package struct StringToNumber: OpDefinition {
  package static let name = "string_to_number"
  package static let summary = "the number that each text of x is, white space around it left out; another text is an error"

  package var dtype: DType

  package init(_ dtype: DType) { self.dtype = dtype }

  package var attributes: Attributes { [("dtype", .word(dtype.name))] }

  package init(from reader: inout AttributeReader) throws { dtype = try reader.dtype("dtype") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.that(dtype.isFloat || dtype.isInteger, Self.name, "the dtype must be a number's, found \(dtype.name)")
    return [TensorType(dtype, inputs[0].dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    func wrong(_ text: ByteString) -> KilnError {
      KilnError(.badInput, "op '\(Self.name)': \(text.quoted) is no \(dtype.name)")
    }
    let trimmed = inputs[0].texts.map { ($0, String(decoding: UTF8Text.stripped($0.bytes), as: UTF8.self)) }
    if dtype.isFloat {
      let values = try trimmed.map { text, number in
        guard let value = StringToNumber.double(number) else { throw wrong(text) }
        return dtype == .float32 ? Double(Float(number) ?? Float(value)) : value
      }
      return [ReferenceTensor(dtype, shape, .floats(values))]
    }
    let values = try trimmed.map { text, number in
      guard let value = Int64(number), dtype.integerRange?.contains(value) == true else { throw wrong(text) }
      return value
    }
    return [ReferenceTensor(dtype, shape, .integers(values))]
  }

  /// Decimal numbers, `inf`, `infinity` and `nan` in any case; what Swift knows beyond that (hexadecimal floats) is none.
  private static func double(_ text: String) -> Double? {
    var rest = text.utf8[...]
    if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
    let word = UTF8Text.asciiLower(Array(rest))
    let isNegative = text.utf8.first == UInt8(ascii: "-")
    if word == Array("inf".utf8) || word == Array("infinity".utf8) { return isNegative ? -.infinity : .infinity }
    if word == Array("nan".utf8) { return .nan }
    guard word.allSatisfy({ (48...57).contains($0) || [43, 45, 46, 101].contains($0) }) else { return nil }
    return Double(text.utf8.first == UInt8(ascii: "+") ? String(text.dropFirst()) : text)
  }

  /// Without elements: what an example draws are words.
  package static var examples: [OpExample] {
    [
      OpExample(StringToNumber(.float32), [TensorType(.string, [0])]), OpExample(StringToNumber(.int64), [TensorType(.string, [1, 0])]),
      OpExample(StringToNumber(.float64), [TensorType(.string, [0, 3])]),
    ]
  }
}

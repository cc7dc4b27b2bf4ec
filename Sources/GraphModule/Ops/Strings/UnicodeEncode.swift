import TensorModule

/// Rows of characters' numbers as texts, as in `tf.strings.unicode_encode`.
package struct UnicodeEncode: OpDefinition {
  package static let name = "unicode_encode"
  package static let summary =
    "the text of each row of x (integers [count]), characters' numbers in rows that splits (integers [rows + 1]) tell apart: strings [rows]; a number that is no character's is treated as errors says"

  package var encoding: UnicodeEncoding
  package var errors: UnicodeErrors

  package init(_ encoding: UnicodeEncoding, _ errors: UnicodeErrors) { (self.encoding, self.errors) = (encoding, errors) }

  package var attributes: Attributes { [("encoding", .word(encoding.rawValue))] + errors.attributes }

  package init(from reader: inout AttributeReader) throws {
    encoding = try reader.choice("encoding")
    errors = try UnicodeErrors(from: &reader)
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try SizeOperand.vector(inputs[0], nil, Self.name, "the operand")
    try SizeOperand.vector(inputs[1], nil, Self.name, "splits")
    try errors.check(Self.name)
    try Expect.that(inputs[1].dims[0].fixed != 0, Self.name, "splits must not be empty")
    return [TensorType(.string, [inputs[1].dims[0] - 1])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let splits = try RaggedRows.splits(inputs[1].integers.map { Int(clamping: $0) }, Self.name)
    let numbers = inputs[0].integers
    guard splits.last == numbers.count else {
      throw KilnError(.badInput, "op '\(Self.name)': the rows hold \(splits.last ?? 0) elements and there are \(numbers.count)")
    }
    let texts = try zip(splits, splits.dropFirst()).map { start, end in
      ByteString(
        try numbers[start..<end].flatMap { number -> [UInt8] in
          let scalar = try UInt32(exactly: number).flatMap(Unicode.Scalar.init) ?? errors.substitute(Self.name)
          return scalar.map(encoding.encode) ?? []
        })
    }
    return [ReferenceTensor(.string, [texts.count], .strings(texts))]
  }

  package static var examples: [OpExample] {
    let (x, splits) = (TensorType(.int32, [5]), TensorType(.int64, [3]))
    let numbers: [Double] = [97, 0x20AC, 0x1F600, 0xD800, 98]
    return UnicodeEncoding.allCases.map {
      OpExample(UnicodeEncode($0, UnicodeErrors()), [x, splits], fixed: [0: numbers, 1: [0, 1, 5]])
    } + [
      OpExample(UnicodeEncode(.utf8, UnicodeErrors(.ignore)), [x, TensorType(.int32, [2])], fixed: [0: numbers, 1: [0, 5]]),
      OpExample(UnicodeEncode(.utf8, UnicodeErrors()), [TensorType(.int32, [0]), TensorType(.int64, [1])], fixed: [1: [0]]),
    ]
  }
}

import TensorModule

/// Texts as rows of characters' numbers, as in `tf.strings.unicode_decode`.
package struct UnicodeDecode: DataDependentOp {
  package static let name = "unicode_decode"
  package static let summary =
    "the numbers of the characters of each text of x [n], one after another (int32 [count]); the byte where each begins in its text (int64 [count]); and where each text's characters begin among them (int64 [n + 1]); `dims` declares the count"

  package var encoding: UnicodeEncoding
  package var errors: UnicodeErrors
  package var dims: [Dim]

  package init(_ encoding: UnicodeEncoding, _ errors: UnicodeErrors, _ dims: [Dim]) {
    (self.encoding, self.errors, self.dims) = (encoding, errors, dims)
  }

  package var attributes: Attributes { [("encoding", .word(encoding.rawValue))] + errors.attributes + [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws {
    encoding = try reader.choice("encoding")
    errors = try UnicodeErrors(from: &reader)
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...1, Self.name, "the operand")
    try errors.check(Self.name)
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the count alone")
    return [TensorType(.int32, dims), TensorType(.int64, dims), TensorType(.int64, [inputs[0].dims[0] + 1])]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    var (values, starts, marks): ([Int64], [Int64], [Int64]) = ([], [], [0])
    for text in inputs[0].texts {
      for (scalar, start) in try encoding.decode(text.bytes, errors, Self.name) {
        values.append(Int64(scalar.value))
        starts.append(Int64(start))
      }
      marks.append(Int64(values.count))
    }
    return [
      ReferenceTensor(.int32, [values.count], .integers(values)), ReferenceTensor(.int64, [starts.count], .integers(starts)),
      ReferenceTensor(.int64, [marks.count], .integers(marks)),
    ]
  }

  package func substituting(_ bindings: [String: Int]) -> UnicodeDecode {
    UnicodeDecode(encoding, errors, dims.map { $0.substituting(bindings) })
  }

  package static var examples: [OpExample] {
    let one = TensorType(.string, [1])
    let damaged: [Int: [ByteString]] = [0: [ByteString([0x61, 0xE2, 0x82, 0x07, 0xFF] as [UInt8])]]
    return [
      OpExample(UnicodeDecode(.utf8, UnicodeErrors(), [4]), [TensorType(.string, [2])], texts: [0: ["a\u{20AC}", "\u{1F600}b"]]),
      OpExample(UnicodeDecode(.utf8, UnicodeErrors(controls: true), [4]), [one], texts: damaged),
      OpExample(UnicodeDecode(.utf8, UnicodeErrors(.ignore), [2]), [one], texts: damaged),
      OpExample(UnicodeDecode(.utf16, UnicodeErrors(replacement: 63), [3]), [one], texts: damaged),
      OpExample(UnicodeDecode(.utf32, UnicodeErrors(.strict), [0]), [TensorType(.string, [0])]),
    ]
  }
}

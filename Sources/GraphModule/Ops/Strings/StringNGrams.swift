import TensorModule

/// N-grams of the strings along the last axis, as in `tf.strings.ngrams` without padding.
package struct StringNGrams: OpDefinition {
  package static let name = "string_ngrams"
  package static let summary =
    "the runs of each width along the last axis of x [..., n], joined with the separator: [..., sum of max(n - width + 1, 0)], those of the first width first"

  package var widths: [Int]
  package var separator: String

  package init(widths: [Int], separator: String = " ") {
    self.widths = widths
    self.separator = separator
  }

  package var attributes: Attributes { [("widths", .ints(widths)), ("separator", .string(separator))] }

  package init(from reader: inout AttributeReader) throws {
    widths = try reader.ints("widths")
    separator = try reader.string("separator")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.strings(x, Self.name, "the operand")
    try Expect.rank(x, 1...maximumRank, Self.name, "the operand")
    try Expect.that(widths.count <= 64 && widths.allSatisfy { (1...1024).contains($0) }, Self.name, "widths must be from 1 to 1024")
    guard let length = x.dims[x.rank - 1].fixed else {
      throw KilnError(.badInput, "op '\(Self.name)': the last axis of \(x.message) must be known")
    }
    let count = widths.reduce(0) { min($0 + min(max(length - $1 + 1, 0), 1 << 48), 1 << 48) }
    return [TensorType(.string, x.dims.dropLast() + [Dim(count)])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let length = inputs[0].shape.last ?? 0
    let texts = inputs[0].texts
    let rows = inputs[0].shape.dropLast().reduce(1, *)
    let out = (0..<rows).flatMap {
      Tokenizer.ngrams(texts[$0 * length..<($0 + 1) * length], widths, Array(separator.utf8))
    }
    return [ReferenceTensor(.string, shape, .strings(out))]
  }

  package static var examples: [OpExample] {
    [
      OpExample(StringNGrams(widths: [2]), [TensorType(.string, [2, 5])]),
      OpExample(StringNGrams(widths: [1, 3], separator: "--"), [TensorType(.string, [4])]),
      OpExample(StringNGrams(widths: [3]), [TensorType(.string, [2, 2])]),
      OpExample(StringNGrams(widths: [2]), [TensorType(.string, [1, 3])]),
      OpExample(StringNGrams(widths: [1]), [TensorType(.string, [0, 3])]),
    ]
  }
}

import TensorModule

/// Texts split into tokens along a new last axis: longer rows are cut to its length, shorter ones padded with "". A length
/// that is a new symbol is that of the longest row.
package struct StringSplit: DataDependentOp {
  package static let name = "string_split"
  package static let summary =
    "the tokens of each text of x [...], or their n-grams, along a new last axis: [..., length], cut or padded with \"\" (`length` is a number, or a symbol that the data bind); and how many there were, int64 [...]"

  package var tokenizer: Tokenizer
  package var length: Dim

  package init(_ tokenizer: Tokenizer, length: Dim) {
    self.tokenizer = tokenizer
    self.length = length
  }

  package var attributes: Attributes { tokenizer.attributes + [("length", .dims([length]))] }

  package init(from reader: inout AttributeReader) throws {
    tokenizer = try Tokenizer(from: &reader)
    let dims = try reader.dims("length")
    try Expect.that(dims.count == 1, Self.name, "length must be one dim, found \(dims.count)")
    length = dims[0]
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 0...(maximumRank - 1), Self.name, "the operand")
    try tokenizer.check(Self.name)
    try Expect.that((0...Int(Int32.max)).contains(length.fixed ?? 0), Self.name, "length must be 0 or more, found \(length)")
    return [TensorType(.string, inputs[0].dims + [length]), TensorType(.int64, inputs[0].dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] { split(inputs[0], to: length.fixed) }

  /// The tokens and their numbers; without a length rows are as long as the longest.
  private func split(_ x: ReferenceTensor, to length: Int?) -> [ReferenceTensor] {
    let rows = x.texts.map(tokenizer.tokens)
    let length = length ?? rows.reduce(0) { max($0, $1.count) }
    var out: [ByteString] = []
    out.reserveCapacity(rows.count * length)
    for tokens in rows {
      out += tokens.prefix(length)
      if tokens.count < length { out += repeatElement("", count: length - tokens.count) }
    }
    return [
      ReferenceTensor(.string, x.shape + [length], .strings(out)),
      ReferenceTensor(.int64, x.shape, .integers(rows.map { Int64($0.count) })),
    ]
  }

  package func substituting(_ bindings: [String: Int]) -> StringSplit {
    StringSplit(tokenizer, length: length.substituting(bindings))
  }

  package static var examples: [OpExample] {
    [
      OpExample(StringSplit(Tokenizer(.whitespace), length: 3), [TensorType(.string, [5])]),
      OpExample(StringSplit(Tokenizer(.characters), length: 4), [TensorType(.string, [2, 4])]),
      OpExample(StringSplit(Tokenizer(.separator, separator: "o"), length: 2), [TensorType(.string, [6])]),
      OpExample(StringSplit(Tokenizer(.characters, ngrams: [1, 3]), length: 9), [TensorType(.string, [4])]),
      OpExample(StringSplit(Tokenizer(.whitespace, ngrams: [2], ngramSeparator: "_"), length: 1), [TensorType(.string, [])]),
      OpExample(StringSplit(Tokenizer(.whitespace), length: 0), [TensorType(.string, [2])]),
      OpExample(StringSplit(Tokenizer(.whitespace), length: 2), [TensorType(.string, [0])]),
    ]
  }
}

import TensorModule

/// How often each entry of a vocabulary is among the tokens of a text: what splitting, looking up and counting give
/// without an axis of tokens, whose length the data decide.
package struct TokenCounts: OpDefinition {
  package static let name = "token_counts"
  package static let summary =
    "for each text of x [...] the counts [..., depth] of the entries of keys [n], at first and beyond, among its tokens or their n-grams; others count at unknown, empty ones nowhere; with binary 1 where any"

  package var tokenizer: Tokenizer
  package var depth: Int
  /// The place of the first entry.
  package var first: Int
  /// The place of tokens that are no entry; -1 leaves them out.
  package var unknown: Int
  package var isBinary: Bool
  package var dtype: DType

  package init(_ tokenizer: Tokenizer, depth: Int, first: Int, unknown: Int, binary: Bool, dtype: DType = .float32) {
    self.tokenizer = tokenizer
    self.depth = depth
    self.first = first
    self.unknown = unknown
    isBinary = binary
    self.dtype = dtype
  }

  package var attributes: Attributes {
    tokenizer.attributes + [
      ("depth", .int(depth)), ("first", .int(first)), ("unknown", .int(unknown)), ("binary", .bool(isBinary)),
      ("dtype", .word(dtype.name)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    tokenizer = try Tokenizer(from: &reader)
    depth = try reader.int("depth")
    first = try reader.int("first")
    unknown = try reader.int("unknown")
    isBinary = try reader.bool("binary")
    dtype = try reader.dtype("dtype")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    for (index, type) in inputs.enumerated() { try Expect.strings(type, Self.name, "operand \(index)") }
    try Expect.rank(inputs[0], 0...(maximumRank - 1), Self.name, "the texts")
    try Expect.rank(inputs[1], 1...1, Self.name, "the keys")
    try tokenizer.check(Self.name)
    try Expect.that((0...Int(Int32.max)).contains(depth), Self.name, "depth must be 0 or more, found \(depth)")
    try Expect.that((0...depth).contains(first), Self.name, "first \(first) is beyond the depth \(depth)")
    try Expect.that((-1..<max(depth, 0)).contains(unknown), Self.name, "unknown \(unknown) is beyond the depth \(depth)")
    try Expect.that(dtype.isFloat || dtype.isInteger, Self.name, "counts are numbers, found \(dtype.name)")
    return [TensorType(dtype, inputs[0].dims + [Dim(depth)])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let places = Dictionary(inputs[1].texts.enumerated().map { ($1, $0 + first) }, uniquingKeysWith: { old, _ in old })
    var counts = [Double](repeating: 0, count: shape.elementCount)
    for (row, text) in inputs[0].texts.enumerated() {
      for token in tokenizer.tokens(text) where !token.isEmpty {
        let place = places[token] ?? unknown
        guard place >= 0, place < depth else { continue }
        counts[row * depth + place] = isBinary ? 1 : counts[row * depth + place] + 1
      }
    }
    return [ReferenceTensor(dtype, shape, numbers: counts)]
  }

  package static var examples: [OpExample] {
    func s(_ dims: [Dim]) -> TensorType { TensorType(.string, dims) }
    return [
      OpExample(TokenCounts(Tokenizer(.whitespace), depth: 6, first: 1, unknown: 0, binary: false), [s([4]), s([5])]),
      OpExample(TokenCounts(Tokenizer(.characters), depth: 3, first: 0, unknown: -1, binary: true, dtype: .int64), [s([3, 2]), s([2])]),
      OpExample(TokenCounts(Tokenizer(.characters, ngrams: [1, 2]), depth: 3, first: 1, unknown: 0, binary: false), [s([]), s([9])]),
      OpExample(TokenCounts(Tokenizer(.whitespace), depth: 2, first: 1, unknown: 0, binary: false), [s([0]), s([1])]),
    ]
  }
}

import TensorModule

/// Texts split into parts of any number, as in `tf.strings.split`: the parts in one row, with the places where they stand.
package struct StringParts: DataDependentOp {
  package enum Split: String, Sendable, CaseIterable {
    /// At runs of ASCII's white space; no part is empty.
    case whitespace
    /// At a separator.
    case separator
    /// At every byte that the separator has.
    case bytes
    /// Every byte is a part.
    case every
  }

  package static let name = "string_parts"
  package static let summary =
    "the parts of each text of x [n], one after another: the place of each as row and column (int64 [count, 2]), the parts [count], and 0, 1, … as many as the longest row has (int64); `dims` declares the count and that length"

  package var split: Split
  package var separator: String
  /// Whether empty parts are left out.
  package var skipsEmpty: Bool
  /// The most splits in a text; what is left is one part. -1: no limit.
  package var limit: Int
  package var dims: [Dim]

  package init(_ split: Split, separator: String = "", skipsEmpty: Bool = false, limit: Int = -1, _ dims: [Dim]) {
    (self.split, self.separator, self.skipsEmpty, self.limit, self.dims) = (split, separator, skipsEmpty, limit, dims)
  }

  package var attributes: Attributes {
    [
      ("split", .word(split.rawValue)), ("separator", .string(separator)), ("skip_empty", .bool(skipsEmpty)), ("limit", .int(limit)),
      ("dims", .dims(dims)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    split = try reader.choice("split")
    separator = try reader.string("separator")
    skipsEmpty = try reader.bool("skip_empty")
    limit = try reader.int("limit")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...1, Self.name, "the operand")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 2, Self.name, "dims must be the count and the longest row")
    try Expect.that(
      (split == .separator || split == .bytes) != separator.isEmpty, Self.name, "a separator goes with split: separator and bytes, and only with these")
    return [TensorType(.int64, [dims[0], 2]), TensorType(.string, [dims[0]]), TensorType(.int64, [dims[1]])]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    var (places, parts, longest): ([Int64], [ByteString], Int) = ([], [], 0)
    for (row, text) in inputs[0].texts.enumerated() {
      var found = self.parts(text.bytes)
      if skipsEmpty { found.removeAll(where: \.isEmpty) }
      for column in found.indices { places += [Int64(row), Int64(column)] }
      parts += found.map { ByteString($0) }
      longest = max(longest, found.count)
    }
    return [
      ReferenceTensor(.int64, [parts.count, 2], .integers(places)), ReferenceTensor(.string, [parts.count], .strings(parts)),
      ReferenceTensor(.int64, [longest], .integers((0..<longest).map(Int64.init))),
    ]
  }

  private func parts(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    if limit == 0 { return [bytes[...]] }
    // TensorFlow 1's splits find nothing in an empty text.
    if split == .bytes, bytes.isEmpty { return [] }
    switch split {
    case .every: return bytes.indices.map { bytes[$0...$0] }
    case .whitespace: return words(bytes)
    case .bytes:
      let marks = Set(separator.utf8)
      return bytes.split(maxSplits: limit < 0 ? Int.max : limit, omittingEmptySubsequences: false) { marks.contains($0) }
    case .separator: return between(bytes, Array(separator.utf8))
    }
  }

  private func words(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var out: [ArraySlice<UInt8>] = []
    var rest = bytes.drop(while: UTF8Text.isSpace)
    while !rest.isEmpty {
      let word = rest.prefix { !UTF8Text.isSpace($0) }
      out.append(word)
      rest = rest[word.endIndex...].drop(while: UTF8Text.isSpace)
      if out.count == limit { return out + [rest] }
    }
    return out
  }

  private func between(_ bytes: [UInt8], _ mark: [UInt8]) -> [ArraySlice<UInt8>] {
    var out: [ArraySlice<UInt8>] = []
    var (start, position) = (0, 0)
    while let first = mark.first, position + mark.count <= bytes.count, out.count != limit {
      if bytes[position] == first, bytes[position..<position + mark.count].elementsEqual(mark) {
        out.append(bytes[start..<position])
        position += mark.count
        start = position
      } else {
        position += 1
      }
    }
    return out + [bytes[start...]]
  }

  package func substituting(_ bindings: [String: Int]) -> StringParts {
    var copy = self
    copy.dims = dims.map { $0.substituting(bindings) }
    return copy
  }

  package static var examples: [OpExample] {
    let two = TensorType(.string, [2])
    return [
      OpExample(StringParts(.whitespace, [4, 3]), [two], texts: [0: [" a  b c", "d "]]),
      OpExample(StringParts(.separator, separator: ", ", limit: 1, [3, 2]), [two], texts: [0: ["a, b, c", ""]]),
      OpExample(StringParts(.bytes, separator: ";,", skipsEmpty: true, [2, 2]), [two], texts: [0: ["a;,b", ";"]]),
      OpExample(StringParts(.every, [3, 3]), [TensorType(.string, [1])], texts: [0: ["a b"]]),
      OpExample(StringParts(.whitespace, [0, 0]), [TensorType(.string, [0])]),
      OpExample(StringParts(.whitespace, limit: 0, [1, 1]), [TensorType(.string, [1])]),
    ]
  }
}

import TensorModule

/// How a text becomes tokens, and tokens n-grams.
package struct Tokenizer: Sendable, Hashable {
  package enum Split: String, Sendable, CaseIterable {
    /// At white space of ASCII; no token is empty.
    case whitespace
    /// At a separator; what lies between two of them may be empty.
    case separator
    /// Every character.
    case characters
  }

  package var split: Split
  package var separator: String
  /// The widths of n-grams in the order in which they follow each other; none leaves the tokens as they are.
  package var ngrams: [Int]
  package var ngramSeparator: String

  package init(_ split: Split, separator: String = "", ngrams: [Int] = [], ngramSeparator: String = " ") {
    self.split = split
    self.separator = separator
    self.ngrams = ngrams
    self.ngramSeparator = ngramSeparator
  }

  init(from reader: inout AttributeReader) throws {
    split = try reader.choice("split")
    separator = try reader.string("separator")
    ngrams = try reader.ints("ngrams")
    ngramSeparator = try reader.string("ngram_separator")
  }

  var attributes: Attributes {
    [
      ("split", .word(split.rawValue)), ("separator", .string(separator)), ("ngrams", .ints(ngrams)),
      ("ngram_separator", .string(ngramSeparator)),
    ]
  }

  func check(_ op: String) throws {
    try Expect.that((split == .separator) != separator.isEmpty, op, "a separator goes with split: separator, and only with it")
    try Expect.that(ngrams.count <= 64 && ngrams.allSatisfy { (1...1024).contains($0) }, op, "ngrams must be widths from 1 to 1024")
  }

  package func tokens(_ text: ByteString) -> [ByteString] {
    let tokens: [ByteString] =
      switch split {
      case .whitespace: words(text.bytes)
      case .separator: parts(text.bytes, Array(separator.utf8))
      case .characters: UTF8Text.characters(text.bytes)
      }
    return ngrams.isEmpty ? tokens : Tokenizer.ngrams(tokens[...], ngrams, Array(ngramSeparator.utf8))
  }

  private func words(_ bytes: [UInt8]) -> [ByteString] {
    var out: [ByteString] = []
    var start = 0
    for position in 0...bytes.count where position == bytes.count || UTF8Text.isSpace(bytes[position]) {
      if position > start { out.append(ByteString(Array(bytes[start..<position]))) }
      start = position + 1
    }
    return out
  }

  private func parts(_ bytes: [UInt8], _ separator: [UInt8]) -> [ByteString] {
    var out: [ByteString] = []
    var start = 0
    var position = 0
    while let first = separator.first, position + separator.count <= bytes.count {
      if bytes[position] == first, bytes[position..<position + separator.count].elementsEqual(separator) {
        out.append(ByteString(Array(bytes[start..<position])))
        position += separator.count
        start = position
      } else {
        position += 1
      }
    }
    return out + [ByteString(Array(bytes[start...]))]
  }

  /// The n-grams of a row: those of the first width, then those of the next; a row shorter than a width has none of it.
  static func ngrams(_ tokens: ArraySlice<ByteString>, _ widths: [Int], _ separator: [UInt8]) -> [ByteString] {
    widths.flatMap { width -> [ByteString] in
      if width == 1 { return Array(tokens) }
      guard tokens.count >= width else { return [] }
      return (tokens.startIndex...(tokens.endIndex - width)).map { start in
        var bytes = tokens[start].bytes
        for token in tokens[(start + 1)..<(start + width)] {
          bytes += separator
          bytes += token.bytes
        }
        return ByteString(bytes)
      }
    }
  }
}

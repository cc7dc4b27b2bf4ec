import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Results whose sizes the data decide: parts of texts in rows of unequal lengths.
  static let ragged = Family(
    "Ragged texts",
    [
      "UnicodeEncode": { call in
        let encode = UnicodeEncode(try encoding(call, "output_encoding"), try unicodeErrors(call))
        return [try call.add(encode, [try call.x(0), try call.x(1)], "encode")]
      },
      "UnicodeDecode": { try unicodeDecode($0, offsets: false) },
      "UnicodeDecodeWithOffsets": { try unicodeDecode($0, offsets: true) },
      "StringNGrams": { call in
        let ngrams = RaggedNGrams(
          widths: try call.ints("ngram_widths"), separator: try call.text("separator", ""), leftPad: try call.text("left_pad", ""),
          rightPad: try call.text("right_pad", ""), padWidth: try call.int("pad_width", 0),
          preservesShort: try call.bool("preserve_short_sequences"), [try ngramCount(call)])
        let results = try call.dynamic(ngrams, [try call.x(0), try call.x(1)], "ngrams")
        return [results[0], try call.cast(results[1], try call.input(1).type.dtype)]
      },
    ],
    values: [
      "StringSplit": { call in
        let mark = try scalarText(call, 1, "a delimiter")
        return try parts(call, mark.isEmpty ? .every : .bytes, mark, skipsEmpty: try call.bool("skip_empty", true), limit: -1)
      },
      "StringSplitV2": { call in
        let mark = try scalarText(call, 1, "a separator")
        return try parts(call, mark.isEmpty ? .whitespace : .separator, mark, skipsEmpty: false, limit: Swift.max(try call.int("maxsplit", -1), -1))
      },
    ])

  private static func parts(
    _ call: TFCall, _ split: StringParts.Split, _ separator: String, skipsEmpty: Bool, limit: Int
  ) throws -> [TFValue] {
    let x = try call.x(0)
    let parts = StringParts(split, separator: separator, skipsEmpty: skipsEmpty, limit: limit, [call.dataSize(), call.dataSize()])
    let results = try call.dynamic(parts, [x], "parts")
    let shape = try call.vector([call.type(x).dims[0], call.type(results[2]).dims[0]], output: 2)
    return call.values(Array(results[0...1])) + [shape]
  }

  private static func unicodeDecode(_ call: TFCall, offsets: Bool) throws -> [ValueID] {
    let x = try call.x(0)
    let decode = UnicodeDecode(try encoding(call, "input_encoding"), try unicodeErrors(call), [call.dataSize()])
    let results = try call.dynamic(decode, [x], "decode")
    let splits = try call.cast(results[2], try call.dtype("Tsplits", .int64))
    return offsets ? [splits, results[0], results[1]] : [splits, results[0]]
  }

  /// The number of n-grams: known when it is the same for every row of a known length.
  private static func ngramCount(_ call: TFCall) throws -> Dim {
    guard let splits = try call.input(1).known?.fixed, splits.count <= 4096 else { return call.dataSize() }
    let pad = try call.int("pad_width", 0)
    var total = 0
    for (start, end) in zip(splits, splits.dropFirst()) {
      var row = 0
      for width in try call.ints("ngram_widths") {
        let most = pad < 0 ? width - 1 : Swift.min(pad, width - 1)
        row += Swift.max(end - start + 2 * most - width + 1, 0)
      }
      if row == 0, end > start, try call.bool("preserve_short_sequences") { row = 1 }
      total += row
    }
    return Dim(total)
  }
}

import TensorModule

/// N-grams of rows of unequal lengths, with padding, as in `tf.strings.ngrams`.
package struct RaggedNGrams: DataDependentOp {
  package static let name = "ragged_ngrams"
  package static let summary =
    "the runs of each width in the rows of x [count], which splits (integers [rows + 1]) tell apart, joined with the separator, those of a row's first width first; and the rows' new splits (int64); `dims` declares the new count"

  package var widths: [Int]
  package var separator: String
  package var leftPad: String
  package var rightPad: String
  /// How many pads go before and after a row; -1: one less than the width, which is the most in any case.
  package var padWidth: Int
  /// Whether a row without any run is one n-gram as a whole.
  package var preservesShort: Bool
  package var dims: [Dim]

  package init(
    widths: [Int], separator: String, leftPad: String = "", rightPad: String = "", padWidth: Int = 0, preservesShort: Bool = false,
    _ dims: [Dim]
  ) {
    (self.widths, self.separator, self.leftPad, self.rightPad) = (widths, separator, leftPad, rightPad)
    (self.padWidth, self.preservesShort, self.dims) = (padWidth, preservesShort, dims)
  }

  package var attributes: Attributes {
    [
      ("widths", .ints(widths)), ("separator", .string(separator)), ("left_pad", .string(leftPad)), ("right_pad", .string(rightPad)),
      ("pad_width", .int(padWidth)), ("preserve_short", .bool(preservesShort)), ("dims", .dims(dims)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    widths = try reader.ints("widths")
    separator = try reader.string("separator")
    leftPad = try reader.string("left_pad")
    rightPad = try reader.string("right_pad")
    padWidth = try reader.int("pad_width")
    preservesShort = try reader.bool("preserve_short")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...1, Self.name, "the operand")
    try SizeOperand.vector(inputs[1], nil, Self.name, "splits")
    try Expect.that(
      (1...64).contains(widths.count) && widths.allSatisfy { (1...1024).contains($0) }, Self.name, "widths must be from 1 to 1024")
    try Expect.that((-1...1024).contains(padWidth), Self.name, "pad_width must be from -1 to 1024, found \(padWidth)")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the count alone")
    return [TensorType(.string, dims), TensorType(.int64, inputs[1].dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let texts = inputs[0].texts
    let splits = try RaggedRows.splits(inputs[1].integers.map { Int(clamping: $0) }, Self.name)
    guard splits.last == texts.count else {
      throw KilnError(.badInput, "op '\(Self.name)': the rows hold \(splits.last ?? 0) elements and there are \(texts.count)")
    }
    var (out, marks): ([ByteString], [Int64]) = ([], [0])
    for (start, end) in zip(splits, splits.dropFirst()) {
      let row = texts[start..<end]
      let before = out.count
      for width in widths { runs(row, width, pad: min(padWidth < 0 ? width - 1 : padWidth, width - 1), &out) }
      if preservesShort, out.count == before, !row.isEmpty {
        let pad = max(padWidth, 0)
        runs(row, row.count + 2 * pad, pad: pad, &out)
      }
      guard out.count <= SizeOperand.mostMade else { throw KilnError(.badInput, "op '\(Self.name)': too many n-grams") }
      marks.append(Int64(out.count))
    }
    return [ReferenceTensor(.string, [out.count], .strings(out)), ReferenceTensor(.int64, [marks.count], .integers(marks))]
  }

  private func runs(_ row: ArraySlice<ByteString>, _ width: Int, pad: Int, _ out: inout [ByteString]) {
    let (left, right, middle) = (Array(leftPad.utf8), Array(rightPad.utf8), Array(separator.utf8))
    for first in stride(from: -pad, through: row.count + pad - width, by: 1) {
      let parts = (first..<first + width).map { place in
        place < 0 ? left : place >= row.count ? right : row[row.startIndex + place].bytes
      }
      out.append(ByteString(Array(parts.joined(separator: middle))))
    }
  }

  package func substituting(_ bindings: [String: Int]) -> RaggedNGrams {
    var copy = self
    copy.dims = dims.map { $0.substituting(bindings) }
    return copy
  }

  package static var examples: [OpExample] {
    func s(_ count: Dim) -> TensorType { TensorType(.string, [count]) }
    let splits = TensorType(.int64, [4])
    return [
      OpExample(RaggedNGrams(widths: [2], separator: " ", [3]), [s(5), splits], fixed: [1: [0, 4, 4, 5]]),
      OpExample(
        RaggedNGrams(widths: [1, 2], separator: "_", leftPad: "<", rightPad: ">", padWidth: -1, [8]), [s(3), TensorType(.int32, [3])],
        fixed: [1: [0, 2, 3]]),
      OpExample(RaggedNGrams(widths: [4], separator: " ", preservesShort: true, [1]), [s(1), TensorType(.int64, [2])], fixed: [1: [0, 1]]),
      OpExample(RaggedNGrams(widths: [2], separator: "", [0]), [s(0), TensorType(.int64, [1])], fixed: [1: [0]]),
    ]
  }
}

/// Helpers for ops on rows of unequal lengths.
enum RaggedRows {
  /// Row splits that ascend from 0.
  static func splits(_ numbers: [Int], _ op: String) throws -> [Int] {
    guard numbers.first == 0, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 <= $1 }) else {
      throw KilnError(.badInput, "op '\(op)': row splits must ascend from 0")
    }
    return numbers
  }
}

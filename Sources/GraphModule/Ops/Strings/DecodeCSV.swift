import TensorModule

/// Records of comma-separated values, as in `tf.io.decode_csv`.
package struct DecodeCSV: OpDefinition {
  package static let name = "decode_csv"
  package static let summary =
    "the fields of each text of x, one tensor of x's shape a column; the operands after x give each column's dtype and, with an element, what an empty field is: without one such a field is an error"

  package var delimiter: String
  /// Whether fields may stand in double quotes.
  package var quotes: Bool
  /// A text that counts as an empty field.
  package var missing: String
  /// The columns to take, ascending; empty takes all.
  package var columns: [Int]

  package init(delimiter: String = ",", quotes: Bool = true, missing: String = "", columns: [Int] = []) {
    (self.delimiter, self.quotes, self.missing, self.columns) = (delimiter, quotes, missing, columns)
  }

  package var attributes: Attributes {
    [("delimiter", .string(delimiter)), ("quotes", .bool(quotes)), ("missing", .string(missing)), ("columns", .ints(columns))]
  }

  package init(from reader: inout AttributeReader) throws {
    delimiter = try reader.string("delimiter")
    quotes = try reader.bool("quotes")
    missing = try reader.string("missing")
    columns = try reader.ints("columns")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...4096, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.that(delimiter.utf8.count == 1, Self.name, "the delimiter must be one byte, found \(KilnError.quoted(delimiter))")
    try Expect.that(columns.isEmpty || columns.count == inputs.count - 1, Self.name, "\(columns.count) columns for \(inputs.count - 1) defaults")
    try Expect.that(
      columns.allSatisfy { $0 >= 0 } && zip(columns, columns.dropFirst()).allSatisfy { $0 < $1 }, Self.name, "columns must ascend")
    return try inputs.dropFirst().map { type in
      try Expect.that(type.rank <= 1, Self.name, "a default must be one element or none, found \(type.message)")
      return TensorType(type.dtype, inputs[0].dims)
    }
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let records = try inputs[0].texts.enumerated().map { index, text -> [ByteString] in
      let fields = try fields(text.bytes, index)
      if columns.isEmpty {
        guard fields.count == inputs.count - 1 else {
          throw KilnError(.badInput, "op '\(Self.name)': record \(index) has \(fields.count) fields, expected \(inputs.count - 1)")
        }
        return fields
      }
      return try columns.map { column in
        guard fields.indices.contains(column) else {
          throw KilnError(.badInput, "op '\(Self.name)': record \(index) has \(fields.count) fields; column \(column) is missing")
        }
        return fields[column]
      }
    }
    return try inputs.dropFirst().enumerated().map { column, other in
      let empty = ByteString(missing)
      let texts = records.map { $0[column] }
      func isMissing(_ text: ByteString) -> Bool { text.isEmpty || text == empty }
      if other.count == 0, let index = texts.firstIndex(where: isMissing) {
        throw KilnError(.badInput, "op '\(Self.name)': field \(column) of record \(index) is empty")
      }
      if other.dtype == .string {
        let values = texts.map { isMissing($0) ? other.texts[0] : $0 }
        return ReferenceTensor(.string, inputs[0].shape, .strings(values))
      }
      let given = texts.map { isMissing($0) ? ByteString("0") : $0 }
      let numbers = try StringToNumber(other.dtype).reference(
        [ReferenceTensor(.string, inputs[0].shape, .strings(given))], [TensorType(other.dtype, shape: inputs[0].shape)])[0]
      let storage: ReferenceTensor.Storage =
        switch numbers.storage {
        case .floats(let values): .floats(zip(values, texts).map { isMissing($1) ? other.numbers[0] : $0 })
        case .integers(let values): .integers(zip(values, texts).map { isMissing($1) ? other.integers[0] : $0 })
        case .strings(let values): .strings(values)
        }
      return ReferenceTensor(other.dtype, inputs[0].shape, storage)
    }
  }

  private func fields(_ bytes: [UInt8], _ record: Int) throws -> [ByteString] {
    let (mark, quote) = (delimiter.utf8.first ?? 44, UInt8(ascii: "\""))
    func wrong(_ what: String) -> KilnError { KilnError(.badInput, "op '\(Self.name)': record \(record) \(what)") }
    var out: [ByteString] = []
    var position = 0
    while position < bytes.count {
      var field: [UInt8] = []
      if quotes, bytes[position] == quote {
        position += 1
        while true {
          guard position < bytes.count else { throw wrong("has a quote that does not end") }
          if bytes[position] == quote {
            position += 1
            guard position < bytes.count, bytes[position] == quote else { break }
          }
          field.append(bytes[position])
          position += 1
        }
        guard position == bytes.count || bytes[position] == mark else { throw wrong("has text behind a quoted field") }
      } else {
        while position < bytes.count, bytes[position] != mark {
          guard !quotes || ![quote, 0x0A, 0x0D].contains(bytes[position]) else { throw wrong("has a quote or a line's end in a field without quotes") }
          field.append(bytes[position])
          position += 1
        }
      }
      out.append(ByteString(field))
      position += 1
    }
    if bytes.isEmpty || bytes.last == mark { out.append("") }
    return out
  }

  package static var examples: [OpExample] {
    let (two, one) = (TensorType(.string, [2]), TensorType(.string, [1]))
    return [
      OpExample(
        DecodeCSV(delimiter: ";"), [two, TensorType(.float32, [1]), TensorType(.int64, [0])], texts: [0: ["1.5;7", ";-2"]]),
      OpExample(DecodeCSV(missing: "NA", columns: [1]), [two, one], texts: [0: ["a,\"b, \"\"c\"", "a,NA,c"]]),
      OpExample(DecodeCSV(quotes: false, columns: [0]), [TensorType(.string, [0]), TensorType(.string, [])]),
      OpExample(DecodeCSV(delimiter: "\u{1}", quotes: false), [TensorType(.string, [3]), one]),
    ]
  }
}

/// The fields of comma-separated values, quoted as in RFC 4180.
package enum CSVRows {
  /// The rows of a table. Empty lines are passed over.
  ///
  /// - Throws: `KilnError` (`badInput`) for bytes that are not UTF-8 and for a quoted field that does not end.
  package static func parse(_ bytes: UnsafeRawBufferPointer) throws -> [[String]] {
    var rows: [[String]] = []
    var row: [String] = []
    var field: [UInt8] = []
    var isQuoted = false
    // The row and column of the last quote that opened.
    var opened = (row: 0, column: 0)
    var position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    func text() throws -> String {
      guard let text = String(validating: field, as: UTF8.self) else {
        throw KilnError(.badInput, "row \(rows.count + 1) is not UTF-8")
      }
      return text
    }
    func endRow() throws {
      if row.isEmpty, field.allSatisfy({ $0 == 0x20 }) { field = [] } else {
        row.append(try text())
        rows.append(row)
      }
      row = []
      field = []
    }
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        if isQuoted, position < bytes.count, bytes[position] == byte {
          field.append(byte)
          position += 1
        } else {
          isQuoted.toggle()
          if isQuoted { opened = (rows.count + 1, row.count + 1) }
        }
      case UInt8(ascii: ",") where !isQuoted:
        row.append(try text())
        field = []
      case 0x0A where !isQuoted: try endRow()
      case 0x0D where !isQuoted: break
      default: field.append(byte)
      }
    }
    if isQuoted { throw KilnError(.badInput, "the quoted field \(opened.column) of row \(opened.row) does not end") }
    try endRow()
    return rows
  }

  /// A field as a number; nil when it is none.
  package static func number(_ field: String) -> Double? {
    let text = field.trimmingSpaces
    switch text.lowercased() {
    case "nan": return .nan
    case "inf", "infinity": return .infinity
    case "-inf", "-infinity": return -.infinity
    default: return Double(text)
    }
  }
}

extension String {
  /// The text without spaces and tabs at its ends.
  package var trimmingSpaces: String {
    var text = self[...]
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return String(text.drop { $0 == " " || $0 == "\t" })
  }
}

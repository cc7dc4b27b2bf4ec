import Kiln

/// A table of comma-separated values: one sample a row, its elements in row-major order. A first row that is not all
/// numbers is a header and is passed over. Fields may be quoted as in RFC 4180.
enum CSVTensor {
  /// - Throws: `KilnError` (`badInput`) with the row for a wrong number of columns or a field that is not a number.
  static func tensor(_ bytes: UnsafeRawBufferPointer, for input: TensorDescription) throws -> Tensor {
    var rows = try parse(bytes)
    if let first = rows.first, input.dtype != .string, !first.allSatisfy({ number($0) != nil }) { rows.removeFirst() }
    guard let columns = rows.first?.count else { throw KilnError(.badInput, "holds no rows") }
    for (index, row) in rows.enumerated() where row.count != columns {
      throw KilnError(.badInput, "row \(index + 1) of the data has \(row.count) fields, row 1 has \(columns)")
    }
    if input.dtype == .string {
      return Tensor(strings: rows.flatMap { $0 }, shape: try shape(rows: rows.count, columns: columns, input))
    }
    var numbers: [Double] = []
    numbers.reserveCapacity(rows.count * columns)
    for (index, row) in rows.enumerated() {
      for field in row {
        guard let value = number(field) else {
          throw KilnError(.badInput, "row \(index + 1) of the data: \(KilnError.quoted(field)) is not a number")
        }
        numbers.append(value)
      }
    }
    return try Tensor(numbers, shape: shape(rows: rows.count, columns: columns, input))
  }

  /// Columns take the shape of a sample when their number is that of its elements.
  private static func shape(rows: Int, columns: Int, _ input: TensorDescription) throws -> Shape {
    let inner = input.dims.dropFirst()
    if input.sampleCount == columns { return [rows] + inner.compactMap { $0 } }
    if inner.count == 1, inner.first == .some(nil) { return [rows, columns] }
    throw KilnError(
      .badInput, "input \(KilnError.quoted(input.name)): expected rows for \(input.typeText), found \(columns) columns")
  }

  private static func number(_ field: String) -> Double? {
    let text = field.trimmingSpaces
    switch text.lowercased() {
    case "nan": return .nan
    case "inf", "infinity": return .infinity
    case "-inf", "-infinity": return -.infinity
    default: return Double(text)
    }
  }

  private static func parse(_ bytes: UnsafeRawBufferPointer) throws -> [[String]] {
    var rows: [[String]] = []
    var row: [String] = []
    var field: [UInt8] = []
    var isQuoted = false
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
        }
      case UInt8(ascii: ",") where !isQuoted:
        row.append(try text())
        field = []
      case 0x0A where !isQuoted: try endRow()
      case 0x0D where !isQuoted: break
      default: field.append(byte)
      }
    }
    if isQuoted { throw KilnError(.badInput, "a quoted field does not end") }
    try endRow()
    return rows
  }
}

extension String {
  /// The text without spaces and tabs at its ends.
  var trimmingSpaces: String {
    var text = self[...]
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return String(text.drop { $0 == " " || $0 == "\t" })
  }
}

import Kiln

/// A table of comma-separated values: one sample a row, its elements in row-major order. A first row that is not all
/// numbers is a header and is passed over.
enum CSVTensor {
  /// - Throws: `KilnError` (`badInput`) with the row for a wrong number of columns or a field that is not a number.
  static func tensor(_ bytes: UnsafeRawBufferPointer, for input: TensorDescription) throws -> Tensor {
    var rows = try CSVRows.parse(bytes)
    if let first = rows.first, input.dtype != .string, !first.allSatisfy({ CSVRows.number($0) != nil }) { rows.removeFirst() }
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
        guard let value = CSVRows.number(field) else {
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
}

/// Columns of text, as wide as their widest cell.
package struct TextTable {
  private var rows: [[String]]
  private let rightAligned: Int

  /// - Parameter rightAligned: so many columns, the first ones, end at the right.
  package init(_ header: [String], rightAligned: Int = 0) {
    rows = [header]
    self.rightAligned = rightAligned
  }

  package mutating func add(_ row: [String]) { rows.append(row) }

  /// The table, a line each row, two spaces between columns.
  package var text: String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += (column > 0 ? "  " : "") + (column < rightAligned ? padding + cell : cell + padding)
      }
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}

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
  package var text: String { text(width: nil) }

  /// The table with its last column broken between words where a line would be longer than `width`; a last column that
  /// would get fewer than 20 characters is not broken.
  package func text(width: Int?) -> String {
    guard let width, let last = rows.map(\.count).max().map({ $0 - 1 }), last > 0 else { return unbroken }
    let used = (0..<last).reduce(0) { sum, column in sum + 2 + (rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0) }
    guard width - used >= 20 else { return unbroken }
    var broken = self
    broken.rows = rows.flatMap { row -> [[String]] in
      guard row.count == last + 1 else { return [row] }
      return TextTable.lines(row[last], width - used).enumerated().map { index, line in
        (index == 0 ? Array(row[..<last]) : Array(repeating: "", count: last)) + [line]
      }
    }
    return broken.unbroken
  }

  /// The words of a text in lines of at most `width` characters; a longer word has a line of its own.
  private static func lines(_ text: String, _ width: Int) -> [String] {
    var (lines, line, length) = ([String](), "", 0)
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      let count = word.count
      if !line.isEmpty, length + 1 + count > width {
        lines.append(line)
        (line, length) = (String(word), count)
      } else {
        line += (line.isEmpty ? "" : " ") + word
        length += (length == 0 ? 0 : 1) + count
      }
    }
    return lines + [line]
  }

  private var unbroken: String {
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

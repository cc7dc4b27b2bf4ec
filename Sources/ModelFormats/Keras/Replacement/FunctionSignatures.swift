/// The names of functions' arguments by position, for expressions; files name theirs.
enum FunctionSignatures {
  /// Lines of `name: first second …`.
  static func read(_ text: String) -> [String: [String]] {
    var rows: [String: [String]] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      rows[String(parts[0])] = parts[1].split(separator: " ").map(String.init)
    }
    return rows
  }
}

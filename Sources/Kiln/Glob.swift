/// Patterns in which `*` stands for any text and `?` for one character.
enum Glob {
  static func matches(_ pattern: String, _ text: String) -> Bool {
    let (p, t) = (Array(pattern.unicodeScalars), Array(text.unicodeScalars))
    var (i, j) = (0, 0)
    // Where the last star is, and what it has taken so far.
    var (star, taken) = (-1, 0)
    while j < t.count {
      if i < p.count, p[i] == "?" || p[i] == t[j], p[i] != "*" {
        i += 1
        j += 1
      } else if i < p.count, p[i] == "*" {
        (star, taken) = (i, j)
        i += 1
      } else if star >= 0 {
        taken += 1
        (i, j) = (star + 1, taken)
      } else {
        return false
      }
    }
    return p[i...].allSatisfy { $0 == "*" }
  }
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Numbers as people read them.
package enum NumberText {
  /// A C format with one Double (`%.4g`).
  package static func format(_ value: Double, _ pattern: String) -> String {
    withVaList([value]) { list in
      var buffer = [CChar](repeating: 0, count: 64)
      let length = vsnprintf(&buffer, buffer.count, pattern, list)
      return String(decoding: buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  /// `1,234,567`.
  package static func grouped(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var out = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { out += "," }
      out.append(digit)
    }
    return (value < 0 ? "-" : "") + out
  }

  /// `1.23 M`, `4.5 G`: three significant digits and a power of a thousand.
  package static func scaled(_ value: Int) -> String {
    var (number, unit) = (Double(value), "")
    for next in ["k", "M", "G", "T"] where number >= 1000 { (number, unit) = (number / 1000, next) }
    return unit.isEmpty ? String(value) : format(number, number < 10 ? "%.2f" : number < 100 ? "%.1f" : "%.0f") + " " + unit
  }
}

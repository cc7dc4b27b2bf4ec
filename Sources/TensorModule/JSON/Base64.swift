/// Base64 (RFC 4648, with padding).
package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
      for digit in 0..<4 {
        out.append(digit <= group.count ? alphabet[Int(value >> (18 - 6 * UInt32(digit)) & 63)] : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// The bytes; nil when the text is not Base64. The URL alphabet (`-`, `_`) is read too, padding may be missing.
  package static func decode(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed())
    let padding = text.utf8.count - digits.count
    guard digits.count % 4 != 1, padding == 0 || padding <= 2 && text.utf8.count % 4 == 0 else { return nil }
    var out: [UInt8] = []
    out.reserveCapacity(digits.count * 3 / 4)
    var (value, bits): (UInt32, Int) = (0, 0)
    for digit in digits {
      let found: UInt8? =
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit + 4
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
      guard let found else { return nil }
      value = value << 6 | UInt32(found)
      bits += 6
      if bits >= 8 {
        bits -= 8
        out.append(UInt8(truncatingIfNeeded: value >> UInt32(bits)))
      }
    }
    return out
  }
}

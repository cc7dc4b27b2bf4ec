import TensorModule

/// What TensorFlow's string kernels do with bytes and characters.
package enum UTF8Text {
  /// ASCII's white space, as C's `isspace`.
  @inline(__always)
  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  static func asciiLower(_ bytes: [UInt8]) -> [UInt8] { bytes.map { (65...90).contains($0) ? $0 + 32 : $0 } }

  static func asciiUpper(_ bytes: [UInt8]) -> [UInt8] { bytes.map { (97...122).contains($0) ? $0 - 32 : $0 } }

  /// Without ASCII's white space at the ends.
  static func stripped(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }) else {
      return []
    }
    return bytes[first...last]
  }

  /// Full case mapping of Unicode; bytes that are no character become U+FFFD.
  static func mapped(_ bytes: [UInt8], upper: Bool) -> [UInt8] {
    let scalars = scalars(bytes)
    var out = ""
    for (index, scalar) in scalars.enumerated() {
      if upper { out += scalar.properties.uppercaseMapping } else if scalar == "\u{3A3}", endsWord(scalars, index) {
        out += "\u{3C2}"
      } else {
        out += scalar.properties.lowercaseMapping
      }
    }
    return Array(out.utf8)
  }

  /// Whether a sigma is the last letter of a word (Unicode's Final_Sigma).
  private static func endsWord(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
    let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
    let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
    return before?.properties.isCased == true && after?.properties.isCased != true
  }

  /// The characters; U+FFFD for each ill-formed sequence.
  static func scalars(_ bytes: [UInt8]) -> [Unicode.Scalar] { Array(String(decoding: bytes, as: UTF8.self).unicodeScalars) }

  /// The characters' own bytes.
  static func characters(_ bytes: [UInt8]) -> [ByteString] {
    if bytes.allSatisfy({ $0 < 0x80 }) { return bytes.map { ByteString([$0]) } }
    return scalars(bytes).map { ByteString(String($0)) }
  }

  /// Where characters begin: every byte that continues none, as TensorFlow counts `UTF8_CHAR`, then the end.
  static func starts(_ bytes: [UInt8]) -> [Int] {
    bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 } + [bytes.count]
  }
}

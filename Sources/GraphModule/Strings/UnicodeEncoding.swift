import TensorModule

/// What is done with bytes that are no character.
package struct UnicodeErrors: Sendable, Hashable {
  package enum Policy: String, Sendable, CaseIterable { case replace, ignore, strict }

  package var policy: Policy
  /// The character's number that stands for what is replaced.
  package var replacement: Int
  /// Whether control characters are treated like ill-formed bytes.
  package var controls: Bool

  package init(_ policy: Policy = .replace, replacement: Int = 0xFFFD, controls: Bool = false) {
    (self.policy, self.replacement, self.controls) = (policy, replacement, controls)
  }

  var attributes: Attributes {
    [("errors", .word(policy.rawValue)), ("replacement", .int(replacement)), ("replace_controls", .bool(controls))]
  }

  init(from reader: inout AttributeReader) throws {
    policy = try reader.choice("errors")
    replacement = try reader.int("replacement")
    controls = try reader.bool("replace_controls")
  }

  func check(_ op: String) throws {
    try Expect.that(scalar != nil, op, "replacement must be a character's number, found \(replacement)")
  }

  var scalar: Unicode.Scalar? { UInt32(exactly: replacement).flatMap(Unicode.Scalar.init) }

  /// What stands in the place of something ill-formed; nil for nothing.
  func substitute(_ op: String) throws -> Unicode.Scalar? {
    switch policy {
    case .replace: scalar
    case .ignore: nil
    case .strict: throw KilnError(.badInput, "op '\(op)': a text is not well-formed")
    }
  }
}

/// Encodings of Unicode's characters as bytes.
package enum UnicodeEncoding: String, Sendable, CaseIterable {
  case utf8 = "utf_8"
  case utf16 = "utf_16_be"
  case utf32 = "utf_32_be"

  /// The characters of a text with the places of their first bytes.
  func decode(_ bytes: [UInt8], _ errors: UnicodeErrors, _ op: String) throws -> [(scalar: Unicode.Scalar, start: Int)] {
    var out: [(scalar: Unicode.Scalar, start: Int)] = []
    var position = 0
    while position < bytes.count {
      let (found, length) = next(bytes, position)
      let isControl = found.map { errors.controls && UnicodeEncoding.isControl($0) } ?? false
      if let scalar = found, !isControl {
        out.append((scalar, position))
      } else if let scalar = isControl && errors.policy != .ignore ? errors.scalar : try errors.substitute(op) {
        out.append((scalar, position))
      }
      position += length
    }
    return out
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.value <= 0x1F }

  /// The character at a position, nil when there is none, and how many bytes it or the ill-formed part takes.
  private func next(_ bytes: [UInt8], _ position: Int) -> (Unicode.Scalar?, Int) {
    switch self {
    case .utf8:
      if let (scalar, length) = ByteString.scalar(in: bytes, at: position) { return (scalar, length) }
      return (nil, UnicodeEncoding.illFormed(bytes, position))
    case .utf16:
      guard let unit = UnicodeEncoding.number(bytes, position, 2) else { return (nil, bytes.count - position) }
      guard 0xD800...0xDFFF ~= unit else { return (Unicode.Scalar(unit), 2) }
      guard unit < 0xDC00, let low = UnicodeEncoding.number(bytes, position + 2, 2), 0xDC00...0xDFFF ~= low else { return (nil, 2) }
      return (Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)), 4)
    case .utf32:
      guard let value = UnicodeEncoding.number(bytes, position, 4) else { return (nil, bytes.count - position) }
      return (Unicode.Scalar(value), 4)
    }
  }

  private static func number(_ bytes: [UInt8], _ position: Int, _ count: Int) -> UInt32? {
    guard position + count <= bytes.count else { return nil }
    return bytes[position..<position + count].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// The length of the longest beginning of a character at a place where none is: what one replacement stands for.
  private static func illFormed(_ bytes: [UInt8], _ position: Int) -> Int {
    func continues(_ offset: Int, _ range: ClosedRange<UInt8>) -> Bool {
      position + offset < bytes.count && range.contains(bytes[position + offset])
    }
    let first = bytes[position]
    let tail: ClosedRange<UInt8> = 0x80...0xBF
    switch first {
    case 0xE0: return continues(1, 0xA0...0xBF) ? 2 : 1
    case 0xED: return continues(1, 0x80...0x9F) ? 2 : 1
    case 0xE1...0xEF: return continues(1, tail) ? 2 : 1
    case 0xF0...0xF4:
      let second: ClosedRange<UInt8> = first == 0xF0 ? 0x90...0xBF : first == 0xF4 ? 0x80...0x8F : tail
      return !continues(1, second) ? 1 : continues(2, tail) ? 3 : 2
    default: return 1
    }
  }

  func encode(_ scalar: Unicode.Scalar) -> [UInt8] {
    switch self {
    case .utf8: return Array(String(scalar).utf8)
    case .utf16: return String(scalar).utf16.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
    case .utf32: return (0..<4).map { UInt8(truncatingIfNeeded: scalar.value >> UInt32(24 - 8 * $0)) }
    }
  }
}

import TensorModule

/// Reads tokens of the text form from UTF-8 bytes. White space separates; `#` starts a comment to the end of the line.
struct TextScanner {
  private let bytes: [UInt8]
  private var position = 0
  private(set) var line = 1

  init(_ text: String) { bytes = Array(text.utf8) }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x0A:
        line += 1
        position += 1
      case 0x20, 0x09, 0x0D: position += 1
      case UInt8(ascii: "#"): while position < bytes.count, bytes[position] != 0x0A { position += 1 }
      default: return
      }
    }
  }

  mutating func peek(_ character: Character) -> Bool {
    skipSpace()
    return position < bytes.count && bytes[position] == character.asciiValue
  }

  mutating func accept(_ character: Character) -> Bool {
    guard peek(character) else { return false }
    position += 1
    return true
  }

  mutating func expect(_ character: Character) throws {
    guard accept(character) else { throw unexpected("'\(character)'") }
  }

  mutating func keyword(_ word: String) throws {
    guard try bareWord() == word else { throw unexpected("'\(word)'") }
  }

  mutating func expectEnd() throws {
    skipSpace()
    guard position == bytes.count else { throw unexpected("the end") }
  }

  /// Takes a plain word if it comes next.
  mutating func acceptWord(_ word: String) -> Bool {
    // Without it the place stays where it was, for the line of a message.
    let before = (position, line)
    skipSpace()
    let end = position + word.utf8.count
    guard end <= bytes.count, bytes[position..<end].elementsEqual(word.utf8),
      end == bytes.count || !TextForm.isWordByte(bytes[end])
    else {
      (position, line) = before
      return false
    }
    position = end
    return true
  }

  /// A plain word.
  mutating func bareWord() throws -> String {
    skipSpace()
    let start = position
    while position < bytes.count, TextForm.isWordByte(bytes[position]) { position += 1 }
    guard position > start else { throw unexpected("a word") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// A plain word or a quoted string.
  mutating func word() throws -> String { peek("\"") ? try quotedString() : try bareWord() }

  mutating func quotedString() throws -> String {
    guard let text = try byteString().text else { throw unexpected("UTF-8") }
    return text
  }

  /// A quoted string of any bytes.
  mutating func byteString() throws -> ByteString {
    try expect("\"")
    var out: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        return ByteString(out)
      case UInt8(ascii: "\\"): out += try escape()
      case 0x0A: throw unexpected("the end of a string")
      default: out.append(byte)
      }
    }
    throw unexpected("the end of a string")
  }

  private mutating func escape() throws -> [UInt8] {
    guard position < bytes.count else { throw unexpected("an escape") }
    let byte = bytes[position]
    position += 1
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return [byte] }
    if byte == UInt8(ascii: "x") {
      let digits = String(decoding: bytes[position..<min(position + 2, bytes.count)], as: UTF8.self)
      guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { throw unexpected("an escape") }
      position += 2
      return [value]
    }
    guard byte == UInt8(ascii: "u"), position < bytes.count, bytes[position] == UInt8(ascii: "{") else {
      throw unexpected("an escape")
    }
    position += 1
    let start = position
    while position < bytes.count, position - start < 8, bytes[position] != UInt8(ascii: "}") { position += 1 }
    let digits = String(decoding: bytes[start..<position], as: UTF8.self)
    guard position < bytes.count, bytes[position] == UInt8(ascii: "}"), let value = UInt32(digits, radix: 16),
      let scalar = Unicode.Scalar(value)
    else { throw unexpected("an escape") }
    position += 1
    return Array(String(Character(scalar)).utf8)
  }

  /// An unsigned integer, if one comes next.
  mutating func integer() throws -> Int? {
    skipSpace()
    let start = position
    while position < bytes.count, (48...57).contains(bytes[position]) { position += 1 }
    if position == start { return nil }
    guard let value = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
      throw unexpected("a smaller number")
    }
    return value
  }

  /// A signed integer, a float, `-inf` or `-nan`, if one comes next.
  mutating func number() throws -> AttributeValue? {
    skipSpace()
    let start = position
    var end = position
    func isDigit(_ at: Int) -> Bool { at < bytes.count && (48...57).contains(bytes[at]) }
    if end < bytes.count, bytes[end] == UInt8(ascii: "-") { end += 1 }
    if !isDigit(end) {
      if end > start, bytes[end...].starts(with: "inf".utf8) {
        position = end + 3
        return .float(-.infinity)
      }
      if end > start, bytes[end...].starts(with: "nan".utf8) {
        position = end + 3
        return .float(-.nan)
      }
      return nil
    }
    let letters = Set("0123456789+-.eExXpPabcdefABCDEF".utf8)
    while end < bytes.count, letters.contains(bytes[end]) { end += 1 }
    let text = String(decoding: bytes[start..<end], as: UTF8.self)
    position = end
    if let integer = Int(text) { return .int(integer) }
    guard let value = Double(text) else { throw unexpected("a number") }
    return .float(value)
  }

  func unexpected(_ wanted: String) -> KilnError {
    let rest = String(decoding: bytes[min(position, bytes.count)...].prefix(24), as: UTF8.self)
    return KilnError(.badInput, "expected \(wanted), found '\(KilnError.escaped(rest))'")
  }
}

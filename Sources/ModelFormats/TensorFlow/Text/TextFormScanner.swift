import TensorModule

/// Takes protobuf's text form apart: names, numbers, texts, punctuation. `#` starts a comment.
struct TextFormScanner {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  func wrong(_ message: String) -> KilnError {
    let line = bytes.prefix(position).reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
    return KilnError(.badInput, "line \(line): \(message)")
  }

  /// The next byte that is no space, nil at the end.
  mutating func peek() throws -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D, 0x0B, 0x0C: position += 1
      case UInt8(ascii: "#"):
        while position < bytes.count, bytes[position] != 0x0A { position += 1 }
      case let byte: return byte
      }
    }
    return nil
  }

  /// Passes over one character when it comes next.
  mutating func take(_ character: Unicode.Scalar) throws -> Bool {
    guard try peek() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
      || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: "_")
  }

  mutating func identifier() throws -> String {
    guard let first = try peek(), TextFormScanner.isWord(first), !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= first) else {
      throw wrong("a field's name is expected")
    }
    return word { TextFormScanner.isWord($0) }
  }

  /// A number, a constant's name, `-inf`: everything up to a space or punctuation.
  mutating func scalar() throws -> String {
    guard let first = try peek() else { throw wrong("a value is expected") }
    let sign = first == UInt8(ascii: "-")
    if sign {
      position += 1
      _ = try peek()
    }
    let text = word { TextFormScanner.isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
    guard !text.isEmpty else { throw wrong("a value is expected") }
    return sign ? "-" + text : text
  }

  private mutating func word(_ belongs: (UInt8) -> Bool) -> String {
    let start = position
    while position < bytes.count, position - start < 1024, belongs(bytes[position]) { position += 1 }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// One or several quoted texts, which count as one.
  mutating func quoted() throws -> [UInt8] {
    var out: [UInt8] = []
    var isFirst = true
    while let quote = try peek(), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
      isFirst = false
      position += 1
      try literal(until: quote, &out)
    }
    if isFirst { throw wrong("a text in quotes is expected") }
    return out
  }

  private mutating func literal(until quote: UInt8, _ out: inout [UInt8]) throws {
    while true {
      guard position < bytes.count, bytes[position] != 0x0A else { throw wrong("a text has no closing quote") }
      let byte = bytes[position]
      position += 1
      if byte == quote { return }
      if byte == UInt8(ascii: "\\") { try escape(&out) } else { out.append(byte) }
    }
  }

  private mutating func escape(_ out: inout [UInt8]) throws {
    guard position < bytes.count else { throw wrong("a text has no closing quote") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "n"): out.append(0x0A)
    case UInt8(ascii: "r"): out.append(0x0D)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "a"): out.append(0x07)
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0C)
    case UInt8(ascii: "v"): out.append(0x0B)
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "?"): out.append(byte)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      position -= 1
      out.append(UInt8(truncatingIfNeeded: digits(base: 8, atMost: 3).value))
    case UInt8(ascii: "x"), UInt8(ascii: "X"):
      let (value, count) = digits(base: 16, atMost: 2)
      guard count > 0 else { throw wrong("\\x has no digits") }
      out.append(UInt8(truncatingIfNeeded: value))
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      let wanted = byte == UInt8(ascii: "u") ? 4 : 8
      let (value, count) = digits(base: 16, atMost: wanted)
      guard count == wanted, let scalar = Unicode.Scalar(value) else { throw wrong("a text has a wrong \\u escape") }
      out += Array(String(Character(scalar)).utf8)
    default: throw wrong("a text has the unknown escape \\\(KilnError.escaped(String(decoding: [byte], as: UTF8.self)))")
    }
  }

  private mutating func digits(base: UInt32, atMost limit: Int) -> (value: UInt32, count: Int) {
    var value: UInt32 = 0
    var count = 0
    while count < limit, position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue, digit < base {
      value = value &* base &+ UInt32(digit)
      position += 1
      count += 1
    }
    return (value, count)
  }
}

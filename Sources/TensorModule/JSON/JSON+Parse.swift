extension JSON {
  /// What a parser accepts before it gives up.
  package struct Limits: Sendable {
    package var depth: Int
    package var values: Int
    package var bytes: Int

    package init(depth: Int = 64, values: Int = 4 << 20, bytes: Int = 64 << 20) {
      self.depth = depth
      self.values = values
      self.bytes = bytes
    }
  }

  /// Reads one JSON text. Accepts what Python's `json` writes (`NaN`, `Infinity`); refuses repeated keys, trailing
  /// text, invalid UTF-8 and whatever is over the limits.
  ///
  /// - Throws: `KilnError` (`badInput`) with the byte position.
  package static func parse(_ bytes: some Collection<UInt8>, limits: Limits = Limits()) throws -> JSON {
    var parser = JSONParser(bytes: Array(bytes), limits: limits)
    return try parser.parse()
  }

  package static func parse(_ text: String, limits: Limits = Limits()) throws -> JSON {
    try parse(Array(text.utf8), limits: limits)
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let limits: JSON.Limits
  var position = 0
  var valuesLeft = 0

  mutating func parse() throws -> JSON {
    guard bytes.count <= limits.bytes else { throw failure("is \(bytes.count) bytes long; at most \(limits.bytes) are read") }
    valuesLeft = limits.values
    let value = try parseValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw failure("unexpected text after the value") }
    return value
  }

  private func failure(_ message: String) -> KilnError { KilnError(.badInput, "JSON at byte \(position): \(message)") }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func accept(_ byte: Character) -> Bool {
    skipSpace()
    guard current == byte.asciiValue else { return false }
    position += 1
    return true
  }

  private mutating func parseValue(depth: Int) throws -> JSON {
    guard depth <= limits.depth else { throw failure("nested deeper than \(limits.depth) levels") }
    valuesLeft -= 1
    guard valuesLeft >= 0 else { throw failure("more than \(limits.values) values") }
    skipSpace()
    guard let byte = current else { throw failure("the text ends early") }
    switch byte {
    case UInt8(ascii: "{"): return .object(try parseObject(depth: depth))
    case UInt8(ascii: "["):
      position += 1
      var values: [JSON] = []
      if accept("]") { return .array(values) }
      repeat { values.append(try parseValue(depth: depth + 1)) } while accept(",")
      guard accept("]") else { throw failure("expected ',' or ']'") }
      return .array(values)
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "N"): return try word("NaN", .double(.nan))
    case UInt8(ascii: "I"): return try word("Infinity", .double(.infinity))
    default: return try parseNumber()
    }
  }

  private mutating func parseObject(depth: Int) throws -> JSONObject {
    position += 1
    var object = JSONObject()
    if accept("}") { return object }
    repeat {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("expected a key") }
      let key = try parseString()
      guard object[key] == nil else { throw failure("key \(KilnError.quoted(key)) appears twice") }
      guard accept(":") else { throw failure("expected ':'") }
      object[key] = try parseValue(depth: depth + 1)
    } while accept(",")
    guard accept("}") else { throw failure("expected ',' or '}'") }
    return object
  }

  private mutating func word(_ text: String, _ value: JSON) throws -> JSON {
    guard bytes[position...].starts(with: text.utf8) else { throw failure("expected a value") }
    position += text.utf8.count
    return value
  }

  private mutating func parseNumber() throws -> JSON {
    let start = position
    if current == UInt8(ascii: "-") {
      position += 1
      if current == UInt8(ascii: "I") { return try word("Infinity", .double(-.infinity)) }
    }
    guard let first = current, (48...57).contains(first) else { throw failure("expected a value") }
    var isInteger = true
    while let byte = current {
      switch byte {
      case 48...57: break
      case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"): isInteger = false
      default:
        return try number(start, isInteger)
      }
      position += 1
    }
    return try number(start, isInteger)
  }

  private func number(_ start: Int, _ isInteger: Bool) throws -> JSON {
    let digits = bytes[start..<position]
    guard digits.count <= 512 else { throw failure("a number of \(digits.count) characters") }
    let text = String(decoding: digits, as: UTF8.self)
    let unsigned = digits.first == UInt8(ascii: "-") ? digits.dropFirst() : digits
    if unsigned.count > 1, unsigned.first == UInt8(ascii: "0"), unsigned.dropFirst().first.map({ (48...57).contains($0) }) == true {
      throw failure("a number with a leading zero")
    }
    if isInteger, let value = Int(text) { return .int(value) }
    guard let value = Double(text), let last = digits.last, (48...57).contains(last) else {
      throw failure("malformed number '\(KilnError.escaped(text, limit: 40))'")
    }
    return .double(value)
  }

  private mutating func parseString() throws -> String {
    position += 1
    var out: [UInt8] = []
    while true {
      let start = position
      skipPlain()
      out += bytes[start..<position]
      guard let byte = current else { throw failure("a string does not end") }
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: out, as: UTF8.self) else { throw failure("a string is not UTF-8") }
        return text
      case UInt8(ascii: "\\"): try parseEscape(into: &out)
      default: throw failure("a control character in a string")
      }
    }
  }

  /// Goes on to what is not a plain character of a string.
  private mutating func skipPlain() {
    position = bytes.withUnsafeBufferPointer { bytes in
      var end = position
      while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20 { end += 1 }
      return end
    }
  }

  private mutating func parseEscape(into out: inout [UInt8]) throws {
    guard let byte = current else { throw failure("a string does not end") }
    position += 1
    switch byte {
    case UInt8(ascii: "n"): out.append(0x0A)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "r"): out.append(0x0D)
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0C)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
    case UInt8(ascii: "u"):
      var code = try hexDigits()
      if (0xD800..<0xDC00).contains(code), current == UInt8(ascii: "\\"), bytes[position...].dropFirst().first == UInt8(ascii: "u") {
        let saved = position
        position += 2
        let low = try hexDigits()
        if (0xDC00..<0xE000).contains(low) {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          position = saved
        }
      }
      // A lone surrogate, which Python writes for undecodable bytes, has no scalar: the replacement character stands in.
      let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
      out += Array(String(Character(scalar)).utf8)
    default: throw failure("unknown escape")
    }
  }

  private mutating func hexDigits() throws -> UInt32 {
    guard position + 4 <= bytes.count else { throw failure("a string does not end") }
    let digits = bytes[position..<position + 4]
    guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure("malformed \\u escape") }
    position += 4
    return value
  }
}

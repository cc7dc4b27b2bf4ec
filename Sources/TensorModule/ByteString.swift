/// An element of a string tensor: bytes, most often UTF-8, but any bytes go (a JPEG file, a serialized message).
///
/// Two are equal when their bytes are. A text becomes its UTF-8 and back without loss.
public struct ByteString: Hashable, Sendable {
  public var bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  /// The UTF-8 of a text.
  public init(_ text: String) { bytes = Array(text.utf8) }

  public init(_ text: Substring) { bytes = Array(text.utf8) }

  /// The text, or nil when the bytes are not UTF-8.
  public var text: String? { String(validating: bytes, as: UTF8.self) }

  public var count: Int { bytes.count }
  public var isEmpty: Bool { bytes.isEmpty }

  /// A form for messages and for people: the text, quoted and made safe to print; bytes that are not UTF-8 as `\xff`.
  public var quoted: String { KilnError.quoted(escapingInvalid()) }

  /// The text with every byte that belongs to no character written as `\xff`.
  private func escapingInvalid() -> String {
    if let text { return text }
    var out = ""
    ByteString.scan(bytes) { scalar, byte in
      if let scalar { out.unicodeScalars.append(scalar) } else { out += "\\x" + ByteString.hex(byte) }
    }
    return out
  }

  /// Calls `body` for each character with it, and for each byte that belongs to none with nil and the byte.
  package static func scan(_ bytes: [UInt8], _ body: (Unicode.Scalar?, UInt8) -> Void) {
    var position = 0
    while position < bytes.count {
      if let (scalar, length) = scalar(in: bytes, at: position) {
        body(scalar, bytes[position])
        position += length
      } else {
        body(nil, bytes[position])
        position += 1
      }
    }
  }

  /// The character that begins at a position and its number of bytes; nil where the bytes are not UTF-8.
  @inlinable
  package static func scalar(in bytes: some RandomAccessCollection<UInt8>, at position: Int) -> (Unicode.Scalar, Int)? {
    func byte(_ offset: Int) -> UInt32 {
      guard position + offset < bytes.count else { return 0 }
      return UInt32(bytes[bytes.index(bytes.startIndex, offsetBy: position + offset)])
    }
    let first = byte(0)
    if first < 0x80 { return Unicode.Scalar(first).map { ($0, 1) } }
    let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
    guard first >= 0xC2, first < 0xF5, position + length <= bytes.count else { return nil }
    var value = first & (0xFF >> UInt32(length + 1))
    for offset in 1..<length {
      guard byte(offset) & 0xC0 == 0x80 else { return nil }
      value = value << 6 | byte(offset) & 0x3F
    }
    guard value >= (length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80) else { return nil }
    return Unicode.Scalar(value).map { ($0, length) }
  }

  package static func hex(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}

extension ByteString: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) { self.init(text) }
}

extension ByteString: Comparable {
  /// By their bytes, as in C's `memcmp`.
  public static func < (left: ByteString, right: ByteString) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
}

extension ByteString: CustomStringConvertible {
  /// The text; bytes that are not UTF-8 are replaced.
  public var description: String { String(decoding: bytes, as: UTF8.self) }
}

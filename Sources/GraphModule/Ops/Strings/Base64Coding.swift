import TensorModule

/// Base64 in the alphabet for addresses (`-` and `_`), as in `tf.io.encode_base64` and `decode_base64`.
package struct Base64Coding: OpDefinition {
  package enum Direction: String, Sendable, CaseIterable {
    case encode
    /// Encodes, and fills up with `=` to a multiple of four characters.
    case encodePadded = "encode_padded"
    case decode
  }

  package static let name = "base_sixty_four"
  package static let summary =
    "the bytes of each text of x in base64 with - and _, or what such a text stands for; a text that is no base64 is an error"

  package var direction: Direction

  package init(_ direction: Direction) { self.direction = direction }

  package var attributes: Attributes { [("direction", .word(direction.rawValue))] }

  package init(from reader: inout AttributeReader) throws { direction = try reader.choice("direction") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    return [inputs[0]]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let texts = try inputs[0].texts.map { text in
      guard direction == .decode else { return ByteString(Base64Coding.encoded(text.bytes, padded: direction == .encodePadded)) }
      guard let bytes = Base64Coding.decoded(text.bytes) else { throw KilnError(.badInput, "op '\(Self.name)': \(text.quoted) is no base64") }
      return ByteString(bytes)
    }
    return [ReferenceTensor(.string, inputs[0].shape, .strings(texts))]
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let values: [UInt8: UInt32] = Dictionary(
    uniqueKeysWithValues: alphabet.enumerated().map { ($1, UInt32($0)) })

  private static func encoded(_ bytes: [UInt8], padded: Bool) -> [UInt8] {
    var out: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let part = bytes[start..<min(start + 3, bytes.count)]
      let group = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
      for place in 0...part.count { out.append(alphabet[Int(group >> UInt32(18 - 6 * place) & 63)]) }
      if padded { out += repeatElement(UInt8(ascii: "="), count: 3 - part.count) }
    }
    return out
  }

  private static func decoded(_ text: [UInt8]) -> [UInt8]? {
    var digits = text[...]
    if text.count % 4 == 0 { for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() } }
    guard digits.count % 4 != 1 else { return nil }
    var (group, bits): (UInt32, UInt32) = (0, 0)
    var out: [UInt8] = []
    for digit in digits {
      guard let value = values[digit] else { return nil }
      group = group << 6 | value
      bits += 6
      if bits >= 8 {
        bits -= 8
        out.append(UInt8(truncatingIfNeeded: group >> bits))
        group &= (1 << bits) - 1
      }
    }
    return out
  }

  /// Decoding without elements: what an example draws is no base64.
  package static var examples: [OpExample] {
    [
      OpExample(Base64Coding(.encode), [TensorType(.string, [2, 3])]), OpExample(Base64Coding(.encodePadded), [TensorType(.string, [5])]),
      OpExample(Base64Coding(.encode), [TensorType(.string, [])]), OpExample(Base64Coding(.decode), [TensorType(.string, [0, 1])]),
    ]
  }
}

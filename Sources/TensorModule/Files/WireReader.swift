/// Reads protobuf's wire format from bytes that nobody checked.
package struct WireReader {
  package let bytes: UnsafeRawBufferPointer
  package var position: Int
  @usableFromInline let end: Int

  package init(_ bytes: UnsafeRawBufferPointer) { self.init(bytes, 0..<bytes.count) }

  /// - Parameter range: lies inside `bytes`.
  @inlinable
  package init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  @inlinable
  package var isAtEnd: Bool { position >= end }

  @inlinable
  package mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<10 {
      guard position < end else { throw wrong("ends inside a number") }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << UInt64(7 * index)
      if byte < 0x80 { return value }
    }
    throw wrong("has a number of more than 10 bytes")
  }

  /// The place of the next `count` bytes, which are passed over.
  @inlinable
  package mutating func take(_ count: UInt64) throws -> Range<Int> {
    guard let count = Int(exactly: count), count <= end - position else {
      throw wrong("declares \(count) bytes where \(end - position) are left")
    }
    defer { position += count }
    return position..<position + count
  }

  /// A field's number and wire type.
  @inlinable
  package mutating func tag() throws -> (number: UInt32, wire: UInt8) {
    let tag = try varint()
    guard let number = UInt32(exactly: tag >> 3), number >= 1, number < 1 << 29 else {
      throw wrong("has a field with the impossible number \(tag >> 3)")
    }
    return (number, UInt8(tag & 7))
  }

  /// The place of a field's payload after its tag; the length before it is passed over too.
  @inlinable
  package mutating func payload(wire: UInt8) throws -> Range<Int> {
    switch wire {
    case 0:
      let start = position
      _ = try varint()
      return start..<position
    case 1: return try take(8)
    case 2: return try take(try varint())
    case 5: return try take(4)
    case 3, 4: throw wrong("holds a group, which no known writer makes")
    default: throw wrong("has a field of the unknown wire type \(wire)")
    }
  }

  @inline(never)
  package func wrong(_ message: String) -> KilnError {
    KilnError(.badInput, "protobuf message at byte \(position) \(message)")
  }
}

extension Array where Element == UInt8 {
  /// Appends a number in base 128, the low bits first.
  package mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }
}

import TensorModule

/// A message under construction, as its bytes on the wire. Large tensors are named by their size and made when they are written.
struct ProtobufMessage {
  /// A part of the bytes.
  enum Part {
    case bytes([UInt8])
    /// The bytes of a tensor of this many bytes, which is made when its turn comes.
    case tensor(Int, () throws -> Tensor)
  }

  private(set) var parts: [Part] = []
  private(set) var count = 0

  /// A number of any integer type that is not zigzag; negative ones take ten bytes.
  mutating func varint(_ field: Int, _ value: Int) {
    append(ProtobufMessage.encoded(UInt64(field << 3)) + ProtobufMessage.encoded(UInt64(bitPattern: Int64(value))))
  }

  /// A float of 32 bits.
  mutating func float(_ field: Int, _ value: Float) {
    append(ProtobufMessage.encoded(UInt64(field << 3 | 5)) + ProtobufMessage.littleEndian(value.bitPattern))
  }

  mutating func bytes(_ field: Int, _ bytes: [UInt8]) {
    append(ProtobufMessage.encoded(UInt64(field << 3 | 2)) + ProtobufMessage.encoded(UInt64(bytes.count)) + bytes)
  }

  mutating func string(_ field: Int, _ text: String) { bytes(field, Array(text.utf8)) }

  /// Integers in one packed run.
  mutating func packed(_ field: Int, _ values: [Int]) {
    bytes(field, values.flatMap { ProtobufMessage.encoded(UInt64(bitPattern: Int64($0))) })
  }

  /// Floats in one packed run.
  mutating func packed(_ field: Int, _ values: [Float]) {
    bytes(field, values.flatMap { ProtobufMessage.littleEndian($0.bitPattern) })
  }

  mutating func message(_ field: Int, _ message: ProtobufMessage) {
    append(ProtobufMessage.encoded(UInt64(field << 3 | 2)) + ProtobufMessage.encoded(UInt64(message.count)))
    for part in message.parts { append(part) }
  }

  /// The bytes of a tensor.
  mutating func tensor(_ field: Int, count: Int, _ make: @escaping () throws -> Tensor) {
    append(ProtobufMessage.encoded(UInt64(field << 3 | 2)) + ProtobufMessage.encoded(UInt64(count)))
    append(.tensor(count, make))
  }

  /// Writes all of it.
  func write(to file: inout AtomicFile) throws {
    for part in parts {
      switch part {
      case .bytes(let bytes): try file.write(bytes)
      case .tensor(let count, let make):
        let tensor = try make()
        guard tensor.byteCount == count else { throw KilnError(.internal, "a tensor has \(tensor.byteCount) bytes and not \(count)") }
        try file.write(tensor.bytes)
        tensor.releaseMapping()
      }
    }
  }

  private mutating func append(_ part: Part) {
    switch part {
    case .bytes(let bytes): append(bytes)
    case .tensor(let length, _):
      parts.append(part)
      count += length
    }
  }

  private mutating func append(_ bytes: [UInt8]) {
    count += bytes.count
    if case .bytes(var last)? = parts.last {
      // Taken out, so that the bytes are not copied.
      parts[parts.count - 1] = .bytes([])
      last += bytes
      parts[parts.count - 1] = .bytes(last)
    } else {
      parts.append(.bytes(bytes))
    }
  }

  private static func encoded(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  private static func littleEndian(_ bits: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) } }
}

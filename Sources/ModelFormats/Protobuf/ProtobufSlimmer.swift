import CGraphSchemas
import TensorModule

/// Checks a message's wire bytes before protobuf-c sees them, and makes a small copy: protobuf-c has no limits of its own
/// and copies every byte.
///
/// The copy lacks fields that the schema does not name. A field n whose message has a field 1000 + n becomes the place of
/// its payload in the file, two numbers (offset, length): so the bytes of tensors are never copied.
struct ProtobufSlimmer {
  static let maximumDepth = 100
  static let maximumBytes = Int(Int32.max)

  private let bytes: UnsafeRawBufferPointer
  private let maximumMessages: Int
  private var messages = 0
  private var out: [UInt8] = []
  private var schemas: [UnsafePointer<ProtobufCMessageDescriptor>: ProtobufSchema] = [:]

  /// The small copy of the message.
  ///
  /// - Throws: `KilnError` (`badInput`): nested too deep, too many messages for its size, groups, lengths that lead out.
  static func slim(
    _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) throws -> [UInt8] {
    guard bytes.count <= maximumBytes else {
      throw KilnError(.badInput, "has \(bytes.count) bytes; a protobuf message has at most \(maximumBytes)")
    }
    var slimmer = ProtobufSlimmer(bytes)
    try slimmer.message(0..<bytes.count, descriptor, depth: 1)
    return slimmer.out
  }

  private init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    // A message of a real file takes more than 8 bytes on average; the constant is for small ones.
    maximumMessages = 10_000 + min(bytes.count / 4, 4_000_000)
  }

  private mutating func message(
    _ range: Range<Int>, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
  ) throws {
    guard depth <= ProtobufSlimmer.maximumDepth else {
      throw KilnError(.badInput, "protobuf message nested deeper than \(ProtobufSlimmer.maximumDepth) levels")
    }
    messages += 1
    guard messages <= maximumMessages else {
      throw KilnError(.badInput, "holds more than \(maximumMessages) protobuf messages in \(bytes.count) bytes")
    }
    let schema = schema(descriptor)
    var reader = WireReader(bytes, range)
    while !reader.isAtEnd {
      let (number, wire) = try reader.tag()
      let payload = try reader.payload(wire: wire)
      switch schema.fields[number] {
      case nil: continue
      case .own: throw reader.wrong("has the field \(number), which \(schema.name) does not have")
      case .message(let inner):
        guard wire == 2 else { throw reader.wrong("has a number where field \(number) of \(schema.name) is a message") }
        out.append(varint: UInt64(number) << 3 | 2)
        let start = out.count
        out += [0x80, 0x80, 0x80, 0x80, 0]
        try message(payload, inner, depth: depth + 1)
        setLength(out.count - start - 5, at: start)
      case .text:
        if bytes[payload].contains(0) { throw reader.wrong("holds a text with a NUL character") }
        append(number, wire, payload)
      case .plain: append(number, wire, payload)
      case .place(let place):
        for value in [payload.lowerBound, payload.count] {
          out.append(varint: UInt64(place) << 3)
          out.append(varint: UInt64(value))
        }
      }
    }
  }

  private mutating func schema(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) -> ProtobufSchema {
    if let known = schemas[descriptor] { return known }
    let schema = ProtobufSchema(descriptor)
    schemas[descriptor] = schema
    return schema
  }

  private mutating func append(_ number: UInt32, _ wire: UInt8, _ payload: Range<Int>) {
    out.append(varint: UInt64(number) << 3 | UInt64(wire))
    if wire == 2 { out.append(varint: UInt64(payload.count)) }
    out += bytes[payload]
  }

  /// Writes a length in the five bytes kept for it.
  private mutating func setLength(_ length: Int, at start: Int) {
    for index in 0..<5 {
      let low = UInt8(truncatingIfNeeded: length >> (7 * index)) & 0x7F
      out[start + index] = index < 4 ? low | 0x80 : low
    }
  }
}

import CGraphSchemas
import TensorModule

/// Turns protobuf's text form into wire bytes, guided by a message's description. Fields that it does not name are passed
/// over.
struct TextFormParser {
  private final class Fields {
    let byName: [String: UnsafePointer<ProtobufCFieldDescriptor>]

    init(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) {
      let count = Int(descriptor.pointee.n_fields)
      var found: [String: UnsafePointer<ProtobufCFieldDescriptor>] = [:]
      for index in 0..<count {
        let field = descriptor.pointee.fields + index
        // Places of tensor bytes never come from a file.
        if field.pointee.id < ProtobufSchema.placeOffset { found[String(cString: field.pointee.name)] = field }
      }
      byName = found
    }
  }

  private var scanner: TextFormScanner
  private var out: [UInt8] = []
  private var known: [UnsafePointer<ProtobufCMessageDescriptor>: Fields] = [:]

  init(_ bytes: UnsafeRawBufferPointer) { scanner = TextFormScanner(bytes) }

  /// - Throws: `KilnError` (`badInput`) with the line: malformed text, a value of the wrong kind, nesting over the limit.
  mutating func wireBytes(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) throws -> [UInt8] {
    try fields(descriptor, until: nil, depth: 1)
    return out
  }

  /// Values of one repeated number field that follow each other.
  private struct Run {
    var field: UnsafePointer<ProtobufCFieldDescriptor>
    var bytes: [UInt8] = []
  }

  private mutating func fields(
    _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, until end: Unicode.Scalar?, depth: Int
  ) throws {
    guard depth <= ProtobufSlimmer.maximumDepth else {
      throw scanner.wrong("protobuf message nested deeper than \(ProtobufSlimmer.maximumDepth) levels")
    }
    let names = fieldNames(descriptor)
    var run: Run?
    while let next = try scanner.peek() {
      if let end, try scanner.take(end) {
        flush(&run)
        return
      }
      if next == UInt8(ascii: "[") {
        try skipBrackets()
        try skipValue(depth)
      } else {
        let name = try scanner.identifier()
        if let field = names.byName[name] {
          if run?.field != field { flush(&run) }
          try values(field, &run, depth)
        } else {
          try skipValue(depth)
        }
      }
      if try !scanner.take(",") { _ = try scanner.take(";") }
    }
    guard end == nil else { throw scanner.wrong("the text ends inside a message") }
    flush(&run)
  }

  private mutating func fieldNames(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) -> Fields {
    if let found = known[descriptor] { return found }
    let fields = Fields(descriptor)
    known[descriptor] = fields
    return fields
  }

  private mutating func flush(_ run: inout Run?) {
    guard let finished = run else { return }
    run = nil
    out.append(varint: UInt64(finished.field.pointee.id) << 3 | 2)
    out.append(varint: UInt64(finished.bytes.count))
    out += finished.bytes
  }

  /// What follows a field's name: one value or a list of them.
  private mutating func values(_ field: UnsafePointer<ProtobufCFieldDescriptor>, _ run: inout Run?, _ depth: Int) throws {
    let hasColon = try scanner.take(":")
    guard try scanner.take("[") else { return try value(field, &run, hasColon, depth) }
    if try scanner.take("]") { return }
    repeat { try value(field, &run, hasColon, depth) } while try scanner.take(",")
    guard try scanner.take("]") else { throw scanner.wrong("a list has no closing bracket") }
  }

  private mutating func value(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>, _ run: inout Run?, _ hasColon: Bool, _ depth: Int
  ) throws {
    let id = UInt64(field.pointee.id)
    switch field.pointee.type {
    case PROTOBUF_C_TYPE_MESSAGE:
      guard let inner = field.pointee.descriptor else { throw scanner.wrong("a message is not known") }
      let end: Unicode.Scalar = try scanner.take("<") ? ">" : "}"
      if end == "}" {
        guard try scanner.take("{") else { throw scanner.wrong("a message in braces is expected") }
      }
      out.append(varint: id << 3 | 2)
      let start = out.count
      out += [0x80, 0x80, 0x80, 0x80, 0]
      try fields(inner.assumingMemoryBound(to: ProtobufCMessageDescriptor.self), until: end, depth: depth + 1)
      let length = out.count - start - 5
      for index in 0..<5 {
        let low = UInt8(truncatingIfNeeded: length >> (7 * index)) & 0x7F
        out[start + index] = index < 4 ? low | 0x80 : low
      }
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES:
      guard hasColon else { throw scanner.wrong("a colon is expected") }
      let bytes = try scanner.quoted()
      out.append(varint: id << 3 | 2)
      out.append(varint: UInt64(bytes.count))
      out += bytes
    default:
      guard hasColon else { throw scanner.wrong("a colon is expected") }
      let (wire, bytes) = try number(field)
      if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
        if run == nil { run = Run(field: field) }
        run?.bytes += bytes
      } else {
        out.append(varint: id << 3 | wire)
        out += bytes
      }
    }
  }

  /// A number, flag or constant with its wire type.
  private mutating func number(_ field: UnsafePointer<ProtobufCFieldDescriptor>) throws -> (wire: UInt64, bytes: [UInt8]) {
    let text = try scanner.scalar()
    func wrong() -> KilnError {
      scanner.wrong("\(KilnError.quoted(text)) is no value of the field \(KilnError.quoted(String(cString: field.pointee.name)))")
    }
    func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    var bytes: [UInt8] = []
    switch field.pointee.type {
    case PROTOBUF_C_TYPE_FLOAT:
      guard let value = Float(TextFormParser.floatText(text)) else { throw wrong() }
      return (5, little(value.bitPattern))
    case PROTOBUF_C_TYPE_DOUBLE:
      guard let value = Double(TextFormParser.floatText(text)) else { throw wrong() }
      return (1, little(value.bitPattern))
    case PROTOBUF_C_TYPE_BOOL:
      switch text {
      case "true", "True", "t", "1": bytes.append(1)
      case "false", "False", "f", "0": bytes.append(0)
      default: throw wrong()
      }
    case PROTOBUF_C_TYPE_ENUM:
      guard let value = TextFormParser.constant(text, field) else { throw wrong() }
      bytes.append(varint: UInt64(bitPattern: Int64(value)))
    default:
      guard let value = TextFormParser.integer(text) else { throw wrong() }
      switch field.pointee.type {
      case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: return (5, little(UInt32(truncatingIfNeeded: value)))
      case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: return (1, little(value))
      default: bytes.append(varint: value)
      }
    }
    return (0, bytes)
  }

  private static func floatText(_ text: String) -> String {
    let lower = text.lowercased()
    switch lower {
    case "infinity", "inf", "inff": return "inf"
    case "-infinity", "-inf", "-inff": return "-inf"
    case "nan", "-nan", "nanf": return "nan"
    default: return lower.hasSuffix("f") && !lower.hasPrefix("0x") ? String(lower.dropLast()) : lower
    }
  }

  /// Decimal, hexadecimal or octal, as the bits of 64.
  private static func integer(_ text: String) -> UInt64? {
    let isNegative = text.hasPrefix("-")
    let digits = isNegative ? text.dropFirst() : text[...]
    let magnitude: UInt64? =
      digits.hasPrefix("0x") || digits.hasPrefix("0X")
      ? UInt64(digits.dropFirst(2), radix: 16) : digits.count > 1 && digits.hasPrefix("0") ? UInt64(digits, radix: 8) : UInt64(digits)
    guard let magnitude else { return nil }
    if !isNegative { return magnitude }
    return magnitude <= 1 << 63 ? 0 &- magnitude : nil
  }

  private static func constant(_ text: String, _ field: UnsafePointer<ProtobufCFieldDescriptor>) -> Int32? {
    if let number = Int32(text) { return number }
    guard let descriptor = field.pointee.descriptor else { return nil }
    let names = descriptor.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
    return protobuf_c_enum_descriptor_get_value_by_name(names, text)?.pointee.value
  }

  // MARK: What is passed over

  private mutating func skipBrackets() throws {
    guard try scanner.take("[") else { return }
    while try !scanner.take("]") {
      guard try scanner.peek() != nil else { throw scanner.wrong("a bracket is not closed") }
      if try !scanner.take("/") { _ = try scanner.scalar() }
    }
  }

  /// A value of a field that is not known, whatever it is.
  private mutating func skipValue(_ depth: Int) throws {
    guard depth <= ProtobufSlimmer.maximumDepth else {
      throw scanner.wrong("protobuf message nested deeper than \(ProtobufSlimmer.maximumDepth) levels")
    }
    _ = try scanner.take(":")
    if try scanner.take("[") {
      if try scanner.take("]") { return }
      repeat { try skipValue(depth + 1) } while try scanner.take(",")
      guard try scanner.take("]") else { throw scanner.wrong("a list has no closing bracket") }
      return
    }
    for (start, end) in [("{", "}"), ("<", ">")] as [(Unicode.Scalar, Unicode.Scalar)] where try scanner.take(start) {
      while try !scanner.take(end) {
        guard let next = try scanner.peek() else { throw scanner.wrong("the text ends inside a message") }
        if next == UInt8(ascii: "[") { try skipBrackets() } else { _ = try scanner.identifier() }
        try skipValue(depth + 1)
        if try !scanner.take(",") { _ = try scanner.take(";") }
      }
      return
    }
    if let next = try scanner.peek(), next == UInt8(ascii: "\"") || next == UInt8(ascii: "'") {
      _ = try scanner.quoted()
    } else {
      _ = try scanner.scalar()
    }
  }
}

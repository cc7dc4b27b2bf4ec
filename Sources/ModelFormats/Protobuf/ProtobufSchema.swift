import CGraphSchemas

/// What the generated code knows of one message: its fields by number.
final class ProtobufSchema {
  enum Kind {
    case message(UnsafePointer<ProtobufCMessageDescriptor>)
    case text
    /// Bytes, numbers and flags.
    case plain
    /// Only the place of the payload is kept, under this field number.
    case place(UInt32)
    /// Such a place: it never comes from a file.
    case own
  }

  /// The distance between a field's number and that of the field for its places.
  static let placeOffset: UInt32 = 1000

  let name: String
  let fields: [UInt32: Kind]

  init(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) {
    name = String(cString: descriptor.pointee.short_name)
    let all = UnsafeBufferPointer(start: descriptor.pointee.fields, count: Int(descriptor.pointee.n_fields))
    let numbers = Set(all.map(\.id))
    var fields: [UInt32: Kind] = [:]
    for field in all {
      if field.id > ProtobufSchema.placeOffset {
        fields[field.id] = .own
      } else if numbers.contains(field.id + ProtobufSchema.placeOffset) {
        fields[field.id] = .place(field.id + ProtobufSchema.placeOffset)
      } else if field.type == PROTOBUF_C_TYPE_MESSAGE, let inner = field.descriptor {
        fields[field.id] = .message(inner.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
      } else {
        fields[field.id] = field.type == PROTOBUF_C_TYPE_STRING ? .text : .plain
      }
    }
    self.fields = fields
  }
}

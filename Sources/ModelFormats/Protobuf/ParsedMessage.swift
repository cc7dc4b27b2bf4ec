import CGraphSchemas
import TensorModule

/// A message that protobuf-c read; freed with its owner.
struct ParsedMessage<Message>: ~Copyable {
  private let pointer: UnsafeMutablePointer<ProtobufCMessage>

  /// Reads a message of the type that `descriptor` describes, which is `Message`.
  ///
  /// - Throws: `KilnError` (`badInput`) that says the message is no `what`.
  init(
    _ bytes: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, what: String
  ) throws {
    let slim = try ProtobufSlimmer.slim(bytes, as: descriptor)
    let message = slim.withUnsafeBufferPointer { protobuf_c_message_unpack(descriptor, nil, $0.count, $0.baseAddress) }
    guard let message else { throw KilnError(.badInput, "is not a valid \(what): a field has the wrong type, or memory ran out") }
    guard MemoryLayout<Message>.size == descriptor.pointee.sizeof_message else {
      protobuf_c_message_free_unpacked(message, nil)
      throw KilnError(.internal, "\(what) is read under another type")
    }
    pointer = message
  }

  /// The fields; valid while the owner lives.
  borrowing func withFields<Result>(_ body: (borrowing Message) throws -> Result) rethrows -> Result {
    try pointer.withMemoryRebound(to: Message.self, capacity: 1) { try body($0.pointee) }
  }

  deinit { protobuf_c_message_free_unpacked(pointer, nil) }
}

/// C arrays of generated messages as Swift collections.
enum Repeated {
  /// The messages of a repeated field.
  static func messages<Message>(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?, _ count: Int
  ) -> [UnsafeMutablePointer<Message>] {
    UnsafeBufferPointer(start: start, count: count).compactMap { $0 }
  }

  static func values<Value>(_ start: UnsafeMutablePointer<Value>?, _ count: Int) -> UnsafeBufferPointer<Value> {
    UnsafeBufferPointer(start: start, count: count)
  }

  /// The texts of a repeated field.
  static func texts(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ count: Int
  ) throws -> [String] {
    try UnsafeBufferPointer(start: start, count: count).map { try text($0) }
  }

  /// A text field.
  ///
  /// - Throws: `KilnError` (`badInput`) when it is not UTF-8.
  static func text(_ start: UnsafePointer<CChar>?) throws -> String {
    guard let start else { return "" }
    guard let text = String(validatingCString: start) else {
      throw KilnError(.badInput, "a name is not UTF-8: \(KilnError.quoted(String(cString: start)))")
    }
    return text
  }

  static func text(_ start: UnsafeMutablePointer<CChar>?) throws -> String { try text(start.map { UnsafePointer($0) }) }

  /// A bytes field.
  static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
    Array(UnsafeBufferPointer(start: data.data, count: data.len))
  }
}

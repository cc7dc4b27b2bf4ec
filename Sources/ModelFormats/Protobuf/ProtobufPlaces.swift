import TensorModule

/// The places of payloads that `ProtobufSlimmer` left in the file.
enum ProtobufPlaces {
  /// - Parameter start: pairs of offset and length, as a field 1000 + n holds them.
  static func ranges(_ start: UnsafeMutablePointer<UInt64>?, _ count: Int, _ file: MappedFile) throws -> [Range<Int>] {
    let numbers = UnsafeBufferPointer(start: start, count: count)
    guard count % 2 == 0 else { throw KilnError(.internal, "a place of tensor bytes is incomplete") }
    return try stride(from: 0, to: count, by: 2).map { index in
      guard let offset = Int(exactly: numbers[index]), let length = Int(exactly: numbers[index + 1]),
        offset <= file.bytes.count, length <= file.bytes.count - offset
      else { throw KilnError(.internal, "a place of tensor bytes leads out of the file") }
      return offset..<offset + length
    }
  }
}

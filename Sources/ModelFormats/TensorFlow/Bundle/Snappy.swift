import TensorModule

/// Decompresses a Snappy block (not the framed format).
package enum Snappy {
  /// A copy of 64 bytes takes 3, so nothing grows by more.
  private static let maximumRatio = 24

  /// - Throws: `KilnError` (`badInput`): a length that leads out, a copy from before the start, a declared length that the
  ///   compressed bytes do not justify or do not give.
  package static func decompress(_ bytes: UnsafeRawBufferPointer) throws -> [UInt8] {
    var reader = WireReader(bytes)
    guard let declared = Int(exactly: try reader.varint()), declared <= bytes.count * maximumRatio else {
      throw KilnError(.badInput, "a compressed block declares more bytes than it can hold")
    }
    var position = reader.position
    func byte() throws -> Int {
      guard position < bytes.count else { throw KilnError(.badInput, "a compressed block ends too early") }
      defer { position += 1 }
      return Int(bytes[position])
    }
    func number(_ count: Int) throws -> Int {
      var value = 0
      for index in 0..<count { value |= try byte() << (8 * index) }
      return value
    }
    var out: [UInt8] = []
    out.reserveCapacity(declared)
    while position < bytes.count {
      let tag = try byte()
      if tag & 3 == 0 {
        let length = (tag >> 2 < 60 ? tag >> 2 : try number((tag >> 2) - 59)) + 1
        guard length <= bytes.count - position, length <= declared - out.count else {
          throw KilnError(.badInput, "a compressed block has a literal that leads out of it")
        }
        out += bytes[position..<position + length]
        position += length
        continue
      }
      let length: Int
      let distance: Int
      switch tag & 3 {
      case 1:
        length = (tag >> 2 & 7) + 4
        distance = (tag >> 5) << 8 | (try byte())
      case 2:
        length = (tag >> 2) + 1
        distance = try number(2)
      default:
        length = (tag >> 2) + 1
        distance = try number(4)
      }
      guard distance > 0, distance <= out.count, length <= declared - out.count else {
        throw KilnError(.badInput, "a compressed block copies from where nothing is")
      }
      // A copy may overlap what it writes.
      let start = out.count - distance
      for index in 0..<length { out.append(out[start + index]) }
    }
    guard out.count == declared else {
      throw KilnError(.badInput, "a compressed block gives \(out.count) bytes and declares \(declared)")
    }
    return out
  }
}

/// The checksum of TensorFlow's checkpoints, records and event files: CRC-32C (Castagnoli), eight bytes at a time.
package struct CRC32C {
  /// Eight tables of 256, one after the other; table n is for a byte that n more bytes follow.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
      tables[byte] = value
    }
    for index in 256..<8 * 256 {
      let before = tables[index - 256]
      tables[index] = (before >> 8) ^ tables[Int(before & 0xFF)]
    }
    return tables
  }()

  private var state: UInt32 = 0xFFFF_FFFF

  package init() {}

  package var value: UInt32 { ~state }

  /// The value as TensorFlow stores it, so that a checksum of checksums is no fixed point.
  package var masked: UInt32 { ((value >> 15) | (value << 17)) &+ 0xA282_EAD8 }

  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    state = CRC32C.tables.withUnsafeBufferPointer { tables in
      var crc = state
      var offset = 0
      let count = bytes.count
      while count - offset >= 8 {
        let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(crc)
        let low = UInt32(truncatingIfNeeded: word)
        let high = UInt32(truncatingIfNeeded: word >> 32)
        let first = tables[1792 + Int(low & 0xFF)] ^ tables[1536 + Int(low >> 8 & 0xFF)]
        let second = tables[1280 + Int(low >> 16 & 0xFF)] ^ tables[1024 + Int(low >> 24)]
        let third = tables[768 + Int(high & 0xFF)] ^ tables[512 + Int(high >> 8 & 0xFF)]
        crc = first ^ second ^ third ^ tables[256 + Int(high >> 16 & 0xFF)] ^ tables[Int(high >> 24)]
        offset += 8
      }
      while offset < count {
        let byte = start.load(fromByteOffset: offset, as: UInt8.self)
        crc = (crc >> 8) ^ tables[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
        offset += 1
      }
      return crc
    }
  }

  package mutating func add(_ number: UInt32) {
    withUnsafeBytes(of: number.littleEndian) { add($0) }
  }

  /// The masked checksum of some bytes.
  package static func masked(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc = CRC32C()
    crc.add(bytes)
    return crc.masked
  }
}

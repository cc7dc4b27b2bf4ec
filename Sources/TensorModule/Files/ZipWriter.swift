/// Makes a zip file of stored (uncompressed) members, as NumPy's `savez` and Keras do.
package struct ZipWriter {
  private var directory: [UInt8] = []
  private var count = 0
  private var offset = 0

  package init() {}

  /// The header that goes before a member's bytes. Data are aligned to 64 bytes from the start of the file.
  package mutating func header(name: String, data: UnsafeRawBufferPointer) throws -> [UInt8] {
    let nameBytes = Array(name.utf8)
    guard data.count < 0xFFFF_FFFF, offset < 0xFFFF_FFFF, nameBytes.count < 0xFFFF, count < 0xFFFF else {
      throw KilnError(.failed, "\(KilnError.quoted(name)) is too large for a zip file")
    }
    let checksum = ZipArchive.crc32(data)
    let unaligned = offset + 30 + nameBytes.count
    // An extra field has at least its 4-byte head.
    let extra = (64 - (unaligned + 4) % 64) % 64 + 4
    var common: [UInt8] = []
    common.append16(20)
    common.append16(0x800)
    common.append16(0)
    common.append16(0)
    common.append16(0x21)
    common.append32(checksum)
    common.append32(UInt32(data.count))
    common.append32(UInt32(data.count))
    common.append16(UInt16(nameBytes.count))
    var local: [UInt8] = []
    local.append32(0x0403_4B50)
    local += common
    local.append16(UInt16(extra))
    local += nameBytes
    local.append16(0x4B4E)
    local.append16(UInt16(extra - 4))
    local += [UInt8](repeating: 0, count: extra - 4)
    directory.append32(0x0201_4B50)
    directory.append16(20)
    directory += common
    for _ in 0..<4 { directory.append16(0) }
    directory.append32(0)
    directory.append32(UInt32(offset))
    directory += nameBytes
    count += 1
    offset += local.count + data.count
    return local
  }

  /// What goes at the end of the file.
  package func trailer() throws -> [UInt8] {
    guard offset < 0xFFFF_FFFF else { throw KilnError(.failed, "the zip file is over 4 GiB") }
    var out = directory
    out.append32(0x0605_4B50)
    out.append32(0)
    out.append16(UInt16(count))
    out.append16(UInt16(count))
    out.append32(UInt32(directory.count))
    out.append32(UInt32(offset))
    out.append16(0)
    return out
  }
}

extension [UInt8] {
  package mutating func append16(_ value: UInt16) { Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) } }
  package mutating func append32(_ value: UInt32) { Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) } }
  package mutating func append64(_ value: UInt64) { Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) } }
}

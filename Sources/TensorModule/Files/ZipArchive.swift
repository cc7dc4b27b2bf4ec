import CZlib

/// A zip file read in memory, strictly: nothing is ever extracted to the disk, and an archive that two readers could
/// understand differently is refused.
package struct ZipArchive {
  package struct Member: Sendable {
    package let name: String
    let method: Int
    let checksum: UInt32
    let compressedSize: Int
    package let size: Int
    let dataOffset: Int
  }

  /// The members in the order of the central directory.
  package let members: [Member]
  private let bytes: UnsafeRawBufferPointer
  private let owner: AnyObject

  private static let maximumMembers = 10_000

  /// Reads the directory of a zip file that `owner` keeps in memory.
  ///
  /// - Throws: `KilnError` (`badInput`) for anything malformed: a directory outside the file, names that repeat,
  ///   overlapping members, encryption, unknown compression, headers that disagree.
  package init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject) throws {
    self.bytes = bytes
    self.owner = owner
    let reader = ByteReader(bytes)
    let end = try ZipArchive.findEnd(reader)
    var (count, size, offset) = (
      try Int(reader.uint16(end + 10)), try Int(reader.uint32(end + 12)), try Int(reader.uint32(end + 16)))
    guard try reader.uint16(end + 4) == 0, try reader.uint16(end + 6) == 0 else { throw ZipArchive.damaged("is split over several disks") }
    if count == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF {
      let locator = end - 20
      guard try reader.uint32(locator) == 0x0706_4B50 else { throw ZipArchive.damaged("lacks its Zip64 directory") }
      let record = try reader.int64(locator + 8)
      guard try reader.uint32(record) == 0x0606_4B50 else { throw ZipArchive.damaged("lacks its Zip64 directory") }
      (count, size, offset) = (try reader.int64(record + 32), try reader.int64(record + 40), try reader.int64(record + 48))
    }
    guard count >= 0, count <= ZipArchive.maximumMembers else { throw ZipArchive.damaged("has more than \(ZipArchive.maximumMembers) members") }
    guard size >= 0, offset >= 0, offset <= end, size <= end - offset else { throw ZipArchive.damaged("has a directory outside the file") }
    var members: [Member] = []
    var names: Set<String> = []
    var position = offset
    for _ in 0..<count {
      let (member, next) = try ZipArchive.readMember(reader, position)
      guard names.insert(member.name).inserted else { throw ZipArchive.damaged("\(KilnError.quoted(member.name)) appears twice") }
      members.append(member)
      position = next
    }
    guard position <= offset + size else { throw ZipArchive.damaged("has a directory outside the file") }
    var free = 0
    for member in members.sorted(by: { $0.dataOffset < $1.dataOffset }) {
      guard member.dataOffset >= free else { throw ZipArchive.damaged("\(KilnError.quoted(member.name)) overlaps another member") }
      free = member.dataOffset + member.compressedSize
    }
    guard free <= offset else { throw ZipArchive.damaged("has members inside its directory") }
    self.members = members
  }

  package func member(named name: String) -> Member? { members.first { $0.name == name } }

  /// The bytes of a member, inflated and checked against its CRC.
  ///
  /// - Parameter limit: the largest size that is accepted.
  package func contents(of member: Member, limit: Int) throws -> [UInt8] {
    let name = KilnError.quoted(member.name)
    guard member.size <= limit else { throw ZipArchive.damaged("\(name) inflates past the limit of \(limit) bytes") }
    let source = UnsafeRawBufferPointer(rebasing: bytes[member.dataOffset..<member.dataOffset + member.compressedSize])
    let data: [UInt8]
    if member.method == 0 {
      guard member.size == member.compressedSize else { throw ZipArchive.damaged("\(name) has two sizes") }
      data = Array(source)
    } else {
      // Deflate cannot do better than 1032 to 1.
      guard member.size / 1032 <= member.compressedSize else { throw ZipArchive.damaged("\(name) inflates past what its size allows") }
      data = try ZipArchive.inflate(source, size: member.size, name: name)
    }
    let checksum = data.withUnsafeBytes { ZipArchive.crc32($0) }
    guard checksum == member.checksum else { throw ZipArchive.damaged("\(name): CRC mismatch (file damaged)") }
    return data
  }

  /// The bytes of a member as `contents` gives them, but not copied when they are stored without compression.
  package func data(of member: Member, limit: Int) throws -> (bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    guard member.method == 0, member.size == member.compressedSize, member.size <= limit else {
      let box = ByteBox(try contents(of: member, limit: limit))
      return (box.bytes, box)
    }
    let source = UnsafeRawBufferPointer(rebasing: bytes[member.dataOffset..<member.dataOffset + member.size])
    guard ZipArchive.crc32(source, of: owner as? MappedFile) == member.checksum else {
      throw ZipArchive.damaged("\(KilnError.quoted(member.name)): CRC mismatch (file damaged)")
    }
    return (source, owner)
  }

  /// Bytes at an address that stays.
  private final class ByteBox {
    let bytes: UnsafeRawBufferPointer
    init(_ data: [UInt8]) {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 16)
      memory.copyBytes(from: data)
      bytes = UnsafeRawBufferPointer(memory)
    }
    deinit { bytes.deallocate() }
  }

  /// The checksum of bytes of a mapped file, of which little is held in memory at a time.
  private static func crc32(_ bytes: UnsafeRawBufferPointer, of file: MappedFile?) -> UInt32 {
    var (checksum, position) = (UInt(0), 0)
    while position < bytes.count {
      let part = UnsafeRawBufferPointer(rebasing: bytes[position..<min(position + 4 << 20, bytes.count)])
      checksum = crc32_z(checksum, part.bindMemory(to: UInt8.self).baseAddress, part.count)
      file?.release(part)
      position += part.count
    }
    return UInt32(truncatingIfNeeded: checksum)
  }

  package static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(0, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count))
  }

  private static func inflate(_ source: UnsafeRawBufferPointer, size: Int, name: String) throws -> [UInt8] {
    guard source.count <= UInt32.max, size < UInt32.max else { throw damaged("\(name) is over 4 GiB and compressed") }
    var stream = z_stream()
    guard inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw KilnError(.failed, "zlib cannot start")
    }
    defer { inflateEnd(&stream) }
    var complete = false
    // One byte more than declared, so that data which goes on is seen.
    let out = [UInt8](unsafeUninitializedCapacity: size + 1) { buffer, count in
      stream.next_in = UnsafeMutablePointer(mutating: source.bindMemory(to: UInt8.self).baseAddress)
      stream.avail_in = UInt32(source.count)
      stream.next_out = buffer.baseAddress
      stream.avail_out = UInt32(size + 1)
      complete = CZlib.inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == size && stream.avail_in == 0
      count = Int(stream.total_out)
    }
    guard complete else { throw damaged("\(name) does not inflate to its declared size") }
    return out
  }

  private static func damaged(_ message: String) -> KilnError { KilnError(.badInput, "zip: \(message)") }

  /// The end-of-directory record: the last one whose comment reaches exactly to the end of the file.
  private static func findEnd(_ reader: ByteReader) throws -> Int {
    var position = reader.count - 22
    let lowest = max(0, reader.count - 65_557)
    while position >= lowest {
      if try reader.uint32(position) == 0x0605_4B50, try position + 22 + Int(reader.uint16(position + 20)) == reader.count {
        return position
      }
      position -= 1
    }
    throw damaged("has no directory (file cut off?)")
  }

  private static func readMember(_ reader: ByteReader, _ at: Int) throws -> (Member, next: Int) {
    guard try reader.uint32(at) == 0x0201_4B50 else { throw damaged("has a damaged directory") }
    let flags = try reader.uint16(at + 8)
    let method = try Int(reader.uint16(at + 10))
    let (nameLength, extraLength, commentLength) = (
      try Int(reader.uint16(at + 28)), try Int(reader.uint16(at + 30)), try Int(reader.uint16(at + 32)))
    guard let name = String(validating: try reader.slice(at + 46, nameLength), as: UTF8.self), !name.isEmpty, nameLength <= 1024 else {
      throw damaged("has a member whose name is not UTF-8 or too long")
    }
    let quoted = KilnError.quoted(name)
    guard flags & 1 == 0 else { throw damaged("\(quoted) is encrypted") }
    // The upper half of the external attributes is a Unix mode.
    guard try reader.uint32(at + 38) >> 28 != 0xA else { throw damaged("\(quoted) is a symbolic link") }
    guard method == 0 || method == 8 else { throw damaged("\(quoted) uses compression method \(method)") }
    var compressed = try Int(reader.uint32(at + 20))
    var size = try Int(reader.uint32(at + 24))
    var header = try Int(reader.uint32(at + 42))
    var extra = at + 46 + nameLength
    let extraEnd = extra + extraLength
    while extra + 4 <= extraEnd {
      let (tag, length) = (try reader.uint16(extra), try Int(reader.uint16(extra + 2)))
      if tag == 1 {
        var field = extra + 4
        for value in 0..<3 {
          let current = [size, compressed, header][value]
          guard current == 0xFFFF_FFFF else { continue }
          guard field + 8 <= extra + 4 + length else { throw damaged("\(quoted) has a damaged Zip64 size") }
          let wide = try reader.int64(field)
          field += 8
          if value == 0 { size = wide } else if value == 1 { compressed = wide } else { header = wide }
        }
      }
      extra += 4 + length
    }
    guard ![size, compressed, header].contains(0xFFFF_FFFF) else { throw damaged("\(quoted) has a damaged Zip64 size") }
    guard try reader.uint32(header) == 0x0403_4B50, try Int(reader.uint16(header + 8)) == method,
      try Int(reader.uint16(header + 26)) == nameLength,
      try reader.slice(header + 30, nameLength).elementsEqual(name.utf8)
    else { throw damaged("\(quoted) has two headers that disagree") }
    let data = header + 30 + nameLength + (try Int(reader.uint16(header + 28)))
    guard compressed >= 0, size >= 0, data <= reader.count, compressed <= reader.count - data else {
      throw damaged("\(quoted) reaches past the end of the file")
    }
    let member = Member(
      name: name, method: method, checksum: try reader.uint32(at + 16), compressedSize: compressed, size: size,
      dataOffset: data)
    return (member, at + 46 + nameLength + extraLength + commentLength)
  }
}

/// Reads little-endian numbers at checked offsets.
package struct ByteReader {
  private let bytes: UnsafeRawBufferPointer
  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var count: Int { bytes.count }

  package func slice(_ at: Int, _ length: Int) throws -> UnsafeRawBufferPointer {
    guard at >= 0, length >= 0, at <= bytes.count, length <= bytes.count - at else {
      throw KilnError(.badInput, "the file ends early: \(length) bytes wanted at \(at), the file has \(bytes.count)")
    }
    return UnsafeRawBufferPointer(rebasing: bytes[at..<at + length])
  }

  package func uint16(_ at: Int) throws -> UInt16 { UInt16(littleEndian: try slice(at, 2).loadUnaligned(as: UInt16.self)) }
  package func uint32(_ at: Int) throws -> UInt32 { UInt32(littleEndian: try slice(at, 4).loadUnaligned(as: UInt32.self)) }
  package func uint64(_ at: Int) throws -> UInt64 { UInt64(littleEndian: try slice(at, 8).loadUnaligned(as: UInt64.self)) }

  /// A 64-bit size, which must fit in an Int.
  package func int64(_ at: Int) throws -> Int {
    guard let value = Int(exactly: try uint64(at)) else { throw KilnError(.badInput, "an impossible 64-bit size at \(at)") }
    return value
  }
}

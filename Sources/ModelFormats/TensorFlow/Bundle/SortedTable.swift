import TensorModule

/// A sorted table as LevelDB and TensorFlow's checkpoints have it: keys with values, in blocks, under an index block.
///
/// Every block's checksum is checked. Values of blocks that are not compressed lie in the file.
struct SortedTable {
  /// Bytes, and what keeps them alive.
  struct Value {
    let bytes: UnsafeRawBufferPointer
    let owner: MappedFile
  }

  static let footerBytes = 48
  private static let magic: UInt64 = 0xDB47_7524_8B80_FB57
  private static let maximumEntries = 4_000_000

  private(set) var entries: [(key: [UInt8], value: Value)] = []
  private let file: MappedFile
  /// What all decompressed blocks together may take.
  private var budget: Int

  /// Whether a file ends as such a table does.
  static func isTable(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= footerBytes
      && UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self)) == magic
  }

  /// Reads all keys.
  ///
  /// - Throws: `KilnError` (`badInput`): no table, a block that leads out of the file, a wrong checksum, keys out of order.
  init(_ file: MappedFile) throws {
    self.file = file
    budget = 64 << 20 + 8 * file.bytes.count
    guard SortedTable.isTable(file.bytes) else {
      throw KilnError(.badInput, "is not a checkpoint's table: its last bytes are not those of one")
    }
    let data = file.bytes.count - SortedTable.footerBytes
    var footer = WireReader(file.bytes, data..<data + 40)
    _ = try SortedTable.handle(&footer)
    let index = try SortedTable.handle(&footer)
    var last: [UInt8] = []
    for (_, value) in try SortedTable.entries(of: try block(index)) {
      var reader = WireReader(value.bytes)
      for (key, value) in try SortedTable.entries(of: try block(try SortedTable.handle(&reader))) {
        guard entries.isEmpty || last.lexicographicallyPrecedes(key) else { throw KilnError(.badInput, "its keys are not in order") }
        guard entries.count < SortedTable.maximumEntries else {
          throw KilnError(.badInput, "has over \(SortedTable.maximumEntries) entries")
        }
        last = key
        entries.append((key, value))
      }
    }
  }

  private static func handle(_ reader: inout WireReader) throws -> (offset: UInt64, size: UInt64) {
    (try reader.varint(), try reader.varint())
  }

  /// A block's content after its checksum was checked.
  private mutating func block(_ handle: (offset: UInt64, size: UInt64)) throws -> Value {
    let data = file.bytes.count - SortedTable.footerBytes
    guard let offset = Int(exactly: handle.offset), let size = Int(exactly: handle.size), data >= 5, size <= data - 5,
      offset <= data - 5 - size
    else { throw KilnError(.badInput, "a block of \(handle.size) bytes at \(handle.offset) leads out of the file") }
    let checked = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + size + 1])
    let stored = UInt32(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset + size + 1, as: UInt32.self))
    guard CRC32C.masked(checked) == stored else {
      throw KilnError(.badInput, "the checksum of the block at byte \(offset) is wrong; the file is damaged")
    }
    let content = UnsafeRawBufferPointer(rebasing: checked[..<size])
    switch checked[size] {
    case 0: return Value(bytes: content, owner: file)
    case 1:
      let plain = try Snappy.decompress(content)
      budget -= plain.count
      guard budget >= 0 else { throw KilnError(.badInput, "its compressed blocks grow beyond what its size justifies") }
      let memory = try MappedFile(path: file.path, contents: plain)
      return Value(bytes: memory.bytes, owner: memory)
    default: throw KilnError(.badInput, "the block at byte \(offset) is compressed by the unknown method \(checked[size])")
    }
  }

  /// The entries of one block; keys share their first bytes with the one before.
  private static func entries(of block: Value) throws -> [(key: [UInt8], value: Value)] {
    let bytes = block.bytes
    func wrong() -> KilnError { KilnError(.badInput, "a block's entries do not fit into it") }
    guard bytes.count >= 4 else { throw wrong() }
    let restarts = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
    guard let count = Int(exactly: restarts), count <= (bytes.count - 4) / 4 else { throw wrong() }
    let end = bytes.count - 4 - 4 * count
    var reader = WireReader(bytes, 0..<end)
    var key: [UInt8] = []
    var out: [(key: [UInt8], value: Value)] = []
    while !reader.isAtEnd {
      let shared = try reader.varint()
      let more = try reader.varint()
      let length = try reader.varint()
      guard let shared = Int(exactly: shared), shared <= key.count, more <= 1 << 16 else { throw wrong() }
      key.removeLast(key.count - shared)
      key += bytes[try reader.take(more)]
      guard key.count <= 1 << 16 else { throw wrong() }
      let place = try reader.take(length)
      out.append((key, Value(bytes: UnsafeRawBufferPointer(rebasing: bytes[place]), owner: block.owner)))
    }
    return out
  }
}

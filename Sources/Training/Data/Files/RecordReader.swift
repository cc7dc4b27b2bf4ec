import TensorModule

/// The records of a TFRecord file: for each one its length (8 bytes), that length's masked CRC32C, the bytes, their masked CRC32C.
package struct RecordReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  package private(set) var index = 0

  /// - Throws: `KilnError` (`badInput`) for a file that is compressed as a whole.
  package init(_ bytes: UnsafeRawBufferPointer) throws {
    self.bytes = bytes
    if bytes.count >= 2, bytes[0] == 0x1F, bytes[1] == 0x8B {
      throw KilnError(.badInput, "is compressed by gzip; expected plain records", hint: "gunzip it first")
    }
  }

  /// The place of the next record's bytes; nil at the end of the file.
  ///
  /// - Throws: `KilnError` (`badInput`) when a checksum is wrong or the file ends early.
  package mutating func next() throws -> Range<Int>? {
    if position == bytes.count { return nil }
    let reader = ByteReader(bytes)
    func damaged(_ what: String) -> KilnError { KilnError(.badInput, "record \(index) at byte \(position): \(what)") }
    guard bytes.count - position >= 12 else { throw damaged("the file ends inside its head") }
    let head = UnsafeRawBufferPointer(rebasing: bytes[position..<position + 8])
    guard try CRC32C.masked(head) == reader.uint32(position + 8) else {
      throw damaged(index == 0 ? "the checksum of its length is wrong; is this a TFRecord file?" : "the checksum of its length is wrong (file damaged)")
    }
    guard let length = Int(exactly: try reader.uint64(position)), length <= bytes.count - position - 12, bytes.count - position - 12 - length >= 4 else {
      throw damaged("the file ends inside it")
    }
    let range = position + 12..<position + 12 + length
    guard try CRC32C.masked(UnsafeRawBufferPointer(rebasing: bytes[range])) == reader.uint32(range.upperBound) else {
      throw damaged("the checksum of its bytes is wrong (file damaged)")
    }
    position = range.upperBound + 4
    index += 1
    return range
  }
}

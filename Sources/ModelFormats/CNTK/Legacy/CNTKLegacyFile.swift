import TensorModule

/// A computation network of CNTK 1.
enum CNTKLegacyFile {
  /// UTF-16 text `BCN` with its zero, then `BVersion`.
  static func isNetwork(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let start = "BCN\0BVersion\0".utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    return bytes.starts(with: start)
  }
}

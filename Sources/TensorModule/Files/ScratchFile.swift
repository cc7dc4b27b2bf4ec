#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file without a name that holds tensors in the place of memory; it goes away with the last of them.
package final class ScratchFile: @unchecked Sendable {
  private let path: String
  private let descriptor: Int32
  private var end = 0

  /// Makes a file whose path begins with `prefix` and takes its name away.
  ///
  /// - Throws: `KilnError` (`failed`) when the folder cannot be written.
  package init(prefix: String) throws {
    guard let file = TemporaryName.file(prefix) else {
      throw KilnError(.failed, FileError.message("no temporary file can be made"), at: [prefix])
    }
    unlink(file.path)
    path = prefix
    descriptor = file.descriptor
  }

  /// The same elements, read from the file when they are used. Not for strings.
  ///
  /// - Throws: `KilnError` (`failed`) when the disk is full.
  package func keep(_ tensor: Tensor) throws -> Tensor {
    let page = 1 << 16
    let start = (end + page - 1) / page * page
    guard lseek(descriptor, off_t(start), SEEK_SET) == off_t(start) else {
      throw KilnError(.failed, FileError.message("cannot be written"), at: [path])
    }
    // All blocks are there before the file is mapped, so that no read of the map can fail for want of room.
    try FileOutput.write(tensor.bytes, to: descriptor, named: path)
    end = start + tensor.byteCount
    let part = try MappedFile(path: path, descriptor: descriptor, part: start..<end)
    guard let address = part.bytes.baseAddress else { return tensor }
    return Tensor(dtype: tensor.dtype, shape: tensor.shape, address: address, owner: part)
  }

  deinit { close(descriptor) }
}

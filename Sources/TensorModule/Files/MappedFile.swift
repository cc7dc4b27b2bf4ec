#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A regular file mapped read-only, or memory in its place; its bytes stay valid while the object lives, so hold it in a variable.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  package let bytes: UnsafeRawBufferPointer
  /// Whether the bytes are in memory only.
  private let isDecoded: Bool

  /// Maps the file at `path`.
  ///
  /// - Throws: `KilnError` (`badInput`) when it cannot be opened or is not a regular file.
  package init(path: String) throws {
    // O_NONBLOCK: opening a FIFO without it waits for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw KilnError(.badInput, FileError.message("cannot be opened"), at: [path]) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw KilnError(.badInput, "is not a regular file", at: [path])
    }
    let size = Int(status.st_size)
    self.path = path
    isDecoded = false
    if size == 0 {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw KilnError(.failed, FileError.message("cannot be mapped"), at: [path])
    }
    #if os(Linux)
      // What is not in the page cache is then read in large pieces, which cost one fault each.
      if size >= 1 << 21 { madvise(address, size, MADV_HUGEPAGE) }
    #endif
    bytes = UnsafeRawBufferPointer(start: address, count: size)
  }

  /// Maps a part of an open file that begins at a multiple of the page size; the file may be closed then.
  ///
  /// - Throws: `KilnError` (`failed`) when it cannot be mapped.
  package init(path: String, descriptor: Int32, part: Range<Int>) throws {
    self.path = path
    isDecoded = false
    if part.isEmpty {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let address = mmap(nil, part.count, PROT_READ, MAP_SHARED, descriptor, off_t(part.lowerBound)), address != MAP_FAILED else {
      throw KilnError(.failed, FileError.message("cannot be mapped"), at: [path])
    }
    bytes = UnsafeRawBufferPointer(start: address, count: part.count)
  }

  /// Memory that holds `contents` under a file's name: a part of it that was decoded.
  package init(path: String, contents: [UInt8]) throws {
    self.path = path
    isDecoded = true
    if contents.isEmpty {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let address = mmap(nil, contents.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address, address != MAP_FAILED else {
      throw KilnError(.failed, "out of memory: \(contents.count) bytes could not be allocated", at: [path])
    }
    contents.withUnsafeBytes { address.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(address), byteCount: $0.count) }
    bytes = UnsafeRawBufferPointer(start: address, count: contents.count)
  }

  /// Has the system make a part of `bytes` ready: a byte of each window that a fault brings in is read. That takes a third to two
  /// thirds of the time of `MADV_POPULATE_READ`, which looks at every page.
  ///
  /// - Returns: the sum of what was read; the caller puts it somewhere, or nothing would be read.
  package func prefetch(_ part: UnsafeRawBufferPointer) -> UInt8 {
    if isDecoded { return 0 }
    var sum: UInt8 = 0
    for offset in stride(from: 0, to: part.count, by: MappedFile.faultWindow) { sum &+= part[offset] }
    return sum
  }

  /// A fault brings in as many bytes as this around the place.
  private static let faultWindow = 1 << 16

  /// Lets go of the memory that holds a part of the file, and of what the system read around it; it is read again when
  /// it is used again.
  ///
  /// - Parameter part: a part of `bytes`.
  package func release(_ part: UnsafeRawBufferPointer) {
    guard !isDecoded, let base = bytes.baseAddress, let start = part.baseAddress, start >= base, start + part.count <= base + bytes.count else { return }
    let window = MappedFile.faultWindow
    let first = max(Int(bitPattern: start) / window * window, Int(bitPattern: base))
    let end = min((Int(bitPattern: start) + part.count + window - 1) / window * window, Int(bitPattern: base) + bytes.count)
    guard end > first, let address = UnsafeMutableRawPointer(bitPattern: first) else { return }
    madvise(address, end - first, Int32(MADV_DONTNEED))
  }

  /// A copy of a file's bytes.
  package static func contents(of path: String) throws -> [UInt8] {
    let file = try MappedFile(path: path)
    return withExtendedLifetime(file) { Array(file.bytes) }
  }

  deinit { if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) } }
}

package enum FileError {
  /// `what: No such file or directory`, from `errno`.
  package static func message(_ what: String) -> String { "\(what): \(String(cString: strerror(errno)))" }
}

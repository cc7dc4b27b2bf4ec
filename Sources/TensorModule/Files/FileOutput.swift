#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum FileOutput {
  /// Writes all bytes to an open file, however often the system takes only a part.
  ///
  /// - Throws: `KilnError` (`failed`) under the given name when the reader is gone or the disk is full.
  package static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, named name: String) throws {
    var rest = bytes
    while !rest.isEmpty {
      #if canImport(Glibc)
        let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
      #else
        let written = Darwin.write(descriptor, rest.baseAddress, rest.count)
      #endif
      if written < 0 {
        if errno == EINTR { continue }
        throw KilnError(.failed, FileError.message("cannot be written"), at: [name])
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }

  /// The same at a place in the file; several threads may write to places of their own.
  package static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at place: Int, named name: String) throws {
    var (rest, place) = (bytes, place)
    while !rest.isEmpty {
      let written = pwrite(descriptor, rest.baseAddress, rest.count, off_t(place))
      if written < 0 {
        if errno == EINTR { continue }
        throw KilnError(.failed, FileError.message("cannot be written"), at: [name])
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
      place += written
    }
  }
}

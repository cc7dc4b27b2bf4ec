#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Files that libraries of C write by name.
package enum FileStatus {
  /// Whether something has that name.
  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Flushes a complete file to the disk and gives it its name, with the mode that a plain new file has.
  ///
  /// - Throws: `KilnError` (`failed`) when that cannot be done.
  package static func publish(_ temporary: String, as path: String) throws {
    func failure() -> KilnError { KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
    let descriptor = open(temporary, O_RDONLY)
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    let mask = umask(0)
    umask(mask)
    guard fchmod(descriptor, 0o666 & ~mask) == 0, fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw failure() }
  }
}

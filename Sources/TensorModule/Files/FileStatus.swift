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
    let mask = umask(0)
    umask(mask)
    guard chmod(temporary, 0o666 & ~mask) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
    try flush(temporary, as: path)
    guard rename(temporary, path) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
  }

  /// Flushes a file to the disk; an error names `path`.
  package static func flush(_ temporary: String, as path: String) throws {
    let descriptor = open(temporary, O_RDONLY | O_CLOEXEC)
    defer { if descriptor >= 0 { close(descriptor) } }
    guard descriptor >= 0, fsync(descriptor) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
  }
}

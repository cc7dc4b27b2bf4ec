#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Writes a file under a temporary name beside its target, then renames it: readers see all of it or nothing.
package struct AtomicFile: ~Copyable {
  package let path: String
  package let temporaryPath: String
  private let descriptor: Int32
  private var finished = false

  /// Starts writing.
  ///
  /// - Throws: `KilnError` (`failed`) when the folder cannot be written, or the target exists and `overwriting` is false.
  package static func create(path: String, overwriting: Bool) throws -> AtomicFile {
    if !overwriting, access(path, F_OK) == 0 {
      throw KilnError(.failed, "exists already", at: [path], hint: "--force overwrites it")
    }
    guard let temporary = TemporaryName.file("\(path).tmp-") else {
      throw KilnError(.failed, FileError.message("cannot be written"), at: [path])
    }
    // A temporary file is private; give it the mode that a plain new file has.
    let mask = umask(0)
    umask(mask)
    fchmod(temporary.descriptor, 0o666 & ~mask)
    return AtomicFile(path: path, temporaryPath: temporary.path, descriptor: temporary.descriptor)
  }

  private init(path: String, temporaryPath: String, descriptor: Int32) {
    self.path = path
    self.temporaryPath = temporaryPath
    self.descriptor = descriptor
  }

  package mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
    try FileOutput.write(bytes, to: descriptor, named: path)
  }

  package mutating func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Where threads write, each to places of its own.
  package var places: Places { Places(descriptor: descriptor, path: path) }

  /// An unfinished file; not to be used after it.
  package struct Places: Sendable {
    fileprivate let descriptor: Int32
    fileprivate let path: String

    package func write(_ bytes: UnsafeRawBufferPointer, at place: Int) throws {
      try FileOutput.write(bytes, to: descriptor, at: place, named: path)
    }
  }

  /// Gives the file its name.
  ///
  /// - Parameter flushing: after all of it is on the disk.
  package consuming func commit(flushing: Bool = true) throws {
    guard !flushing || fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else {
      throw KilnError(.failed, FileError.message("cannot be written"), at: [path])
    }
    finished = true
  }

  deinit {
    close(descriptor)
    if !finished { unlink(temporaryPath) }
  }
}

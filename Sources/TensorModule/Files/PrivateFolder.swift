#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A private folder of plain files that goes away with its owner.
package struct PrivateFolder: ~Copyable {
  package let path: String

  /// Makes a folder whose path begins with `prefix`.
  ///
  /// - Throws: `KilnError` (`failed`) when it cannot be made.
  package init(prefix: String) throws {
    guard let path = TemporaryName.folder(prefix) else {
      throw KilnError(.failed, FileError.message("no temporary folder can be made"), at: [prefix])
    }
    self.path = path
  }

  /// One beside a file that is going to be written, so that a rename moves what it holds there.
  package init(beside file: String) throws {
    let slash = file.lastIndex(of: "/")
    let folder = slash.map { file[...$0] } ?? ""
    let name = slash.map { file[file.index(after: $0)...] } ?? file[...]
    try self.init(prefix: "\(folder).\(name).import-")
  }

  /// One in the system's folder for temporary files (`TMPDIR`, else `/tmp`).
  package static func system() throws -> PrivateFolder {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    return try PrivateFolder(prefix: "\(folder.isEmpty ? "/tmp" : folder)/kiln-")
  }

  /// Does work on files in the folder for one that is to stand elsewhere: errors at the former are said of the latter.
  package func standing<Result>(for target: String, _ work: () throws -> Result) throws -> Result {
    do { return try work() } catch let error as KilnError {
      guard let first = error.path.first, first.hasPrefix(path) else { throw error }
      throw KilnError(error.code, error.message, at: [target] + error.path.dropFirst(), hint: error.hint)
    }
  }

  deinit {
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { unlink("\(path)/\(name)") }
      }
      closedir(folder)
    }
    rmdir(path)
  }
}

import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Files that belong to a model of several files. What a file says is only ever a name below the model's own folder.
enum FilePath {
  enum Kind { case file, folder, other, missing }

  /// What lies at a path; a symbolic link is `other`.
  static func kind(_ path: String) -> Kind {
    var status = stat()
    guard lstat(path, &status) == 0 else { return .missing }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .folder
    default: return .other
    }
  }

  /// How many names a file has.
  static func linkCount(_ path: String) -> Int {
    var status = stat()
    return lstat(path, &status) == 0 ? Int(status.st_nlink) : 0
  }

  /// Maps a file of a model.
  ///
  /// - Parameter what: how messages name it.
  /// - Throws: `KilnError` (`badInput`) when it is missing, a link or no regular file.
  static func map(_ path: String, _ what: String) throws -> MappedFile {
    switch kind(path) {
    case .file: return try MappedFile(path: path)
    case .missing: throw KilnError(.badInput, "\(what) \(KilnError.quoted(name(of: path))) is missing")
    case .folder, .other: throw KilnError(.badInput, "\(what) \(KilnError.quoted(name(of: path))) is not a regular file")
    }
  }

  /// The last component.
  static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

  /// The folder of a path, `.` without one, and never with a slash at its end but for the root.
  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// A file below `folder` by a name that another file gives: every component is plain, and none is a link.
  ///
  /// - Throws: `KilnError` (`badInput`) when the name leads out of the folder.
  static func map(_ name: String, below folder: String, _ what: String) throws -> MappedFile {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !parts.isEmpty, parts.count <= 16, name.utf8.count <= 1024, !name.utf8.contains(0),
      parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." })
    else { throw KilnError(.badInput, "\(what) \(KilnError.quoted(name)) leaves the model's folder") }
    var path = folder
    for part in parts.dropLast() {
      path += "/" + part
      guard kind(path) == .folder else { throw KilnError(.badInput, "\(what) \(KilnError.quoted(name)) is missing") }
    }
    return try map(folder + "/" + name, what)
  }

  /// The names in a folder, sorted.
  static func names(in folder: String) throws -> [String] {
    guard let handle = opendir(folder) else { throw KilnError(.badInput, FileError.message("the folder cannot be read")) }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name != ".", name != ".." else { continue }
      guard names.count < 10_000 else { throw KilnError(.badInput, "the folder holds over 10000 files") }
      names.append(name)
    }
    return names.sorted()
  }
}

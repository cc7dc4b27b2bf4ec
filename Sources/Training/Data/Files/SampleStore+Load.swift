import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension SampleStore {
  /// Reads data: `.npz`, `.csv`, `.tfrecord`, or a folder with a sub-folder for each class (or of `.tfrecord` files).
  ///
  /// - Throws: `KilnError`: `badInput` for data that are damaged or do not fit the model, with the file and the place.
  public static func load(_ path: String, for form: DataForm, options: DataOptions = DataOptions()) throws -> SampleStore {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard !form.inputs.isEmpty, !form.targets.isEmpty else { throw KilnError(.badInput, "the model has nothing to train") }
    do {
      if try FolderListing.isFolder(path) {
        let records = try FolderListing.entries(path).filter { !$0.isFolder && isRecordName($0.name) }.map { "\(path)/\($0.name)" }
        if !records.isEmpty { return try RecordFiles(records, form, options).store(path) }
        return try ClassFolders(path, form, options).store()
      }
      let lower = path.lowercased()
      if lower.hasSuffix(".csv") { return try TableFile.store(path, form, options) }
      if isRecordName(path) { return try RecordFiles([path], form, options).store(path) }
      let file = try MappedFile(path: path)
      if file.bytes.starts(with: [0x50, 0x4B]) { return try ArrayFile.store(path, form, options) }
    } catch let error as KilnError {
      throw error.path.first?.hasPrefix(path) == true ? error : error.inside(path)
    }
    throw KilnError(.badInput, "is none of .npz, .csv, .tfrecord, nor a folder with a sub-folder for each class", at: [path])
  }

  private static func isRecordName(_ path: String) -> Bool {
    let name = path.lowercased().split(separator: "/").last ?? ""
    return name.hasSuffix(".tfrecord") || name.hasSuffix(".tfrecords") || name.contains(".tfrecord-")
  }
}

/// What is in a folder.
enum FolderListing {
  struct Entry {
    let name: String
    let isFolder: Bool
    /// Whether it is a link to something else.
    let isLink: Bool
  }

  static func isFolder(_ path: String) throws -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { throw KilnError(.badInput, FileError.message("cannot be opened")) }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  /// The entries in the order of Python's `sorted`: by code points.
  static func entries(_ path: String) throws -> [Entry] {
    guard let folder = opendir(path) else { throw KilnError(.badInput, FileError.message("cannot be opened"), at: [path]) }
    defer { closedir(folder) }
    var found: [Entry] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name == "." || name == ".." { continue }
      var (own, target) = (stat(), stat())
      guard lstat("\(path)/\(name)", &own) == 0 else { continue }
      let isFolder = stat("\(path)/\(name)", &target) == 0 && target.st_mode & S_IFMT == S_IFDIR
      found.append(Entry(name: name, isFolder: isFolder, isLink: own.st_mode & S_IFMT == S_IFLNK))
    }
    return found.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }
}

import GraphModule
import ModelFile
import ModelFormats
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Reads model files of other frameworks and writes them as `.kiln`.
public enum ModelImport {
  /// Where the reading is done.
  public enum Isolation: Sendable {
    /// In this process: for files from a trusted hand. A fault of a C parser on a hostile file ends the process.
    case inProcess
    /// In a child with memory, processor-time and file-size limits; its death is an error. `executable` is `kconv`, or a
    /// program that calls `serveIfChild()` before anything else.
    case child(executable: String)
  }

  /// Imports `source` and writes it to `target`, all of it or nothing.
  ///
  /// - Parameters:
  ///   - check: outputs of the source framework to store in the `.kiln`; without them it gets Kiln's own, of the
  ///     reference backend, unless the model is too large for that.
  ///   - overwriting: replace an existing `.kiln`.
  ///   - validate: looks at the complete file under its temporary name; what it throws leaves nothing behind.
  ///   - isCancelled: asked while a child works; when true the import stops with an error and leaves nothing behind.
  /// - Throws: `KilnError`: `unsupportedModel`, `badInput` for a damaged file, `failed` when the target exists and
  ///   `overwriting` is false or cannot be written.
  @discardableResult
  public static func importModel(
    at source: String, to target: String, options: ImportOptions = ImportOptions(), check: CheckFiles? = nil,
    overwriting: Bool = false, isolation: Isolation = .inProcess, validate: (String) throws -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws -> ImportOutcome {
    try refuse(target, from: source, overwriting: overwriting)
    let folder = try PrivateFolder(beside: target)
    let temporary = folder.path + "/model.kiln"
    let request = ImportRequest(source: source, target: temporary, options: options, check: check)
    let outcome = try folder.standing(for: target) { try perform(request, isolation, isCancelled) }
    try ParallelWork.both({ try FileStatus.flush(temporary, as: target) }) {
      try KilnFile.load(path: temporary, checkOnly: true)
      try validate(temporary)
    }
    if isCancelled() { throw KilnError(.failed, "was interrupted", at: [source]) }
    guard rename(temporary, target) == 0 else {
      throw KilnError(.failed, FileError.message("cannot be written"), at: [target])
    }
    return outcome
  }

  /// Everything about `source` that is not supported; writes nothing.
  ///
  /// - Throws: `KilnError` when the file cannot be read at all.
  public static func check(
    _ source: String, options: ImportOptions = ImportOptions(), isolation: Isolation = .inProcess,
    isCancelled: () -> Bool = { false }
  ) throws -> ImportOutcome {
    try perform(ImportRequest(source: source, target: nil, options: options), isolation, isCancelled)
  }

  /// The model in `source`: that of a `.kiln` file as it is stored, that of another file layer by layer as it was read
  /// (it passes through a temporary `.kiln`).
  package static func load(
    _ source: String, options: ImportOptions = ImportOptions(), isolation: Isolation, isCancelled: () -> Bool
  ) throws -> StoredModel {
    try loadWithOutcome(source, options: options, isolation: isolation, isCancelled: isCancelled).model
  }

  /// As `load`, with what the import told; that is nil for a `.kiln` file.
  package static func loadWithOutcome(
    _ source: String, options: ImportOptions = ImportOptions(), isolation: Isolation, isCancelled: () -> Bool
  ) throws -> (model: StoredModel, outcome: ImportOutcome?) {
    if try isKilnFile(source) { return (try KilnFile.load(path: source), nil) }
    let folder = try PrivateFolder.system()
    var request = ImportRequest(source: source, target: folder.path + "/model.kiln", options: options)
    request.simplifies = false
    request.options.keepsLayers = false
    let outcome = try perform(request, isolation, isCancelled)
    return (try KilnFile.load(path: folder.path + "/model.kiln"), outcome)
  }

  static func perform(
    _ request: ImportRequest, _ isolation: Isolation, _ isCancelled: () -> Bool
  ) throws -> ImportOutcome {
    switch isolation {
    case .inProcess: try ImportWork.run(request)
    case .child(let executable): try request.run(in: executable, isCancelled)
    }
  }

  static func isKilnFile(_ path: String) throws -> Bool {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return false }
    let file = try MappedFile(path: path)
    return withExtendedLifetime(file) { KilnFile.isKilnFile(file.bytes) }
  }

  static func refuse(_ target: String, from source: String, overwriting: Bool) throws {
    var (from, to) = (stat(), stat())
    guard stat(source, &from) == 0 else { throw KilnError(.badInput, FileError.message("cannot be opened"), at: [source]) }
    guard stat(target, &to) == 0 else { return }
    if !overwriting { throw KilnError(.failed, "exists already", at: [target], hint: "--force overwrites it") }
    if from.st_dev == to.st_dev, from.st_ino == to.st_ino {
      throw KilnError(.failed, "is the source itself", at: [target])
    }
    if to.st_mode & S_IFMT != S_IFREG { throw KilnError(.failed, "is not a regular file", at: [target]) }
  }
}

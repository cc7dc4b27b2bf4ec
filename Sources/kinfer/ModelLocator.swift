import CommandSupport
import Kiln

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Loads the model of a MODEL argument. A file of another format is imported by `kconv` in a process of its own and
/// kept in the user's cache folder under the hash of its content.
struct ModelLocator {
  /// Import anew and keep nothing.
  let ignoresCache: Bool
  /// Options of `kconv import` that decide what the model means.
  var importOptions: [String] = []

  /// Loads the model. A temporary `.kiln` is gone afterwards; the model keeps its mapping.
  func load(_ path: String, _ options: Model.Options) throws -> Model {
    var status = stat()
    // A checkpoint may be named by what its files have in common.
    guard stat(path, &status) == 0 || stat(path + ".meta", &status) == 0 else {
      throw KilnError(.badInput, FileError.message("cannot be opened"), at: [path])
    }
    let file = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFDIR ? nil : try MappedFile(path: path)
    if let file, Model.isModelFile(file.bytes) {
      guard !importOptions.contains("--replace-layer") else {
        throw KilnError(.usage, "--replace-layer: the model is imported already; kconv import takes the option", at: [path])
      }
      return try Model(contentsOf: path, options: options)
    }
    // What lies in several files has no one content to know it by.
    let isPart = [".meta", ".index", "saved_model.pb", "saved_model.pbtxt"].contains { path.hasSuffix($0) }
    if let file, !ignoresCache, !isPart, let folder = ModelLocator.cacheFolder() {
      let cached = "\(folder)/\(XXH64.text(file.bytes))-\(file.bytes.count)-\(ModelLocator.importerStamp())\(optionStamp).kiln"
      // A damaged entry is imported anew.
      if access(cached, R_OK) == 0, let model = try? Model(contentsOf: cached, options: options) { return model }
      try importModel(path, to: cached)
      return try Model(contentsOf: cached, options: options)
    }
    return try withTemporaryFile { temporary in
      try importModel(path, to: temporary)
      return try Model(contentsOf: temporary, options: options)
    }
  }

  /// `$XDG_CACHE_HOME/kiln` or `~/.cache/kiln`, made when it is missing; nil when it cannot be.
  private static func cacheFolder() -> String? {
    var folder = Console.variable("XDG_CACHE_HOME") ?? ""
    if !folder.hasPrefix("/") {
      guard let home = Console.variable("HOME"), home.hasPrefix("/") else { return nil }
      folder = home + "/.cache"
    }
    mkdir(folder, 0o700)
    folder += "/kiln"
    mkdir(folder, 0o700)
    return access(folder, W_OK | X_OK) == 0 ? folder : nil
  }

  /// Changes with the importer, so that a new one imports anew.
  private static func importerStamp() -> String {
    var status = stat()
    guard let kconv = try? importer(), stat(kconv, &status) == 0 else { return KilnVersion.text }
    return "\(KilnVersion.text)-\(String(UInt(bitPattern: Int(status.st_mtim.tv_sec)), radix: 36))\(String(status.st_mtim.tv_nsec, radix: 36))"
  }

  /// Tells apart what one file became with other options.
  private var optionStamp: String {
    if importOptions.isEmpty { return "" }
    let bytes = Array(importOptions.map { "\($0.utf8.count):\($0)" }.joined().utf8)
    return "-" + bytes.withUnsafeBytes { XXH64.text($0) }
  }

  /// `kconv` beside this program, else on the PATH.
  static func importer() throws -> String {
    let folder = try ExecutablePath.current().split(separator: "/").dropLast().joined(separator: "/")
    let places = ["/" + folder] + (Console.variable("PATH") ?? "").split(separator: ":").map(String.init)
    guard let found = places.map({ $0 + "/kconv" }).first(where: { access($0, X_OK) == 0 }) else {
      throw KilnError(.failed, "kconv, which imports models, is neither beside kinfer nor on the PATH")
    }
    return found
  }

  /// Has `kconv` import; it prints its own one line when that fails.
  private func importModel(_ source: String, to target: String) throws {
    let kconv = try ModelLocator.importer()
    let arguments = ["import", source, "--output", target, "--force", "--quiet", "--without-layers", "--program-name", "kinfer"] + importOptions
    let status = try Interruption.deferring { try Subprocess.run(kconv, arguments) }
    if status != 0 { throw ReportedFailure(exitCode: status) }
  }

  private func withTemporaryFile<Result>(_ use: (String) throws -> Result) throws -> Result {
    // Inside, so that a signal that was held back finds the folder gone.
    try Interruption.deferring {
      let folder = try PrivateFolder.system()
      return try withExtendedLifetime(folder) { try use(folder.path + "/model.kiln") }
    }
  }
}

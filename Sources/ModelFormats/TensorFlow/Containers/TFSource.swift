import CGraphSchemas
import TensorModule

/// What a TensorFlow model's files are.
enum TFContainer: Hashable, Sendable {
  /// One GraphDef with its weights.
  case graph(path: String)
  /// `PREFIX.meta` with the graph, and the checkpoint `PREFIX.index` or `PREFIX` beside it.
  case checkpoint(prefix: String, meta: String)
  /// A folder with `saved_model.pb` or `saved_model.pbtxt`.
  case savedModel(folder: String, file: String)

  var description: String {
    switch self {
    case .graph: "a TensorFlow graph"
    case .checkpoint: "a TensorFlow checkpoint"
    case .savedModel: "a TensorFlow SavedModel"
    }
  }

  /// Tells what a path is; nil when it is nothing of TensorFlow's.
  ///
  /// - Throws: `KilnError` (`badInput`) for a folder, a part of a checkpoint or a broken file that is surely meant.
  static func detect(_ path: String) throws -> TFContainer? {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    switch FilePath.kind(path) {
    case .folder: return try folder(path)
    case .missing: return checkpoint(prefix: path)
    case .other where isFolder(path): return try folder(path)
    case .file, .other: return try file(path)
    }
  }

  /// A link that the user names leads to where it leads; only links inside a model are refused.
  private static func isFolder(_ path: String) -> Bool { FilePath.kind(path + "/.") == .folder }

  private static func folder(_ path: String) throws -> TFContainer {
    for name in ["saved_model.pb", "saved_model.pbtxt"] where FilePath.kind("\(path)/\(name)") != .missing {
      return .savedModel(folder: path, file: name)
    }
    let names = try FilePath.names(in: path)
    if names.contains("checkpoint"), let latest = try latest(path), let found = checkpoint(prefix: "\(path)/\(latest)") { return found }
    let metas = names.filter { $0.hasSuffix(".meta") }
    if metas.count == 1, let meta = metas.first, let found = checkpoint(prefix: "\(path)/\(meta.dropLast(5))") { return found }
    if metas.count > 1 {
      throw KilnError(
        .badInput, "the folder holds \(metas.count) checkpoints",
        hint: "name one: " + metas.prefix(4).map { KilnError.quoted(String($0)) }.joined(separator: ", "))
    }
    if names.contains(where: { $0.hasSuffix(".index") }) {
      throw KilnError(.badInput, "the folder holds a checkpoint without its graph (.meta)", hint: "save a SavedModel or a frozen graph")
    }
    throw KilnError(.badInput, "is a folder with neither a SavedModel nor a checkpoint in it")
  }

  /// The name that the text file `checkpoint` gives; a path of another machine counts by its last component.
  private static func latest(_ folder: String) throws -> String? {
    let file = try FilePath.map("\(folder)/checkpoint", "the file")
    guard file.bytes.count <= 1 << 20, let text = String(validating: file.bytes, as: UTF8.self) else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix("model_checkpoint_path:") {
      let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
      if parts.count == 3 { return FilePath.name(of: String(parts[1])) }
    }
    return nil
  }

  private static func checkpoint(prefix: String) -> TFContainer? {
    FilePath.kind(prefix + ".meta") == .missing ? nil : .checkpoint(prefix: prefix, meta: prefix + ".meta")
  }

  private static func file(_ path: String) throws -> TFContainer? {
    let file = try MappedFile(path: path)
    switch TFMessageKind(file.bytes) ?? TFTextForm.kind(file.bytes) {
    case .graph: return .graph(path: path)
    case .metaGraph:
      guard path.hasSuffix(".meta") else {
        throw KilnError(.badInput, "is a checkpoint's graph, whose name must end in .meta for its variables to be found")
      }
      return .checkpoint(prefix: String(path.dropLast(5)), meta: path)
    case .savedModel:
      let name = FilePath.name(of: path)
      guard ["saved_model.pb", "saved_model.pbtxt"].contains(name) else {
        throw KilnError(.badInput, "is the graph of a SavedModel, whose name must be saved_model.pb for the rest to be found")
      }
      return .savedModel(folder: FilePath.folder(of: path), file: name)
    case nil: break
    }
    guard SortedTable.isTable(file.bytes) else { return nil }
    let prefix = path.hasSuffix(".index") ? String(path.dropLast(6)) : path
    if let found = checkpoint(prefix: prefix) { return found }
    throw KilnError(
      .badInput, "is a checkpoint's table of variables; its graph \(KilnError.quoted(FilePath.name(of: prefix) + ".meta")) is missing")
  }
}

/// Which message a file holds, told from its first fields.
enum TFMessageKind {
  case graph, metaGraph, savedModel

  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 4 else { return nil }
    var reader = WireReader(bytes)
    guard let (number, wire) = try? reader.tag(), let payload = try? reader.payload(wire: wire) else { return nil }
    switch (number, wire) {
    case (1, 0):
      guard let (next, wire) = try? reader.tag(), next == 2, wire == 2, let graph = try? reader.payload(wire: wire) else { return nil }
      // An ONNX file has a text there.
      guard TFMessageKind(UnsafeRawBufferPointer(rebasing: bytes[graph])) == .metaGraph else { return nil }
      self = .savedModel
    case (1, 2):
      if TFMessageKind.isNode(UnsafeRawBufferPointer(rebasing: bytes[payload])) {
        self = .graph
      } else if TFMessageKind.isMetaInfo(UnsafeRawBufferPointer(rebasing: bytes[payload])), let (next, wire) = try? reader.tag(), next == 2, wire == 2 {
        self = .metaGraph
      } else {
        return nil
      }
    case (2, 2):
      // A MetaGraphDef without information, or a graph whose functions come first.
      let inner = UnsafeRawBufferPointer(rebasing: bytes[payload])
      guard TFMessageKind(inner) == .graph else { return nil }
      self = .metaGraph
    default: return nil
    }
  }

  /// Whether bytes are a NodeDef: a name, then the name of an op.
  private static func isNode(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var reader = WireReader(bytes)
    guard let (first, wire) = try? reader.tag(), first == 1, wire == 2, let name = try? reader.payload(wire: wire), !name.isEmpty,
      let (second, next) = try? reader.tag(), second == 2, next == 2, let op = try? reader.payload(wire: next), !op.isEmpty
    else { return false }
    return bytes[op].allSatisfy { byte in
      UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ">")
    }
  }

  /// Whether bytes are a MetaInfoDef: fields 1 to 8 only, with a list of ops, tags or a version among them.
  private static func isMetaInfo(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      guard let (number, wire) = try? reader.tag(), number <= 9, (try? reader.payload(wire: wire)) != nil else { return false }
    }
    return true
  }
}

import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Weights of Keras 3 in several files: `m.weights.json` says which of `m_00000.weights.h5`, … holds which variables.
struct ShardedWeights {
  private let folder: String
  private let files: [String]
  /// The files for each object, by its path.
  private let map: [(object: String, files: [String])]
  private let budget: Int?

  private static let maximumFiles = 1000

  /// Whether JSON text looks like the list of shards.
  static func isList(_ json: JSON) -> Bool { json["weight_map"]?.objectValue != nil }

  /// - Throws: `KilnError` (`badInput`) when a shard's name is not that of a file beside the list.
  init(path: String, budget: Int?) throws {
    self.budget = budget
    let json = try JSON.parse(try MappedFile.contents(of: path))
    guard let entries = json["weight_map"]?.objectValue?.entries else { throw KilnError(.badInput, "has no weight_map") }
    folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    var map: [(object: String, files: [String])] = []
    var files: [String] = []
    for (key, value) in entries {
      let names = try (value.arrayValue ?? [value]).map { name in
        guard let text = name.stringValue else { throw KilnError(.badInput, "weight_map must hold names of files, found \(name.kind)") }
        return try ShardedWeights.checked(text)
      }
      var parts = key.split(separator: "/").map(String.init)
      guard parts.popLast() == "vars", !parts.contains("..") else {
        throw KilnError(.badInput, "weight_map names \(KilnError.quoted(key)), which is no group of variables")
      }
      map.append((parts.joined(separator: "/"), names))
      for name in names where !files.contains(name) { files.append(name) }
      guard files.count <= ShardedWeights.maximumFiles else { throw KilnError(.badInput, "has over \(ShardedWeights.maximumFiles) shards") }
    }
    self.map = map
    self.files = files
  }

  /// The names come from the file, so only plain names of weight files in the same folder are taken.
  private static func checked(_ name: String) throws -> String {
    let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x2F && $0 != 0x5C && $0 != 0x7F }
    guard isPlain, !name.hasPrefix("."), name.hasSuffix(".h5"), name.utf8.count <= 255 else {
      throw KilnError(.badInput, "the shard \(KilnError.quoted(name)) is not the name of a file beside this one")
    }
    return name
  }

  /// The tree of variables over all shards, arrays not yet read.
  func variables() throws -> VariableTree {
    var opened: [String: HDF5File] = [:]
    for name in files {
      let path = folder + name
      var status = stat()
      guard lstat(path, &status) == 0 else { throw KilnError(.badInput, FileError.message("shard \(KilnError.quoted(name)) cannot be opened")) }
      guard status.st_mode & S_IFMT == S_IFREG else { throw KilnError(.badInput, "shard \(KilnError.quoted(name)) is not a regular file") }
      do { opened[name] = try HDF5File(path: path, budget: budget) } catch let error as KilnError { throw error.inside(name) }
    }
    let tree = VariableTree()
    for (object, names) in map {
      // Objects above it are there too.
      var parent = object
      while let slash = parent.lastIndex(of: "/") {
        parent = String(parent[..<slash])
        tree.add(object: parent)
      }
      let group = object.isEmpty ? "vars" : "\(object)/vars"
      for name in names {
        guard let file = opened[name] else { continue }
        do { try tree.addVariables(of: object, from: file, group: group) } catch let error as KilnError { throw error.inside(name) }
      }
    }
    return tree
  }
}

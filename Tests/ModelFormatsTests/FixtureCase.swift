import GraphModule
import ModelFormats
import TensorModule
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A case folder of `fixtures/`: a model file, inputs, and what the framework that wrote it made of them.
struct FixtureCase: Sendable, CustomTestStringConvertible {
  var folder: String
  var name: String

  var testDescription: String { name }

  /// The package's folder.
  static let root: String = {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(3)
    return parts.joined(separator: "/")
  }()

  /// Every case with a whole-model .h5 file, sorted by name; also those below the folder that `KILN_EXTRA_CASES` names
  /// (`scripts/fixtures/random_models.py` makes such folders).
  static let matching: [FixtureCase] = (all + extra).filter { access("\($0.folder)/model.h5", R_OK) == 0 }

  private static let extra: [FixtureCase] = {
    guard let root = getenv("KILN_EXTRA_CASES").map({ String(cString: $0) }) else { return [] }
    var found: [FixtureCase] = []
    var folders = [root]
    while let folder = folders.popLast() {
      if access("\(folder)/case.json", R_OK) == 0 {
        found.append(FixtureCase(folder: folder, name: String(folder.dropFirst(root.count + 1))))
      } else if folders.count < 100_000 {
        folders += entries(folder).map { "\(folder)/\($0)" }
      }
    }
    return found.sorted { $0.name < $1.name }
  }()

  /// Every case of `fixtures/bad`.
  static let bad: [FixtureCase] = entries("\(root)/fixtures/bad").compactMap { name in
    let folder = "\(root)/fixtures/bad/\(name)"
    return access("\(folder)/case.json", R_OK) == 0 ? FixtureCase(folder: folder, name: "bad/\(name)") : nil
  }

  private static let all: [FixtureCase] = entries("\(root)/fixtures").filter { $0 != "bad" }.flatMap { framework in
    entries("\(root)/fixtures/\(framework)").compactMap { name in
      let folder = "\(root)/fixtures/\(framework)/\(name)"
      return access("\(folder)/case.json", R_OK) == 0 ? FixtureCase(folder: folder, name: "\(framework)/\(name)") : nil
    }
  }

  static func entries(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  func json() throws -> JSON {
    let file = try MappedFile(path: "\(folder)/case.json")
    return try JSON.parse(Array(file.bytes))
  }

  /// How many cases the folder holds: those that `scripts/fixtures/keras_bundle.py` joined, else one.
  func caseCount() throws -> Int {
    let parts = try json()["parts"]?.objectValue?.entries.flatMap { $0.value.arrayValue ?? [] } ?? []
    return max(1, Set(parts.compactMap { $0[0]?.stringValue }).count)
  }

  /// The joined case that gives the value at `index` of the flattened output `name`, as words for a message.
  static func part(_ json: JSON, _ name: String, _ index: Int?, of wanted: Tensor) -> String {
    guard let index, let width = wanted.shape.last, width > 0, let parts = json["parts"]?[name]?.arrayValue else { return "" }
    var end = 0
    for part in parts {
      end += part[1]?.intValue ?? 0
      if index % width < end { return ", first in case \(part[0]?.stringValue ?? "?")" }
    }
    return ""
  }

  /// The arrays that case.json lists under `key`, with the tensor names.
  func arrays(_ json: JSON, _ key: String) throws -> [(name: String, tensor: Tensor)] {
    try (json[key]?.arrayValue ?? []).map { entry in
      let file = try NumPyFile.read(npy: "\(folder)/\(entry["file"]?.stringValue ?? "")")
      return (entry["name"]?.stringValue ?? "", file)
    }
  }
}

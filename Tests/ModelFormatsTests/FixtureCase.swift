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

  /// Every case with a whole-model .h5 file, sorted by name.
  static let matching: [FixtureCase] = all.filter { access("\($0.folder)/model.h5", R_OK) == 0 }

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

  /// The arrays that case.json lists under `key`, with the tensor names.
  func arrays(_ json: JSON, _ key: String) throws -> [(name: String, tensor: Tensor)] {
    try (json[key]?.arrayValue ?? []).map { entry in
      let file = try NumPyFile.read(npy: "\(folder)/\(entry["file"]?.stringValue ?? "")")
      return (entry["name"]?.stringValue ?? "", file)
    }
  }
}

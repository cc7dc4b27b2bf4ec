import Foundation
import Testing

/// Which module may depend on which. What is not here is not allowed.
private let allowed: [String: Set<String>] = [
  "CHDF5": [], "CProtobufC": [], "CZlib": [], "CImages": [], "CKernels": [], "COpenCL": [],
  "CGraphSchemas": ["CProtobufC"],
  "TensorModule": ["CZlib"],
  "GraphModule": ["TensorModule", "CImages"],
  "GraphOptimizer": ["GraphModule"],
  "ModelFile": ["GraphModule"],
  "ModelFormats": ["GraphModule", "CHDF5", "CGraphSchemas", "Yams"],
  "InferenceRuntime": ["GraphOptimizer", "CKernels"],
  "GPURuntime": ["InferenceRuntime", "COpenCL"],
  "Training": ["InferenceRuntime"],
  "Kiln": ["InferenceRuntime", "GPURuntime", "ModelFile", "Training"],
  "KilnImport": ["ModelFormats", "ModelFile", "GraphOptimizer"],
  "CommandSupport": ["TensorModule", "ArgumentParser"],
  "kconv": ["KilnImport", "Kiln", "CommandSupport", "ArgumentParser"],
  "kinfer": ["Kiln", "CImages", "CommandSupport", "ArgumentParser"],
]

/// Modules under `Tests/` that tests share; nothing in `Sources` may depend on them.
private let forTests: Set = ["TestSupport", "GraphTestSupport", "MallocCount", "CheckpointHarness"]

@Suite struct ModuleEdgeTests {
  @Test func declaredEdges() throws {
    let targets = try PackageDescription.load().targets.filter { $0.type != "test" && !forTests.contains($0.name) }
    #expect(Set(targets.map(\.name)) == Set(allowed.keys))
    for target in targets {
      let extra = Set(target.dependencies.map(\.name)).subtracting(allowed[target.name] ?? [])
      #expect(extra.isEmpty, "\(target.name) may not depend on \(extra.sorted())")
    }
  }

  /// SwiftPM lets a file import a module that its target does not declare; this does not.
  @Test(arguments: allowed.keys.sorted()) func importsInSources(module: String) throws {
    let reachable = closure(of: module)
    let own: Set<String> = ["Glibc", "Darwin", "Synchronization", "Foundation"]
    for file in try swiftFiles(in: "Sources/\(module)") {
      for name in try imports(in: file) where !own.contains(name) {
        #expect(reachable.contains(name), "\(file.lastPathComponent) of \(module) imports \(name)")
      }
    }
  }

  /// Foundation costs milliseconds at start-up.
  @Test(arguments: [
    "TensorModule", "GraphModule", "GraphOptimizer", "ModelFile", "InferenceRuntime", "GPURuntime", "Training", "Kiln", "CommandSupport",
    "kinfer",
  ])
  func noFoundation(module: String) throws {
    for file in try swiftFiles(in: "Sources/\(module)") {
      #expect(try !imports(in: file).contains { $0.hasPrefix("Foundation") }, "\(file.lastPathComponent)")
    }
  }

  @Test func readersAndRuntimeNeverMeet() {
    #expect(!closure(of: "Kiln").contains("ModelFormats"))
    #expect(!closure(of: "kinfer").contains("CHDF5"))
    #expect(!closure(of: "KilnImport").contains("InferenceRuntime"))
  }

  private func closure(of module: String) -> Set<String> {
    var found: Set<String> = []
    var open = Array(allowed[module] ?? [])
    while let next = open.popLast() {
      if found.insert(next).inserted { open += allowed[next] ?? [] }
    }
    return found
  }

  private func swiftFiles(in folder: String) throws -> [URL] {
    let root = packageRoot.appending(path: folder)
    let names = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".swift") }.map { root.appending(path: $0) }
  }

  private func imports(in file: URL) throws -> [String] {
    try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ").filter { !["public", "package", "internal", "private", "@_exported"].contains($0) }
      guard words.count >= 2, words[0] == "import" else { return nil }
      return String(words[1])
    }
  }
}

import Foundation
import Testing

@Suite struct ReadmeTests {
  /// The program in the README is the one that `scripts/test` builds and runs.
  @Test func embeddingExample() throws {
    let readme = try String(contentsOf: packageRoot.appending(path: "README.md"), encoding: .utf8)
    let program = try String(
      contentsOf: packageRoot.appending(path: "Tests/Embedding/Sources/predict/main.swift"), encoding: .utf8)
    #expect(readme.contains("```swift\n\(program)```"))
  }

  @Test(arguments: ["scripts/demo", "scripts/test", ".ci/run"]) func scriptsRun(path: String) {
    #expect(FileManager.default.isExecutableFile(atPath: packageRoot.appending(path: path).path))
  }

  /// Links to files in the documents lead somewhere.
  @Test(arguments: ["README.md", "CONTRIBUTING.md", "Docs/pipeline.md", "Docs/errors.md", "Docs/commands.md"])
  func links(document: String) throws {
    let file = packageRoot.appending(path: document)
    let text = try String(contentsOf: file, encoding: .utf8)
    for match in text.matches(of: /\]\(([^)#\s]+)[^)\s]*\)/) where !match.1.contains("://") {
      let target = file.deletingLastPathComponent().appending(path: String(match.1))
      #expect(FileManager.default.fileExists(atPath: target.path), "\(document): \(match.1)")
    }
  }
}

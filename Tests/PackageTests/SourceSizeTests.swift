import Foundation
import Testing

@Suite struct SourceSizeTests {
  /// A file that a reader cannot hold in mind is split; generated code is not read.
  @Test func noFileIsOver500Lines() throws {
    for folder in ["Sources", "Tests"] {
      let root = packageRoot.appending(path: folder)
      let names = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
      for name in names where !name.contains(".pb-c.") && (name.hasSuffix(".swift") || name.hasSuffix(".c") || name.hasSuffix(".h")) {
        let lines = try String(contentsOf: root.appending(path: name), encoding: .utf8).count { $0 == "\n" }
        #expect(lines <= 500, "\(folder)/\(name) has \(lines) lines")
      }
    }
  }
}

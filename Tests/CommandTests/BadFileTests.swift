import Foundation
import TensorModule
import TestSupport
import Testing

/// A file of `fixtures/bad`: damaged, hostile, or holding what cannot be supported.
struct BadFile: Sendable, CustomTestStringConvertible {
  let name: String
  let file: String
  let message: String

  var testDescription: String { name }

  static let all: [BadFile] = {
    let folder = Command.root.appending(path: "fixtures/bad")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().compactMap { name in
      guard let data = try? Data(contentsOf: folder.appending(path: "\(name)/case.json")), let json = try? JSON.parse(Array(data)),
        json["expect"]?.stringValue == "clear-error", let file = json["files"]?[0]?.stringValue
      else { return nil }
      return BadFile(
        name: name, file: folder.appending(path: "\(name)/\(file)").path, message: json["message_contains"]?.stringValue ?? "")
    }
  }()
}

@Suite struct BadFileTests {
  @Test func thereAreMany() { #expect(BadFile.all.count > 200) }

  @Test(arguments: BadFile.all) func isOneCleanError(_ item: BadFile) throws {
    let folder = TemporaryFolder()
    let run = try Command.run("kconv", ["import", item.file, "-o", folder.file("m.kiln")], limit: 60)
    #expect(run.signal == 0 && !run.timedOut)
    #expect([3, 4].contains(run.exitCode), "exit code \(run.exitCode): \(run.errors)")
    let line = try #require(run.errorLine, "not one line: \(run.errors)")
    #expect(line.hasPrefix("kconv: error: ") && line.count <= 1100)
    #expect(line.localizedCaseInsensitiveContains(item.message), "\(line)")
    #expect(run.processorSeconds < 10 && run.memory < 1024)
    #expect(folder.names.isEmpty)
  }
}

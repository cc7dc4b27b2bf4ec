import Foundation
import TestSupport
import Testing

/// Outputs appear complete or not at all, and nothing else stays behind.
@Suite struct AtomicityTests {
  @Test func failedImportKeepsTheOldFile() throws {
    let folder = TemporaryFolder()
    let target = folder.file("m.kiln")
    try FileManager.default.copyItem(atPath: Demo.model(), toPath: target)
    let before = try Data(contentsOf: URL(filePath: target))
    let run = try Command.kconv("import", Command.fixture("bad/lambda_layer/model.h5"), "-o", target, "--force")
    #expect(run.exitCode == 3)
    #expect(try Data(contentsOf: URL(filePath: target)) == before)
    #expect(folder.names == ["m.kiln"])
  }

  @Test func failedPredictionWritesNothing() throws {
    let folder = TemporaryFolder()
    let run = try Command.kinfer(
      "predict", Demo.model(), "--input", Command.fixture("demo/expected_digit.npy"), "--output", folder.file("o.npz"))
    #expect(run.exitCode == 4)
    #expect(folder.names.isEmpty)
  }

  @Test func interruptedImportLeavesNothing() throws {
    for milliseconds in [0, 5, 10, 20, 30, 40, 60, 100] {
      for number in [SIGTERM, SIGINT] {
        let folder = TemporaryFolder()
        let run = try Command.run("kconv", ["import", Demo.source, "-o", folder.file("m.kiln")]) { process in
          usleep(UInt32(milliseconds) * 1000)
          kill(process, number)
        }
        #expect(run.signal == number || run.exitCode == 0)
        // Done before the signal, or not at all.
        #expect(folder.names.isEmpty || folder.names == ["m.kiln"])
        if folder.names == ["m.kiln"] {
          #expect(try Command.kconv("verify", folder.file("m.kiln")).exitCode == 0)
        }
      }
    }
  }

  @Test func aDirectoryThatCannotBeWrittenIsOneError() throws {
    let run = try Command.kconv("import", Demo.source, "-o", "/proc/m.kiln")
    #expect(run.exitCode == 1)
    #expect(run.errorLine != nil, "\(run.errors)")
  }
}

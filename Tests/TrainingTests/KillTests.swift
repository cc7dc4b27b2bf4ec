import Foundation
import TensorModule
import TestSupport
import Testing
import Training

/// A training that is killed at random moments ends as one that was not.
@Suite(.serialized) struct KillTests {
  private struct Ending {
    let code: Int32
    let signal: Int32
    let errors: String
  }

  private static let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

  /// Runs the harness; it is killed after `delay` seconds, when that is given.
  private func run(_ arguments: [String], killedAfter delay: Double? = nil, fileLimit: Int? = nil) throws -> Ending {
    let folder = TemporaryFolder()
    let process = Process()
    let harness = Self.folder.appending(path: "CheckpointHarness").path
    process.executableURL = URL(filePath: "/bin/sh")
    // `ulimit -f` counts in blocks of 512 bytes; the signal of a file that is too long becomes an error.
    let limit = fileLimit.map { "trap '' XFSZ; ulimit -f \($0); " } ?? ""
    process.arguments = ["-c", limit + "exec \"$0\" \"$@\"", harness] + arguments
    let errors = folder.file("errors")
    FileManager.default.createFile(atPath: errors, contents: nil)
    process.standardError = try FileHandle(forWritingTo: URL(filePath: errors))
    try process.run()
    if let delay {
      usleep(UInt32(delay * 1e6))
      if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }
    process.waitUntilExit()
    let isSignal = process.terminationReason == .uncaughtSignal
    return Ending(
      code: isSignal ? 0 : process.terminationStatus, signal: isSignal ? process.terminationStatus : 0,
      errors: (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "")
  }

  private func data(_ folder: TemporaryFolder) throws -> String {
    var x: [Float] = []
    var y: [Float] = []
    for row in 0..<60 {
      let values = (0..<4).map { column in Float((row * 4 + column) * 37 % 101) / 50 - 1 }
      x += values
      y.append(values[0] + 2 * values[1] + 3 * values[2] + 4 * values[3])
    }
    return try DataSupport.npz(folder, [("x", try Tensor(x, shape: [60, 4])), ("y", try Tensor(y, shape: [60]))])
  }

  @Test func killedTrainingEndsBitEqual() throws {
    let folder = TemporaryFolder()
    let data = try data(folder)
    let whole = try run([data, folder.file("whole"), folder.file("whole.npy"), "3"])
    #expect(whole.code == 0 && whole.signal == 0, "\(whole.errors)")
    var random = TestRandom(named: "kill")
    let ending = [data, folder.file("cut"), folder.file("cut.npy"), "3"]
    var kills = 0
    for attempt in 0..<200 {
      let end = try run(ending, killedAfter: Double.random(in: 0...(attempt < 50 ? 0.2 : 5), using: &random))
      if end.signal != SIGKILL {
        #expect(end.code == 0, "\(end.errors)")
        break
      }
      kills += 1
      // What the kill left is whole.
      _ = try CheckpointFolder(folder.file("cut"), run: TrainingRun([])).loadLast()
    }
    #expect(kills >= 3)
    #expect(try MappedFile.contents(of: folder.file("cut.npy")) == MappedFile.contents(of: folder.file("whole.npy")))
  }

  @Test func aFullDiskIsOneLineAndLosesNothing() throws {
    let folder = TemporaryFolder()
    let data = try data(folder)
    let place = folder.file("full")
    let arguments = [data, place, folder.file("out.npy"), "3"]
    func step() throws -> Int? { try CheckpointFolder(place, run: TrainingRun([("--batch-size", "5"), ("--seed", "17")])).loadLast()?.step }
    let lines = ["last", "best"].map { "\(place)/\($0).safetensors: cannot be written: File too large\n" }
    let none = try run(arguments, fileLimit: 1)
    #expect(none.code == 1 && lines.contains(none.errors))
    #expect(try step() == nil)
    var random = TestRandom(named: "full disk")
    while try step() == nil { _ = try run(arguments, killedAfter: Double.random(in: 0...0.3, using: &random)) }
    let before = try step()
    let full = try run(arguments, fileLimit: 1)
    #expect(full.code == 1 && lines.contains(full.errors))
    #expect(try step() == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place).allSatisfy { !$0.contains("tmp") })
  }
}

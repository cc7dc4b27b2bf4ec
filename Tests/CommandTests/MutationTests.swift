import Foundation
import TestSupport
import Testing

/// Random damage to good files: never a signal, a hang or a gigabyte. `KILN_MUTATIONS` sets how many (1,000 for a
/// release), `KILN_TEST_SEED` which.
@Suite struct MutationTests {
  private static let count = ProcessInfo.processInfo.environment["KILN_MUTATIONS"].flatMap(Int.init) ?? 300

  /// Two shares, so that they run side by side.
  @Test(arguments: [0, 1]) func neverCrashes(share: Int) throws {
    var random = TestRandom(named: "mutations, share \(share)")
    let sources = try MutationTests.sources()
    for index in stride(from: share, to: MutationTests.count, by: 2) {
      let source = sources[index % sources.count]
      let folder = TemporaryFolder()
      let model = folder.file("m")
      try FileManager.default.copyItem(atPath: source.folder, toPath: model)
      let damaged = source.damaged.randomElement(using: &random) ?? source.file
      let place = URL(filePath: "\(model)/\(damaged)")
      try MutationTests.mutated(try Data(contentsOf: place), &random).write(to: place)
      let file = source.file.isEmpty ? model : "\(model)/\(source.file)"
      let run =
        source.file.hasSuffix(".kiln")
        ? try Command.run("kconv", ["verify", file], limit: 60)
        : try Command.run("kconv", ["import", file, "-o", folder.file("out.kiln")], limit: 60)
      let what = "mutation \(index) of \(damaged) of \(source.folder): \(run.errors)"
      #expect(run.signal == 0, "\(what)")
      // Processor time, which a busy machine does not stretch.
      #expect(!run.timedOut && run.processorSeconds < 10, "\(what): \(run.processorSeconds) s")
      #expect(run.memory < 1024, "\(what): \(run.memory) MiB")
      #expect([0, 2, 3, 4].contains(run.exitCode), "exit code \(run.exitCode): \(what)")
      if run.exitCode != 0 {
        #expect(run.errorLine?.hasPrefix("kconv: error: ") == true, "\(what)")
        #expect(folder.names == ["m"], "\(what)")
      }
    }
  }

  /// A good model: its folder, the file that is imported (empty: the folder itself), and the files that are damaged.
  private struct Source {
    let folder: String
    let file: String
    let damaged: [String]
  }

  /// One after the other of each container, so that a small share has them all.
  private static func sources() throws -> [Source] {
    let fixtures = Command.root.appending(path: "fixtures").path
    let manager = FileManager.default
    func folders(_ name: String) throws -> [String] {
      try manager.contentsOfDirectory(atPath: "\(fixtures)/\(name)").sorted().map { "\(fixtures)/\(name)/\($0)" }
    }
    func holding(_ file: String, _ folders: [String], in part: String = "") -> [Source] {
      folders.map { part.isEmpty ? $0 : "\($0)/\(part)" }.filter { manager.fileExists(atPath: "\($0)/\(file)") }
        .map { Source(folder: $0, file: file, damaged: [file]) }
    }
    func checkpoints(_ folders: [String]) throws -> [Source] {
      try folders.map { $0 + "/checkpoint" }.filter { manager.fileExists(atPath: $0) }.flatMap { folder in
        let names = try manager.contentsOfDirectory(atPath: folder).sorted().filter { $0 != "checkpoint" }
        return names.filter { $0.hasSuffix(".meta") }.map { Source(folder: folder, file: $0, damaged: names) }
      }
    }
    let models = try folders("tensorflow-containers")
    let saved = holding("saved_model.pb", models, in: "saved_model").map { source in
      let index = "variables/variables.index"
      let hasIndex = manager.fileExists(atPath: "\(source.folder)/\(index)")
      return Source(folder: source.folder, file: "", damaged: hasIndex ? [source.file, index] : [source.file])
    }
    let variants = try folders("hdf5-variants").prefix(6)
    let demo = URL(filePath: try Demo.model())
    let kiln = Source(
      folder: demo.deletingLastPathComponent().path, file: demo.lastPathComponent, damaged: [demo.lastPathComponent])
    let kinds = [
      holding("model.h5", Array(variants)), [kiln], holding("model.pb", models), holding("model.pbtxt", models), saved,
      try checkpoints(models), holding("model.cntk", try folders("cntk-2.7")), holding("model.dnn", try folders("cntk-2.7")), holding("model.onnx", try folders("onnx")), holding("model.keras", try folders("keras-containers")),
    ]
    #expect(kinds.allSatisfy { !$0.isEmpty })
    let longest = kinds.map(\.count).max() ?? 0
    return (0..<longest).flatMap { turn in kinds.compactMap { $0.isEmpty ? nil : $0[turn % $0.count] } }
  }

  private static func mutated(_ source: Data, _ random: inout TestRandom) -> Data {
    var bytes = source
    if bytes.isEmpty { return Data([0xFF]) }
    // Damage gathers where the structure is: headers come first.
    func place(_ random: inout TestRandom) -> Int {
      Int.random(in: 0..<(Bool.random(using: &random) ? min(4096, bytes.count) : bytes.count), using: &random)
    }
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      switch Int.random(in: 0..<7, using: &random) {
      case 0: bytes[place(&random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[place(&random)] = UInt8.random(in: 0...255, using: &random)
      case 2: bytes[place(&random)] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &random) ?? 0
      case 3:
        let start = place(&random)
        for index in start..<min(start + 8, bytes.count) { bytes[index] = 0xFF }
      case 4: bytes = bytes.prefix(max(min(64, bytes.count), Int.random(in: 0...bytes.count, using: &random)))
      case 5:
        let (from, to) = (place(&random), place(&random))
        let length = min(Int.random(in: 1...64, using: &random), bytes.count - max(from, to))
        bytes.replaceSubrange(to..<to + length, with: Data(bytes[from..<from + length]))
      default: bytes.insert(contentsOf: (0..<Int.random(in: 1...16, using: &random)).map { _ in 0x41 }, at: place(&random))
      }
      bytes = Data(bytes)
    }
    return bytes
  }
}

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
      let file = folder.file("m.\(source.name)")
      try MutationTests.mutated(source.bytes, &random).write(to: URL(filePath: file))
      let run =
        source.name == "kiln"
        ? try Command.run("kconv", ["verify", file], limit: 60)
        : try Command.run("kconv", ["import", file, "-o", folder.file("out.kiln")], limit: 60)
      let what = "mutation \(index) of a .\(source.name): \(run.errors)"
      #expect(run.signal == 0, "\(what)")
      // Processor time, which a busy machine does not stretch.
      #expect(!run.timedOut && run.processorSeconds < 10, "\(what): \(run.processorSeconds) s")
      #expect(run.memory < 1024, "\(what): \(run.memory) MiB")
      #expect([0, 2, 3, 4].contains(run.exitCode), "exit code \(run.exitCode): \(what)")
      if run.exitCode != 0 {
        #expect(run.errorLine?.hasPrefix("kconv: error: ") == true, "\(what)")
        #expect(folder.names == ["m.\(source.name)"], "\(what)")
      }
    }
  }

  private static func sources() throws -> [(name: String, bytes: Data)] {
    let folder = Command.root.appending(path: "fixtures/hdf5-variants")
    let variants = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().prefix(6)
    let h5 = [Demo.source] + variants.map { folder.appending(path: "\($0)/model.h5").path }
    let kiln = try Data(contentsOf: URL(filePath: Demo.model()))
    // Every second one is a `.kiln`.
    return try h5.filter { FileManager.default.fileExists(atPath: $0) }
      .flatMap { [("h5", try Data(contentsOf: URL(filePath: $0))), ("kiln", kiln)] }
  }

  private static func mutated(_ source: Data, _ random: inout TestRandom) -> Data {
    var bytes = source
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
      case 4: bytes = bytes.prefix(max(64, Int.random(in: 0...bytes.count, using: &random)))
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

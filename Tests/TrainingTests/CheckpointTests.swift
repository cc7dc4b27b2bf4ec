import Foundation
import TensorModule
import TestSupport
import Testing
import Training

/// What `--checkpoint` writes: whole at any moment, checked, complete.
@Suite struct CheckpointTests {
  private let run = TrainingRun([("--batch-size", "32"), ("--seed", "1")])

  private func checkpoint(_ step: Int) throws -> TrainingCheckpoint {
    TrainingCheckpoint(
      epoch: 2, batch: 5, step: step,
      tensors: [
        ("weights/kernel", try Tensor([1, 2, Float(step)], shape: [3])), ("optimizer/m", try Tensor([0.1, -.infinity] as [Double], shape: [2])),
        ("counter", try Tensor([Int64(step)], shape: [])),
      ], state: .object(JSONObject([("sum", .double(0.1 + 0.2)), ("best", .double(.nan))])))
  }

  @Test func comesBackAsItWas() throws {
    let folder = TemporaryFolder()
    let store = try CheckpointFolder(folder.file("a/b"), run: run)
    #expect(try store.loadLast() == nil && !store.hasLast)
    try store.save(try checkpoint(7), isBest: true)
    try store.save(try checkpoint(8))
    let last = try #require(try store.loadLast())
    let want = try checkpoint(8)
    #expect(last.epoch == 2 && last.batch == 5 && last.step == 8)
    #expect(last.tensors.map(\.name) == want.tensors.map(\.name) && zip(last.tensors, want.tensors).allSatisfy { $0.tensor == $1.tensor })
    #expect(last.state["sum"]?.doubleValue == 0.1 + 0.2 && last.state["best"]?.doubleValue?.isNaN == true)
    #expect(try store.loadBest()?.step == 7)
    try store.save(try checkpoint(9), isBest: true)
    #expect(try store.loadBest()?.step == 9 && store.loadLast()?.step == 9)
    #expect(try FileManager.default.contentsOfDirectory(atPath: store.path).sorted() == [".lock", "best.safetensors", "last.safetensors"])
  }

  @Test func otherSettingsAreRefused() throws {
    let folder = TemporaryFolder()
    try CheckpointFolder(folder.path, run: run).save(try checkpoint(1))
    let other = try CheckpointFolder(folder.path, run: TrainingRun([("--batch-size", "64"), ("--seed", "1")]))
    #expect(DataSupport.line { _ = try other.loadLast() }.contains("last.safetensors: the checkpoint was written with --batch-size 32, found 64"))
  }

  @Test func oneTrainingUsesAFolder() throws {
    let folder = TemporaryFolder()
    let first = try CheckpointFolder(folder.path, run: run)
    #expect(DataSupport.line { _ = try CheckpointFolder(folder.path, run: run) } == "\(folder.path): is in use by another training")
    withExtendedLifetime(first) {}
  }

  @Test func everyDamagedByteIsFound() throws {
    let folder = TemporaryFolder()
    let store = try CheckpointFolder(folder.path, run: run)
    try store.save(try checkpoint(3))
    let path = folder.file("last.safetensors")
    let bytes = try MappedFile.contents(of: path)
    var random = TestRandom(named: "damage")
    for _ in 0..<300 {
      var damaged = bytes
      let place = Int.random(in: 0..<bytes.count, using: &random)
      damaged[place] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &random)
      // Blanks that fill the header up mean nothing.
      if bytes[place] == 0x20 { continue }
      _ = try folder.write("last.safetensors", damaged)
      let found = try? store.loadLast()
      #expect(found == nil, "byte \(place)")
    }
    for count in [0, 5, 100, bytes.count - 1] {
      _ = try folder.write("last.safetensors", Array(bytes.prefix(count)))
      #expect(throws: KilnError.self) { try store.loadLast() }
    }
  }
}

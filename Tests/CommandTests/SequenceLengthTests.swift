import TensorModule
import TestSupport
import Testing

/// `kinfer predict --sequence-lengths`.
@Suite struct SequenceLengthTests {
  private static func run(_ lengths: [String]) throws -> (Command, [(name: String, tensor: Tensor)]) {
    let folder = TemporaryFolder()
    let model = folder.file("m.kiln")
    let imported = try Command.run("kconv", ["import", Command.fixture("cntk-2.7/net_lstm/model.cntk"), "-o", model])
    try #require(imported.exitCode == 0, "\(imported.errors)")
    let options = lengths.flatMap { ["--sequence-lengths", $0] }
    let run = try Command.run("kinfer", ["predict", model, "--input", Command.fixture("cntk-2.7/net_lstm/input_0.npy")] + options + ["--output", folder.file("o.npz")])
    return (run, run.exitCode == 0 ? try NumPyFile.read(npz: folder.file("o.npz")) : [])
  }

  /// The states are CNTK's, and 0 behind each sequence; the name of the only input may be left out.
  @Test(arguments: ["x=5,3,1", "5,3,1"])
  func lengthsAreHeld(_ argument: String) throws {
    let (run, outputs) = try SequenceLengthTests.run([argument])
    #expect(run.exitCode == 0, "\(run.errors)")
    let expected = try NumPyFile.read(npy: Command.fixture("cntk-2.7/net_lstm/expected_0.npy"))
    let states = try #require(outputs.first { $0.name == "states" }?.tensor)
    #expect(states.shape == expected.shape)
    #expect(zip(states.doubles, expected.doubles).allSatisfy { abs($0 - $1) <= 1e-5 })
  }

  @Test func withoutLengthsAllAreFull() throws {
    let (run, outputs) = try SequenceLengthTests.run([])
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(outputs.first { $0.name == "states" }?.tensor.doubles.contains(0) == false)
  }

  @Test(arguments: ["x=5,3", "x=6,3,1", "x=5,0,1", "x=5,3,a", "y=5,3,1"])
  func wrongLengthsAreRefused(_ argument: String) throws {
    let (run, _) = try SequenceLengthTests.run([argument])
    #expect(run.exitCode == 64)
    #expect(run.errorLine?.contains("--sequence-lengths") == true, "\(run.errors)")
  }
}

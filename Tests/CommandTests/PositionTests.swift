import TensorModule
import TestSupport
import Testing

/// Data without names goes to the inputs in the model's order; data with wrong names goes nowhere.
@Suite struct PositionTests {
  private func model(_ folder: TemporaryFolder) throws -> String {
    let target = folder.file("m.kiln")
    let run = try Command.run("kconv", ["import", Command.fixture("keras-1.2.2-theano/merge_sum_sequential/model.h5"), "-o", target])
    try #require(run.exitCode == 0, "\(run.errors)")
    return target
  }

  private var files: [String] {
    (0..<3).map { Command.fixture("keras-1.2.2-theano/merge_sum_sequential/input_\($0).npy") }
  }

  private func expect(_ arguments: [String], _ folder: TemporaryFolder) throws {
    let out = folder.file("o.npz")
    let run = try Command.run("kinfer", ["predict", try model(folder)] + arguments + ["--output", out])
    try #require(run.exitCode == 0, "\(run.errors)")
    let got = try #require(try NumPyFile.read(npz: out).first?.tensor)
    let wanted = try NumPyFile.read(npy: Command.fixture("keras-1.2.2-theano/merge_sum_sequential/expected_0.npy"))
    #expect(try TensorDifference.between(got, wanted, .framework).outside == 0)
  }

  @Test func filesWithoutNames() throws {
    let folder = TemporaryFolder()
    try expect(files.flatMap { ["--input", $0] }, folder)
  }

  @Test func namesOfTheFramework() throws {
    let folder = TemporaryFolder()
    try expect(files.enumerated().flatMap { ["--input", "timedistributed_input_\($0 + 1)=\($1)"] }, folder)
  }

  @Test func arraysWithoutNames() throws {
    let folder = TemporaryFolder()
    let arrays = try files.map { try NumPyFile.read(npy: $0) }
    try NumPyFile.write(npz: arrays.enumerated().map { ("arr_\($0)", $1) }, to: folder.file("i.npz"))
    try expect(["--input", folder.file("i.npz")], folder)
  }

  @Test func arraysWithOtherNamesAreRefused() throws {
    let folder = TemporaryFolder()
    let arrays = try files.map { try NumPyFile.read(npy: $0) }
    try NumPyFile.write(npz: arrays.enumerated().map { ("x_\($0)", $1) }, to: folder.file("i.npz"))
    let run = try Command.run("kinfer", ["predict", try model(folder), "--input", folder.file("i.npz")])
    #expect(run.exitCode != 0)
    #expect(run.errors.contains("has no input 'x_0'"), "\(run.errors)")
  }
}

import Foundation
import TestSupport
import Testing

/// `kconv diff` as a user runs it.
@Suite struct DiffTests {
  static let old = Command.fixture("keras-1.2.2-theano/arch_lenet_cf/model.h5")

  @Test func comparesAModelWithItsExport() throws {
    let folder = TemporaryFolder()
    #expect(try Command.kconv("export", DiffTests.old, "-o", folder.file("m.onnx")).exitCode == 0)
    let run = try Command.kconv("diff", DiffTests.old, folder.file("m.onnx"))
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(run.text.hasPrefix("equal: 1 outputs"))
    let json = try Command.kconv("diff", DiffTests.old, folder.file("m.onnx"), "--format", "json", "--seed", "3")
    #expect(json.exitCode == 0 && json.text.contains("\"equal\":true"), "\(json.text)")
  }

  @Test func endsWithOneWhereModelsDiffer() throws {
    let (a, b) = (Command.fixture("tf.keras-2.13.1/activation_selu/model.h5"), Command.fixture("tf.keras-2.13.1/activation_gelu/model.h5"))
    let run = try Command.kconv("diff", a, b)
    #expect(run.exitCode == 1, "\(run.errors)")
    #expect(run.text.contains("part here"))
  }

  @Test func refusesWhatCannotBeCompared() throws {
    let other = Command.fixture("tf.keras-2.13.1/mask_add_lstm/model.h5")
    #expect(try Command.kconv("diff", DiffTests.old, other).exitCode == 4)
    #expect(try Command.kconv("diff", DiffTests.old, "/no/such/file").exitCode == 4)
    #expect(try Command.kconv("diff", DiffTests.old, DiffTests.old, "--tolerance", "-1").exitCode == 64)
  }
}

import Foundation
import TestSupport
import Testing

/// `kconv export` and `kconv upgrade` as a user runs them.
@Suite struct ExportTests {
  static let old = Command.fixture("keras-1.2.2-theano/arch_lenet_cf/model.h5")
  static let masked = Command.fixture("tf.keras-2.13.1/mask_add_lstm/model.h5")

  @Test func upgradesAnOldFile() throws {
    let folder = TemporaryFolder()
    let run = try Command.kconv("upgrade", ExportTests.old, folder.file("new.keras"))
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(run.text == folder.file("new.keras") + "\n")
    #expect(folder.names == ["new.keras"])
    #expect(try Command.kconv("check", folder.file("new.keras")).exitCode == 0)
  }

  @Test func exportsAnImportedModelAsTheFileItself() throws {
    let folder = TemporaryFolder()
    #expect(try Command.kconv("import", ExportTests.old, "-o", folder.file("m.kiln")).exitCode == 0)
    for (name, generation) in [("a.keras", "3"), ("a.h5", "3"), ("b.h5", "2"), ("a.weights.h5", "3"), ("b.weights.h5", "2")] {
      let fromKiln = try Command.kconv("export", folder.file("m.kiln"), "-o", folder.file("k_" + name), "--keras", generation)
      #expect(fromKiln.exitCode == 0, "\(name): \(fromKiln.errors)")
      #expect(try Command.kconv("export", ExportTests.old, "-o", folder.file("s_" + name), "--keras", generation).exitCode == 0)
      #expect(try Data(contentsOf: URL(filePath: folder.file("k_" + name))) == Data(contentsOf: URL(filePath: folder.file("s_" + name))), "\(name)")
    }
  }

  @Test func saysWhatAKilnLacks() throws {
    let folder = TemporaryFolder()
    #expect(try Command.kconv("import", ExportTests.old, "-o", folder.file("m.kiln"), "--without-layers").exitCode == 0)
    let run = try Command.kconv("export", folder.file("m.kiln"), "-o", folder.file("m.keras"))
    #expect(run.exitCode == 3)
    #expect(run.errors.contains("does not hold the layers"))
    #expect(folder.names == ["m.kiln"])
  }

  @Test func keepsAnExistingFile() throws {
    let folder = TemporaryFolder()
    try Data("mine".utf8).write(to: URL(filePath: folder.file("new.keras")))
    let run = try Command.kconv("upgrade", ExportTests.old, folder.file("new.keras"))
    #expect(run.exitCode == 1)
    #expect(run.errorLine?.contains("--force") == true || run.errors.contains("--force"))
    #expect(try Data(contentsOf: URL(filePath: folder.file("new.keras"))) == Data("mine".utf8))
    #expect(try Command.kconv("upgrade", ExportTests.masked, folder.file("new.keras"), "--force").exitCode == 3)
    #expect(try Data(contentsOf: URL(filePath: folder.file("new.keras"))) == Data("mine".utf8))
    #expect(folder.names == ["new.keras"])
    #expect(try Command.kconv("upgrade", ExportTests.old, folder.file("new.keras"), "--force").exitCode == 0)
  }

  @Test func leavesNothingWhenTheDiskIsFull() throws {
    let folder = TemporaryFolder()
    #expect(try Command.kconv("import", ExportTests.old, "-o", folder.file("m.kiln")).exitCode == 0)
    let whole = try Command.kconv("export", folder.file("m.kiln"), "-o", folder.file("whole.keras"))
    #expect(whole.exitCode == 0)
    // A limit on the size of files that is not enough for the weights.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""
    for name in ["full.keras", "full.h5", "full.weights.h5"] {
      let process = Process()
      process.executableURL = URL(filePath: "/bin/sh")
      process.arguments = ["-c", script, Command.folder.appending(path: "kconv").path, "export", folder.file("m.kiln"), "-o", folder.file(name), "--no-check"]
      let errors = Pipe()
      process.standardError = errors
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationReason == .exit && process.terminationStatus == 1, "\(name): \(text)")
      #expect(text.contains("cannot be written"), "\(name): \(text)")
    }
    #expect(folder.names.sorted() == ["m.kiln", "whole.keras"])
  }

  @Test func refusesNamesThatTellNothing() throws {
    #expect(try Command.kconv("export", ExportTests.old, "-o", TemporaryFolder().file("model.bin")).exitCode == 64)
    #expect(try Command.kconv("upgrade", ExportTests.old, TemporaryFolder().file("model.h5")).exitCode == 64)
    #expect(try Command.kconv("export", ExportTests.old, "-o", TemporaryFolder().file("m.keras"), "--keras", "2").exitCode == 64)
  }
}

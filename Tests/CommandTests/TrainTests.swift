import Foundation
import TensorModule
import TestSupport
import Testing

/// `kinfer train` with its data, checkpoints and logs, as a user runs it.
@Suite(.serialized) struct TrainTests {
  private static let model = Command.fixture("demo/digits.h5")

  /// Digits in miniature: pictures of noise whose brightness tells their class.
  private func data(_ folder: TemporaryFolder, count: Int = 96, change: (inout [Float], inout [Int32]) -> Void = { _, _ in }) throws -> String {
    var pixels: [Float] = []
    var labels: [Int32] = []
    for sample in 0..<count {
      let label = sample * 7 % 10
      labels.append(Int32(label))
      for place in 0..<64 { pixels.append(Float((place * 31 + sample * 17) % 23) / 46 + Float(label) / 20) }
    }
    change(&pixels, &labels)
    let path = folder.file("data.npz")
    try NumPyFile.write(npz: [("x", try Tensor(pixels, shape: [count, 8, 8, 1])), ("y", try Tensor(labels, shape: [count]))], to: path)
    return path
  }

  private func arguments(_ data: String, _ out: String, _ more: [String]) -> [String] {
    ["train", Self.model, "--data", data, "--out", out, "--loss", "sparse_categorical_crossentropy", "--metrics", "accuracy", "--optimizer", "adam",
      "--batch-size", "8", "--seed", "3", "--threads", "2", "--format", "json"] + more
  }

  private func train(_ data: String, _ out: String, _ more: [String], killedAfter delay: Double? = nil) throws -> Command {
    try Command.run("kinfer", arguments(data, out, more)) { process in
      guard let delay else { return }
      usleep(UInt32(delay * 1e6))
      kill(process, SIGKILL)
    }
  }

  @Test(arguments: [SIGINT, SIGTERM]) func anInterruptionKeepsTheStep(_ signal: Int32) throws {
    let folder = TemporaryFolder()
    let data = try data(folder, count: 640)
    let cut = try Command.run("kinfer", arguments(data, folder.file("cut.kiln"), ["--epochs", "100000", "--checkpoint", folder.file("b")])) { process in
      // Once it trains it has kept an epoch.
      for _ in 0..<600 where access(folder.file("b/last.safetensors"), F_OK) != 0 { usleep(20_000) }
      kill(process, signal)
    }
    #expect(cut.exitCode == 1 && cut.signal == 0, "\(cut.errors)")
    #expect(cut.errors.contains("interrupted at") && cut.errors.contains("--resume"), "\(cut.errors)")
    #expect(access(folder.file("cut.kiln"), F_OK) != 0)
    #expect(access(folder.file("b/last.safetensors"), F_OK) == 0)
  }

  /// Without a driver `gpu` is one line, `auto` a warning; a checkpoint of one device is not gone on with on another.
  @Test func aDeviceThatIsNotThere() throws {
    let folder = TemporaryFolder()
    let data = try data(folder)
    func train(_ device: String, _ more: [String]) throws -> Command {
      try Command.run(
        "kinfer", arguments(data, folder.file("tuned.kiln"), ["--force", "--device", device, "--checkpoint", folder.file("a")] + more),
        environment: ["KILN_OPENCL": "/nonexistent.so"])
    }
    let strict = try train("gpu", [])
    #expect(strict.exitCode == 1 && strict.errors.contains("OpenCL") && strict.errors.split(separator: "\n").count == 1, "\(strict.errors)")
    #expect(access(folder.file("tuned.kiln"), F_OK) != 0)
    let mixed = try train("auto", [])
    #expect(mixed.exitCode == 0 && mixed.errors.contains("warning: the model runs on the processor"), "\(mixed.errors)")
    let other = try train("cpu", ["--resume", "--epochs", "2"])
    #expect(other.exitCode == 64 && other.errors.contains("--device auto, found cpu"), "\(other.exitCode) \(other.errors)")
  }

  @Test func aKillLosesNothing() throws {
    let folder = TemporaryFolder()
    let data = try data(folder)
    let options = ["--epochs", "3", "--validation-split", "0.25", "--every", "2", "--early-stopping", "3", "--augment", "rotate=10,brightness", "--checkpoint"]
    let start = ContinuousClock.now
    let whole = try train(data, folder.file("whole.kiln"), options + [folder.file("a")])
    let duration = (ContinuousClock.now - start) / .seconds(1)
    #expect(whole.exitCode == 0, "\(whole.errors)")
    let epochs = try whole.text.split(separator: "\n").map { try JSON.parse(String($0)) }
    #expect(epochs.compactMap { $0["epoch"]?.intValue } == [1, 2, 3])
    #expect(epochs.allSatisfy { $0["metrics"]?["val_accuracy"]?.doubleValue != nil && $0["steps"]?.intValue == 9 })
    var random = TestRandom(named: "train kill")
    var kills = 0
    var last = whole
    // The first life ends before the training does; each later one may last longer, so that it ends however slow the machine is.
    for attempt in 0..<60 {
      last = try train(
        // A kill may come after the result has its name.
        data, folder.file("cut.kiln"), options + [folder.file("b"), "--resume", "--force"], killedAfter: duration * Double.random(in: 0.1...0.8 + Double(attempt) * 0.1, using: &random))
      if last.signal == 0 { break }
      kills += 1
    }
    #expect(last.exitCode == 0 && last.signal == 0, "\(last.errors)")
    #expect(kills > 0)
    func bytes(_ name: String) throws -> [UInt8] { try MappedFile.contents(of: folder.file(name)) }
    #expect(try bytes("cut.kiln") == bytes("whole.kiln"))
    #expect(try bytes("a/best.safetensors") == bytes("b/best.safetensors"))
    #expect(try JSON.parse(String(last.text.split(separator: "\n").last ?? "null"))["metrics"] == epochs.last?["metrics"] || last.text.isEmpty)
    let other = try train(data, folder.file("cut.kiln"), ["--epochs", "4", "--seed", "3", "--checkpoint", folder.file("b"), "--force"])
    #expect(other.exitCode == 0, "without --resume and with --force training begins anew: \(other.errors)")
    let again = try train(data, folder.file("other.kiln"), ["--epochs", "4", "--checkpoint", folder.file("b")])
    #expect(again.exitCode == 1 && again.errors.contains("holds a checkpoint (--resume goes on from it, --force begins anew)"))
    let changed = try train(data, folder.file("other.kiln"), ["--epochs", "4", "--checkpoint", folder.file("b"), "--resume", "--augment", "flip"])
    #expect(changed.exitCode == 64 && changed.errors.contains("the checkpoint was written with --augment none, found flip"))
  }

  @Test func badDataAreOneLine() throws {
    let folder = TemporaryFolder()
    func line(_ data: String, _ more: [String] = []) throws -> String { try train(data, folder.file("o.kiln"), more).errorLine ?? "" }
    #expect(try line(data(folder) { pixels, _ in pixels[64 * 5 + 30] = .nan }).hasSuffix("data.npz: x: sample 5 holds NaN at [3,6,0]; expected finite numbers"))
    #expect(try line(data(folder) { _, labels in labels[9] = 10 }).hasSuffix("data.npz: y: sample 9 has the label 10; the output has classes 0…9"))
    let good = try data(folder)
    #expect(try line(good, ["--validation-split", "2"]).contains("--validation-split must be between 0 and 1"))
    #expect(try line(good, ["--learning-rate", "1e30", "--epochs", "3"]).contains("at step"))
    #expect(try line(good, ["--checkpoint", "/proc/none"]).contains("/proc/none: cannot be made"))
    #expect(try line(good, ["--log-dir", "/proc/none"]).contains("/proc/none: cannot be made"))
    #expect(try line(good, ["--learning-rate", "-1"]).contains("--learning-rate must be a number over 0, found -1.0"))
    #expect(try line(good, ["--seed", "-1"]).contains("--seed must be 0 or more, found -1"))
    #expect(try line(good, ["--mixed-precision", "fp8"]).contains("'fp8' is invalid for '--mixed-precision"))
    #expect(folder.names == ["data.npz"])
  }

  /// More than all samples in a batch are all of them.
  @Test func batchesMayBeLargerThanTheData() throws {
    let folder = TemporaryFolder()
    let data = try data(folder, count: 20)
    let all = try train(data, folder.file("all.kiln"), ["--batch-size", "20"])
    let more = try train(data, folder.file("more.kiln"), ["--batch-size", "\(Int.max)"])
    #expect(all.exitCode == 0 && more.exitCode == 0, "\(all.errors)\(more.errors)")
    #expect(try MappedFile.contents(of: folder.file("all.kiln")) == MappedFile.contents(of: folder.file("more.kiln")))
  }

  @Test func mixedPrecisionGoesOnBitEqual() throws {
    let folder = TemporaryFolder()
    let data = try data(folder)
    let mixed = ["--mixed-precision", "bf16"]
    #expect(try train(data, folder.file("whole.kiln"), mixed + ["--epochs", "4"]).exitCode == 0)
    let kept = mixed + ["--checkpoint", folder.file("c"), "--force"]
    #expect(try train(data, folder.file("part.kiln"), kept + ["--epochs", "2"]).exitCode == 0)
    let rest = try train(data, folder.file("part.kiln"), kept + ["--epochs", "4", "--resume"])
    #expect(rest.exitCode == 0, "\(rest.errors)")
    #expect(try MappedFile.contents(of: folder.file("part.kiln")) == MappedFile.contents(of: folder.file("whole.kiln")))
    let plain = try train(data, folder.file("plain.kiln"), ["--epochs", "4"])
    #expect(plain.exitCode == 0)
    #expect(try MappedFile.contents(of: folder.file("plain.kiln")) != MappedFile.contents(of: folder.file("whole.kiln")))
    let other = try train(data, folder.file("part.kiln"), ["--checkpoint", folder.file("c"), "--force", "--resume"])
    #expect(other.exitCode == 64 && other.errors.contains("the checkpoint was written with --mixed-precision bf16, found f32"), "\(other.errors)")
  }

  /// The line names the file that the user asked for, and nothing is left of it.
  @Test(arguments: ["keras", "h5", "kiln"]) func aFullDiskIsOneLine(_ form: String) throws {
    let folder = TemporaryFolder()
    let data = try data(folder, count: 20)
    let before = folder.names
    // A limit on the size of files ends writing as a full disk does; the model alone is below it, with Adam's variables it is not.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$@\""
    let out = folder.file("o.\(form)")
    let shell = String(repeating: "../", count: 64) + "bin/sh"
    let run = try Command.run(shell, ["-c", script, "sh", Command.folder.appending(path: "kinfer").path] + arguments(data, out, []))
    #expect(run.exitCode == 1 && run.errorLine?.hasPrefix("kinfer: error: ") == true, "\(run.errors)")
    #expect(run.text.contains("\"epoch\":1"), "the training itself ended")
    #expect(form != "kiln" || run.errorLine?.contains("error: \(out): cannot be written") == true, "\(run.errors)")
    #expect(folder.names == before, "\(folder.names)")
  }

  /// A file's optimizer has counted its steps; a schedule of this training begins with it all the same.
  @Test func aScheduleBeginsWithTheTraining() throws {
    let folder = TemporaryFolder()
    let data = try data(folder, count: 40)
    #expect(try train(data, folder.file("first.keras"), []).exitCode == 0)
    let more = ["train", folder.file("first.keras"), "--data", data, "--out", folder.file("second.keras"), "--batch-size", "8", "--epochs", "2", "--format", "json"]
    let run = try Command.run("kinfer", more + ["--schedule", "exponential,end=0.5"])
    #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
    let rates = try run.text.split(separator: "\n").compactMap { try JSON.parse(String($0))["learning_rate"]?.doubleValue }
    // 5 steps an epoch, 10 in all: the last of each epoch are steps 4 and 9.
    #expect(zip(rates, [0.001 * pow(0.5, 0.4), 0.001 * pow(0.5, 0.9)]).allSatisfy { abs($0 - $1) < 1e-9 } && rates.count == 2, "\(rates)")
  }

  @Test func classesKeepTheirNames() throws {
    let folder = TemporaryFolder()
    let path = try data(folder, count: 20)
    let x = try #require(try NumPyFile.read(npz: path).first { $0.name == "x" }).tensor
    let names = (0..<20).map { "digit \($0 * 7 % 10)" }
    try NumPyFile.write(npz: [("x", x), ("y", Tensor(strings: names, shape: [20]))], to: path)
    let run = try train(path, folder.file("named.kiln"), [])
    #expect(run.exitCode == 0, "\(run.errors)")
    try NumPyFile.write(npy: x, to: folder.file("x.npy"))
    let top = try Command.run("kinfer", ["predict", folder.file("named.kiln"), folder.file("x.npy"), "--top", "1"])
    #expect(top.exitCode == 0 && top.text.contains("digit "), "\(top.errors)\(top.text)")
  }

  @Test func logsAreWritten() throws {
    let folder = TemporaryFolder()
    let run = try train(try data(folder, count: 24), folder.file("o.kiln"), ["--epochs", "2", "--validation-split", "0.5", "--log-dir", folder.file("log")])
    #expect(run.exitCode == 0, "\(run.errors)")
    for name in ["train", "validation"] {
      let files = try FileManager.default.contentsOfDirectory(atPath: folder.file("log/\(name)"))
      #expect(files.count == 1)
      let text = String(decoding: try MappedFile.contents(of: folder.file("log/\(name)/\(files[0])")), as: UTF8.self)
      #expect(text.contains("epoch_loss") && text.contains("epoch_accuracy"))
      #expect(text.contains(name == "train" ? "kernel/gradient" : "mispredictions/"))
    }
  }
}

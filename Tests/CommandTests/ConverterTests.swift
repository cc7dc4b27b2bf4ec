import Foundation
import TensorModule
import TestSupport
import Testing

@Suite struct ConverterTests {
  @Test func importNamesTheTargetAfterTheSource() throws {
    let folder = TemporaryFolder()
    try FileManager.default.copyItem(atPath: Demo.source, toPath: folder.file("my.model.h5"))
    let run = try Command.kconv("import", folder.file("my.model.h5"))
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(run.text == folder.file("my.model.kiln") + "\n")
    #expect(folder.names == ["my.model.h5", "my.model.kiln"])
    let again = try Command.kconv("import", folder.file("my.model.h5"), "--force")
    #expect(again.exitCode == 0, "\(again.errors)")
  }

  @Test func importChecksAgainstTheFramework() throws {
    let folder = TemporaryFolder()
    let input = Command.fixture("demo/input_pixels.npy")
    let good = try Command.kconv(
      "import", Demo.source, "-o", folder.file("a.kiln"), "--check", "\(input):\(Command.fixture("demo/expected_digit.npy"))")
    #expect(good.exitCode == 0, "\(good.errors)")
    let verified = try Command.kconv("verify", folder.file("a.kiln"))
    #expect(verified.exitCode == 0 && verified.text.contains("(framework): 100 elements agree"))

    let expected = try NumPyFile.read(npy: Command.fixture("demo/expected_digit.npy"))
    try NumPyFile.write(npy: Tensor(expected.floats.map { $0 + 0.01 }, shape: expected.shape), to: folder.file("wrong.npy"))
    let bad = try Command.kconv("import", Demo.source, "-o", folder.file("b.kiln"), "--check", "\(input):\(folder.file("wrong.npy"))")
    #expect(bad.exitCode == 2)
    #expect(try #require(bad.errorLine).contains("100 of 100 elements differ"))
    #expect(folder.names == ["a.kiln", "wrong.npy"])
    let against = try Command.kconv("verify", folder.file("a.kiln"), "--input", input, "--against", folder.file("wrong.npy"))
    #expect(against.exitCode == 2)
  }

  @Test func verifyRunsTheStoredVectors() throws {
    let run = try Command.kconv("verify", Demo.model())
    #expect(run.exitCode == 0 && run.text.contains("output 'digit' (reference): 10 elements agree"))
  }

  @Test func inspectShowsKerasLayers() throws {
    let text = try Command.kconv("inspect", Demo.source)
    #expect(text.exitCode == 0, "\(text.errors)")
    for part in ["input  pixels: float32[?,8,8,1]", "output digit: float32[?,10]", "bn1", "conv3", "14,522 parameters"] {
      #expect(text.text.contains(part), "\(part) in \(text.text)")
    }
    let json = try JSON.parse(Array(try Command.kconv("inspect", Demo.source, "--format", "json").output))
    #expect(json["schema"]?.intValue == 1)
    #expect(json["parameters"]?.intValue == 14522)
    let layer = json["layers"]?.arrayValue?.first { $0["name"]?.stringValue == "conv1" }
    #expect(layer?["parameters"]?.intValue == 144)
    #expect(layer?["output"]?.arrayValue == [.string("batch"), .int(8), .int(8), .int(16)])
  }

  @Test func checkReportsEverythingAtOnce() throws {
    let good = try Command.kconv("check", Demo.source)
    #expect(good.exitCode == 0 && good.text.hasSuffix("\ntotal 14: 12 exact, 2 identity when predicting, 0 approximated, 0 unsupported\n"))
    #expect(good.text.hasPrefix("count  class"))
    let bad = try Command.kconv("check", Command.fixture("bad/lambda_layer/model.h5"))
    #expect(bad.exitCode == 3 || bad.exitCode == 4)
    #expect(bad.errorLine != nil && !bad.output.isEmpty)
    #expect(bad.text.contains("unsupported") && bad.text.contains(" 1 unsupported"))
    let wide = try Command.run("kconv", ["check", Command.fixture("bad/lambda_layer/model.h5")], environment: ["COLUMNS": "80"])
    #expect(wide.text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(wide.text)")
  }

  @Test func inspectSaysWhatItKnowsOfARefusedFile() throws {
    let lambda = Command.fixture("lambda/keras-3.15.1/affine/model.h5")
    let text = try Command.run("kconv", ["inspect", lambda])
    #expect(text.exitCode == 3 && text.errorLine?.contains("Lambda layers hold Python code") == true)
    for word in ["Keras 3", "3.15.1", "tensorflow", "InputLayer", "unsupported", "1 unsupported"] { #expect(text.text.contains(word), "\(word)") }
    let json = try Command.run("kconv", ["inspect", lambda, "--format", "json"])
    let object = try JSON.parse(Array(json.output))
    #expect(json.exitCode == 3 && object["refused"]?.stringValue?.contains("'lam'") == true)
    #expect(object["facts"]?.arrayValue?.contains { $0["name"]?.stringValue == "generation" && $0["value"]?.stringValue == "Keras 3" } == true)
    #expect(object["layers"]?.arrayValue?.contains { $0["class"]?.stringValue == "Lambda" && $0["status"]?.stringValue == "unsupported" } == true)
  }

  @Test func inspectSaysWhatItKnowsAndWhy() throws {
    let old = try Command.kconv("inspect", Command.fixture("keras-1.2.2-theano/atrous_convolution2d_2_same_k2_cl/model.h5"))
    for part in [
      "generation             Keras 1        attribute keras_version is '1.2.2'", "backend                theano         no attribute backend; no weight name",
      "assumed order of axes  channels_last", "training               none           no attribute training_config", "\nno training configuration\n",
    ] { #expect(old.text.contains(part), "\(part) in \(old.text)") }
    let json = try JSON.parse(Array(try Command.kconv("inspect", Demo.source, "--format", "json").output))
    let facts = json["facts"]?.arrayValue ?? []
    #expect(facts.contains { $0["name"]?.stringValue == "training" && $0["value"]?.stringValue == "compiled" })
    #expect(facts.allSatisfy { $0["evidence"]?.stringValue?.isEmpty == false })
  }

  @Test func explainShowsAndStopsRewrites() throws {
    let all = try Command.kconv("explain", Demo.source)
    #expect(all.exitCode == 0 && all.text.contains("1. ") && all.text.contains("   - ") && all.text.contains("   + "))
    let two = try Command.kconv("explain", Demo.source, "--optimizer-steps", "2")
    #expect(two.text.contains("stopped after 2 steps"))
    let rule = try #require(all.text.split(separator: "\n").first { $0.hasPrefix("1. ") }?.split(separator: " ").dropFirst().first)
    let without = try Command.kconv("explain", Demo.source, "--disable-rule", String(rule))
    #expect(without.exitCode == 0 && !without.text.contains(". \(rule) "))
    let graph = try Command.kconv("explain", Demo.model(), "--dump-graph")
    #expect(graph.text.hasPrefix("graph ") && graph.text.contains("output \"digit\""))
  }

  @Test func opsListsTheCatalogue() throws {
    let run = try Command.kconv("ops")
    #expect(run.exitCode == 0 && run.text.contains("conv ") && run.text.contains("softmax"))
  }
}

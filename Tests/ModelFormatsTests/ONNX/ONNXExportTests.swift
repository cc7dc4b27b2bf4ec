import Foundation
import GraphModule
import KilnImport
import ModelFormats
import TensorModule
import TestSupport
import Testing

/// Whole models as ONNX files: `kconv export`, and what the files look like.
@Suite struct ONNXExportTests {
  /// Models of every source, with the most transposes that their file may hold: the images' ins and outs.
  static let models: [(name: String, file: String, transposes: Int)] = [
    ("keras-3.15.1/arch_resnet_shared_blocks", "model.h5", 1), ("keras-3.15.1/arch_unet", "model.h5", 2),
    ("keras-3.15.1/arch_vgg_like", "model.h5", 1), ("keras-3.15.1/arch_inverted_residual", "model.h5", 1),
    ("keras-3.15.1/arch_stacked_bidirectional_lstm", "model.h5", 2), ("keras-3.15.1/arch_two_input_two_output", "model.h5", 2),
    ("keras-1.2.2-theano/arch_lenet_cf", "model.h5", 0), ("keras-1.2.2-theano/bidirectional_lstm_masked", "model.h5", 6),
    ("tf.keras-2.13.1/lstm_encoder_decoder", "model.h5", 3), ("tf.keras-2.13.1/arch_gru_both_reset_after", "model.h5", 4),
    ("tf.keras-2.13.1/gru_initial_state", "model.h5", 2), ("tf.keras-2.13.1/mask_encoder_decoder", "model.h5", 5),
    ("tf.keras-2.13.1/mha_masked_then_average", "model.h5", 4), ("tf.keras-2.13.1/channels_first_network", "model.h5", 0), ("onnx/residual-tf2onnx-15", "model.onnx", 1),
    ("onnx/unet-keras", "model.onnx", 1), ("onnx/lstm-tf2onnx-18", "model.onnx", 4),
  ].filter { FileManager.default.fileExists(atPath: "\(FixtureCase.root)/fixtures/\($0.0)/\($0.1)") }

  static func fixture(_ name: String) -> FixtureCase { FixtureCase(folder: "\(FixtureCase.root)/fixtures/\(name)", name: name) }

  @Test func thereAreModelsOfAllSources() {
    #expect(ONNXExportTests.models.count >= 16)
    for part in ["keras-1", "tf.keras", "keras-3", "onnx"] { #expect(ONNXExportTests.models.contains { $0.name.hasPrefix(part) }, "none of \(part)") }
  }

  @Test(arguments: models.map(\.name), [false, true])
  func predictsTheSame(_ name: String, externalData: Bool) throws {
    let model = try #require(ONNXExportTests.models.first { $0.name == name })
    let (fixture, folder) = (ONNXExportTests.fixture(name), TemporaryFolder())
    let path = folder.file("model.onnx")
    let outcome = try ModelExport.export("\(fixture.folder)/\(model.file)", to: path, externalData: externalData)
    // A loop that stops by its data has no check vector.
    #expect(outcome.wasChecked || name == "onnx/lstm-tf2onnx-18")
    #expect(folder.names.sorted() == (externalData ? ["model.onnx", "model.onnx.data"] : ["model.onnx"]))
    var options = ImportOptions()
    options.allowsExternalData = externalData
    let graph = try ModelImporter.read(path: path, options: options).graph
    let json = try fixture.json()
    let named = try fixture.arrays(json, "inputs")
    let byName = Dictionary(named.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    let inputs = graph.inputs.enumerated().map { index, id in byName[graph[id].name] ?? named[index].tensor }
    let expected = try fixture.arrays(json, "outputs")
    let got = try ReferenceBackend.run(graph, inputs)
    try #require(got.count == expected.count)
    for (value, (output, wanted)) in zip(got, expected) {
      let difference = try TensorDifference.between(value, wanted.reshaped(value.shape), .framework)
      #expect(difference.outside == 0, "output \(output) differs by up to \(difference.maximumAbsolute)")
    }
  }

  @Test(arguments: models.map(\.name))
  func transposesOnlyAtTheEnds(_ name: String) throws {
    let model = try #require(ONNXExportTests.models.first { $0.name == name })
    let folder = TemporaryFolder()
    let kiln = folder.file("model.kiln")
    try ModelImport.importModel(at: "\(ONNXExportTests.fixture(name).folder)/\(model.file)", to: kiln)
    let ops = try ModelExport.onnxOps(kiln)
    let count = ops.filter { $0 == "Transpose" }.count
    #expect(count <= model.transposes, "\(count) transposes in \(ops)")
  }

  @Test func writesTheSameBytesForTheSameModel() throws {
    let (source, folder) = ("\(ONNXExportTests.fixture("keras-3.15.1/arch_unet").folder)/model.h5", TemporaryFolder())
    try ModelExport.export(source, to: folder.file("a.onnx"))
    try ModelExport.export(source, to: folder.file("b.onnx"))
    #expect(try Data(contentsOf: URL(filePath: folder.file("a.onnx"))) == Data(contentsOf: URL(filePath: folder.file("b.onnx"))))
  }

  /// One report names everything that ONNX lacks, and nothing is left behind.
  @Test func namesAllThatIsNotWritten() throws {
    var graph = Graph(name: "refused")
    let x = try graph.addInput("x", TensorType(.float32, [3, 3]))
    let first = try graph.addOne(Cholesky(), [x], name: "root")
    let second = try graph.addOne(Elementwise(.lgamma), [first], name: "gamma")
    graph.outputs = [Graph.Output(name: "y", value: second)]
    let folder = TemporaryFolder()
    #expect {
      try ONNXWriter.write(graph, to: folder.file("m.onnx"))
    } throws: { error in
      guard let error = error as? KilnError, error.code == .unsupportedModel else { return false }
      return ["'root'", "cholesky", "'gamma'", "lgamma"].allSatisfy(error.message.contains)
    }
    #expect(folder.names.isEmpty)
  }

  /// Outputs that are an input, a constant or one value twice keep their names.
  @Test func namesEveryOutput() throws {
    var graph = Graph(name: "names")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 2]))
    let sum = try graph.addOne(Elementwise(.neg), [x], name: "y")
    let constant = graph.addConstant("c", try Tensor([1, 2] as [Float], shape: [2]))
    graph.outputs = [("same", x), ("y", sum), ("again", sum), ("constant", constant)].map { Graph.Output(name: $0.0, value: $0.1) }
    let folder = TemporaryFolder()
    _ = try ONNXWriter.write(graph, to: folder.file("m.onnx"))
    let again = try ModelImporter.read(path: folder.file("m.onnx")).graph
    #expect(again.outputs.map(\.name) == ["same", "y", "again", "constant"])
    #expect(again.type(of: again.inputs[0]).dims == [.symbol("batch"), 2])
    let got = try ReferenceBackend.run(again, [Tensor([3, 4] as [Float], shape: [1, 2])])
    #expect(got.map(\.floats) == [[3, 4], [-3, -4], [-3, -4], [1, 2]])
  }
}

/// `Docs/onnx-export-ops.md` is what the catalogue says. `KILN_WRITE_DOCS=1` writes it instead of comparing.
@Suite struct ONNXExportPageTests {
  @Test func pageIsUpToDate() throws {
    let url = URL(filePath: "\(FixtureCase.root)/Docs/onnx-export-ops.md")
    if ProcessInfo.processInfo.environment["KILN_WRITE_DOCS"] != nil { try ONNXExportPage.text.write(to: url, atomically: true, encoding: .utf8) }
    #expect(try String(contentsOf: url, encoding: .utf8) == ONNXExportPage.text, "run with KILN_WRITE_DOCS=1")
  }

  @Test func everyOpHasOneFate() {
    #expect(ONNXExportPage.undecided.isEmpty, "\(ONNXExportPage.undecided)")
    #expect(ONNXExportPage.repeated.isEmpty, "\(ONNXExportPage.repeated)")
  }
}

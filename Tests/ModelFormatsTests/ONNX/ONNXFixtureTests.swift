import GraphModule
import Kiln
import ModelFormats
import TensorModule
import Testing

/// ONNX files that converters wrote give the outputs that ONNX Runtime gave.
@Suite struct ONNXFixtureTests {
  static let all: [FixtureCase] = FixtureCase.entries("\(FixtureCase.root)/fixtures/onnx").map {
    FixtureCase(folder: "\(FixtureCase.root)/fixtures/onnx/\($0)", name: "onnx/\($0)")
  }

  @Test func thereAreSome() { #expect(ONNXFixtureTests.all.count >= 4) }

  @Test(arguments: all)
  func runsAndAgrees(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    let graph = try ModelImporter.read(path: "\(fixture.folder)/model.onnx").graph
    let inputs = try fixture.arrays(json, "inputs")
    let expected = try fixture.arrays(json, "outputs")
    let got = try Model(graph: graph, options: .init(threads: 2)).predict(Dictionary(uniqueKeysWithValues: inputs))
    #expect(got.map(\.name) == expected.map(\.name))
    for ((_, tensor), (name, wanted)) in zip(got, expected) {
      let difference = try TensorDifference.between(tensor, wanted, .framework)
      #expect(difference.outside == 0, "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)")
    }
  }
}

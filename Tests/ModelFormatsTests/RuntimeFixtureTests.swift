import GraphModule
import Kiln
import ModelFormats
import TensorModule
import Testing

/// Every model that a real Keras wrote, optimized and run by kernels, gives the outputs that it gave there.
@Suite struct RuntimeFixtureTests {
  @Test(arguments: FixtureCase.matching)
  func runsAndAgrees(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    if json["expect"]?.stringValue == "clear-error" { return }
    let graph = try ModelImporter.read(path: "\(fixture.folder)/model.h5").graph
    let inputs = try fixture.arrays(json, "inputs")
    let expected = try fixture.arrays(json, "outputs")
    let model = try Model(graph: graph, options: .init(threads: 2))
    let got = try model.predict(Dictionary(uniqueKeysWithValues: inputs))
    #expect(got.map(\.name) == expected.map(\.name))
    for ((_, tensor), (name, wanted)) in zip(got, expected) {
      var tolerance = Tolerance.framework
      if let tol = json["tol"]?.doubleValue {
        tolerance = Tolerance(absolute: tol * max(1, wanted.doubles.map(\.magnitude).max() ?? 1), relative: 0)
      }
      let difference = try TensorDifference.between(tensor, wanted, tolerance)
      #expect(
        difference.outside == 0,
        "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)")
    }
    let slow = try model.profile(inputs.map(\.tensor), repeats: 1).nodes.filter { $0.kernel == "reference" }
    if !slow.isEmpty { print("slow: \(fixture.name): \(slow.map { "\($0.op) \($0.outputType)" })") }
  }
}

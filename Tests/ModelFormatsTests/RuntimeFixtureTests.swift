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
      let part = FixtureCase.part(json, name, difference.firstOutside, of: wanted)
      #expect(
        difference.outside == 0,
        "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)\(part)")
    }
    if fixture.name.hasPrefix("stateful/") { try goesOn(model, inputs, fixture) }
    // A profile takes one batch.
    if model.stateBatch != nil { return }
    let slow = try model.profile(inputs.map(\.tensor), repeats: 1).nodes.filter { $0.kernel == "reference" }
    if !slow.isEmpty { print("slow: \(fixture.name): \(slow.map { "\($0.op) \($0.outputType)" })") }
  }

  /// Two calls with one state give what the framework gave in its second call.
  private func goesOn(_ model: Model, _ inputs: [(name: String, tensor: Tensor)], _ fixture: FixtureCase) throws {
    let second = try NumPyFile.read(npy: "\(fixture.folder)/second_0.npy")
    var state = model.initialState
    let given = try model.inputs.map { input in try #require(inputs.first { $0.name == input.name }).tensor }
    _ = try model.predict(given, state: &state)
    let difference = try TensorDifference.between(try model.predict(given, state: &state)[0], second, .framework)
    #expect(difference.outside == 0, "the second call: \(difference.maximumAbsolute)")
  }
}

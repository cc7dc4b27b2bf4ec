import GraphModule
import Kiln
import ModelFormats
import TensorModule
import Testing

/// Every model that a real Keras wrote gives the outputs that it gave there.
@Suite struct KerasFixtureTests {
  /// The outputs; a stateful model takes as many samples at once as it is made for, and goes on from batch to batch.
  private static func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [Tensor] {
    guard !graph.states.isEmpty, let batch = graph.inputs.first.flatMap({ graph.type(of: $0).dims.first?.fixed }),
      let samples = inputs.first?.shape.first
    else { return try ReferenceBackend.run(graph, inputs) }
    var states: [Tensor] = []
    let parts = try stride(from: 0, to: samples, by: batch).map { start in
      try ReferenceBackend.run(graph, inputs.map { $0.rows(start..<start + batch) }, states: &states)
    }
    return try graph.outputs.indices.map { index in try Tensor.joined(parts.map { $0[index] }) }
  }

  @Test func thereAreFixtures() throws {
    #expect(try FixtureCase.matching.reduce(0) { try $0 + $1.caseCount() } > 1000)
  }

  @Test(arguments: FixtureCase.matching)
  func importsAndAgrees(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    let result: ImportResult
    do {
      result = try ModelImporter.read(path: "\(fixture.folder)/model.h5")
    } catch let error as KilnError {
      if json["expect"]?.stringValue == "clear-error" {
        if let wanted = json["message_contains"]?.stringValue { #expect(error.line.contains(wanted), "\(error.line)") }
        return
      }
      Issue.record("\(error.line)")
      return
    }
    #expect(json["expect"]?.stringValue != "clear-error")
    try Verifier.verify(result.graph)
    let inputs = try fixture.arrays(json, "inputs")
    let expected = try fixture.arrays(json, "outputs")
    let graph = result.graph
    #expect(graph.inputs.map { graph[$0].name } == inputs.map(\.name))
    #expect(graph.outputs.map(\.name) == expected.map(\.name))
    // The reference computes in Double: what lies in the middle of two integers in Float rounds otherwise there.
    if json["rounds_float32"]?.boolValue == true { return }
    let got = try Self.run(graph, inputs.map(\.tensor))
    try #require(got.count == expected.count)
    for (index, (name, wanted)) in expected.enumerated() {
      var tolerance = Tolerance.framework
      if let tol = json["tol"]?.doubleValue {
        tolerance = Tolerance(absolute: tol * max(1, wanted.doubles.map(\.magnitude).max() ?? 1), relative: 0)
      }
      let difference = try TensorDifference.between(got[index], wanted, tolerance)
      let part = FixtureCase.part(json, name, difference.firstOutside, of: wanted)
      #expect(
        difference.outside == 0,
        "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)\(part)")
    }
  }
}

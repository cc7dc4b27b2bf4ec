import GraphModule
import GraphOptimizer
import Kiln
import ModelFormats
import TensorModule
import Testing

/// Models of both of CNTK's forms give the outputs that CNTK gave.
@Suite struct CNTKFixtureTests {
  static let all: [FixtureCase] = FixtureCase.entries("\(FixtureCase.root)/fixtures/cntk-2.7").map {
    FixtureCase(folder: "\(FixtureCase.root)/fixtures/cntk-2.7/\($0)", name: "cntk-2.7/\($0)")
  }

  @Test func thereAreSome() { #expect(CNTKFixtureTests.all.count >= 25) }

  private func lengths(_ entry: JSON) throws -> Tensor? {
    guard let items = entry["sequence_lengths"]?.arrayValue else { return nil }
    let numbers = items.compactMap(\.intValue).map { Int32($0) }
    return try Tensor(numbers, shape: [numbers.count])
  }

  @Test(arguments: all)
  func runsAndAgrees(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    let file = json["files"]?.arrayValue?.first?.stringValue ?? ""
    let graph = try ModelImporter.read(path: "\(fixture.folder)/\(file)").graph
    let model = try Model(graph: graph, options: .init(threads: 2))
    var inputs = Dictionary(uniqueKeysWithValues: try fixture.arrays(json, "inputs"))
    for entry in json["inputs"]?.arrayValue ?? [] {
      guard let lengths = try lengths(entry), let name = entry["name"]?.stringValue else { continue }
      let title = try #require(model.inputs.first { $0.isCalled(name) }?.lengthsInput)
      if model.inputs.contains(where: { $0.name == title }) { inputs[title] = lengths }
    }
    let expected = try fixture.arrays(json, "outputs")
    let got = Dictionary(uniqueKeysWithValues: try model.predict(inputs))
    #expect(got.count == expected.count)
    for (name, wanted) in expected {
      let tensor = try #require(got[name], "no output \(name) among \(got.keys.sorted())")
      let difference = try TensorDifference.between(tensor, wanted, .framework)
      #expect(difference.outside == 0, "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)")
    }
  }

  /// Without lengths every sequence is as long as the input, and one input is enough.
  @Test func lengthsMayBeLeftOut() throws {
    let folder = "\(FixtureCase.root)/fixtures/cntk-2.7/net_lstm"
    let model = try Model(graph: try ModelImporter.read(path: "\(folder)/model.cntk").graph)
    let x = try NumPyFile.read(npy: "\(folder)/input_0.npy")
    let rows = x.shape[0], steps = x.shape[1]
    let all = try Tensor([Int32](repeating: Int32(steps), count: rows), shape: [rows])
    let plain = try model.predict(["x": x]), given = try model.predict(["x": x, "x_lengths": all])
    for (one, other) in zip(plain, given) { #expect(one.tensor.floats == other.tensor.floats) }
    let short = try Tensor([Int32](repeating: 1, count: rows), shape: [rows])
    let cut = try model.predict(["x": x, "x_lengths": short])
    #expect(cut.last?.tensor.floats != plain.last?.tensor.floats)
  }

  /// Recurrences that are layers become sequence operations, forward and backward, of both forms.
  @Test(arguments: [("net_lstm", "cntk", 1), ("net_bidirectional", "cntk", 4), ("v1_net_bidirectional", "dnn", 4), ("net_double", "cntk", 1)])
  func loopsBecomeLayers(_ name: String, _ form: String, _ count: Int) throws {
    let read = try ModelImporter.read(path: "\(FixtureCase.root)/fixtures/cntk-2.7/\(name)/model.\(form)").graph
    #expect(read.nodes.count { $0.op is Loop } == count)
    let graph = try Optimizer.run(read, .portable).graph
    #expect(graph.nodes.count { $0.op is Loop } == 0)
    #expect(graph.nodes.count { $0.op is RNN } == count)
  }

  /// Convolutions are channels-last with no more transposes than at the ends of a chain.
  @Test func transposesCancel() throws {
    let read = try ModelImporter.read(path: "\(FixtureCase.root)/fixtures/cntk-2.7/net_cnn/model.cntk").graph
    let graph = try Optimizer.run(read, .portable).graph
    #expect(graph.nodes.count { $0.op is Transpose } <= 2)
  }
}

import GraphModule
import Kiln
import ModelFormats
import TensorModule
import Testing

/// Graphs that hold many small graphs of one TensorFlow side by side (`scripts/fixtures/tf_bundle.py`): every op family with the
/// attributes that change its arithmetic gives, run by kernels, what TensorFlow gave.
@Suite struct TensorFlowBundleTests {
  static let all: [FixtureCase] = FixtureCase.entries("\(FixtureCase.root)/fixtures").filter { $0.hasPrefix("tensorflow-ops-") }.flatMap { group in
    FixtureCase.entries("\(FixtureCase.root)/fixtures/\(group)").compactMap { name in
      let fixture = FixtureCase(folder: "\(FixtureCase.root)/fixtures/\(group)/\(name)", name: "\(group)/\(name)")
      return (try? fixture.json()) == nil ? nil : fixture
    }
  }

  @Test func thereAreBundlesOfBothGenerations() {
    for version in ["1.15.5", "2.21.0"] {
      #expect(TensorFlowBundleTests.all.contains { $0.name.hasPrefix("tensorflow-ops-\(version)/") }, "no bundle of \(version)")
    }
  }

  @Test(arguments: all)
  func runsAndAgrees(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    var options = ImportOptions()
    options.outputs = json["outputs"]?.arrayValue?.compactMap { $0["tensor"]?.stringValue } ?? []
    let graph = try ModelImporter.read(path: "\(fixture.folder)/model.pb", options: options).graph
    let model = try Model(graph: graph, options: .init(threads: 1))
    let got = Dictionary(uniqueKeysWithValues: try model.predict(Dictionary(uniqueKeysWithValues: try fixture.arrays(json, "inputs"))))
    var seen = 0
    for (name, wanted) in try fixture.arrays(json, "outputs") {
      let found = try #require(got[name], "no output \(name)")
      try #require(found.shape == wanted.shape, "output \(name): \(found.shape) instead of \(wanted.shape)")
      var start = 0
      for part in json["parts"]?[name]?.arrayValue ?? [] {
        let (graphName, count) = (part[0]?.stringValue ?? "", part[1]?.intValue ?? 0)
        compare(found, wanted, start..<start + count, graphName)
        start += count
        seen += 1
      }
      #expect(start == wanted.count)
    }
    #expect(seen > 0)
  }

  /// Compares one graph's results: within 1e-4 of their scale.
  private func compare(_ found: Tensor, _ wanted: Tensor, _ range: Range<Int>, _ name: String) {
    if wanted.dtype == .string {
      #expect(Array(found.strings[range]) == Array(wanted.strings[range]), "graph \(name)")
      return
    }
    let (got, expected) = (Array(found.doubles[range]), Array(wanted.doubles[range]))
    let scale = max(1, expected.map(\.magnitude).filter(\.isFinite).max() ?? 1)
    let tolerance = Tolerance(absolute: 1e-5 * scale, relative: 1e-4)
    let outside = zip(got, expected).filter { !tolerance.accepts($0, $1) }
    #expect(outside.isEmpty, "graph \(name): \(outside.count) of \(range.count) differ, the first is \(outside.first.map { "\($0.0) instead of \($0.1)" } ?? "")")
  }
}

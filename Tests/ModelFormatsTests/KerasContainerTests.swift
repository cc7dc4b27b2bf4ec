import GraphModule
import ModelFormats
import TensorModule
import Testing

/// One model in one of the forms that Keras saves besides the whole-model `.h5`.
struct ContainerCase: Sendable, CustomTestStringConvertible {
  var fixture: FixtureCase
  var file: String
  var architecture: String?

  var testDescription: String { "\(fixture.name)/\(file)" }

  static let all: [ContainerCase] = FixtureCase.entries("\(FixtureCase.root)/fixtures/keras-containers").flatMap { name -> [ContainerCase] in
    let fixture = FixtureCase(folder: "\(FixtureCase.root)/fixtures/keras-containers/\(name)", name: name)
    let files = (try? fixture.json())?["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let architecture = files.first { $0.hasPrefix("architecture.") }
    return files.filter { !$0.hasPrefix("architecture.") }.map { file in
      ContainerCase(fixture: fixture, file: file, architecture: file.hasSuffix(".keras") ? nil : architecture)
    }
  }

  func read() throws -> ImportResult {
    var options = ImportOptions()
    options.architecture = architecture.map { "\(fixture.folder)/\($0)" }
    return try ModelImporter.read(path: "\(fixture.folder)/\(file)", options: options)
  }
}

/// Every container gives the outputs that the framework gave.
@Suite struct KerasContainerTests {
  @Test func thereAreAllForms() {
    let names = ContainerCase.all.map { $0.file + ($0.architecture ?? "") }
    for form in [
      "model.keras", "model.weights.h5architecture.json", "weights_flat.h5architecture.json", "weights_flat.h5architecture.yaml",
      "m.weights.jsonarchitecture.json",
    ] {
      #expect(names.contains(form), "no \(form)")
    }
  }

  @Test(arguments: ContainerCase.all)
  func importsAndAgrees(_ item: ContainerCase) throws {
    let json = try item.fixture.json()
    let graph = try item.read().graph
    try Verifier.verify(graph)
    let inputs = try item.fixture.arrays(json, "inputs")
    let expected = try item.fixture.arrays(json, "outputs")
    #expect(graph.inputs.map { graph[$0].name } == inputs.map(\.name))
    let got = try ReferenceBackend.run(graph, inputs.map(\.tensor))
    try #require(got.count == expected.count)
    for (index, (name, wanted)) in expected.enumerated() {
      var tolerance = Tolerance.framework
      if let tol = json["tol"]?.doubleValue {
        tolerance = Tolerance(absolute: tol * max(1, wanted.doubles.map(\.magnitude).max() ?? 1), relative: 0)
      }
      let difference = try TensorDifference.between(got[index], wanted, tolerance)
      #expect(difference.outside == 0, "output \(name) differs by up to \(difference.maximumAbsolute)")
    }
  }

  /// Weights whose architecture is not given: the error says what is in them.
  @Test(arguments: ContainerCase.all.filter { $0.architecture != nil })
  func weightsAloneAreListed(_ item: ContainerCase) throws {
    let error = #expect(throws: KilnError.self) {
      try ModelImporter.read(path: "\(item.fixture.folder)/\(item.file)")
    }
    #expect(error?.message.contains("holds weights but no model configuration") == true, "\(error?.line ?? "")")
    #expect(error?.hint?.contains("--architecture") == true)
  }

  /// An architecture of Keras 3 has no version, and what a mask leaves out depends on it.
  @Test func aVersionThatMattersIsAssumedAloud() throws {
    let folder = "\(FixtureCase.root)/fixtures/keras-containers/keras-3.15.1__crossed_gqa_1_masked_01_causal_key"
    var options = ImportOptions()
    options.architecture = "\(folder)/architecture.json"
    let warnings = try ModelImporter.read(path: "\(folder)/model.weights.h5", options: options).warnings
    #expect(warnings.contains { $0.line.contains("as in Keras 3.10 and later") }, "\(warnings.map(\.line))")
  }

  /// The optimizer's variables come along in the order of the file, unless they are not wanted.
  @Test(arguments: [
    ("keras-3.15.1__object_trained", "model.keras", 14, "optimizer/vars/0"), ("keras-3.15.1__object_trained", "model.h5", 14, "adam/iteration"),
    ("tf.keras-2.13.1__object_trained", "model.keras", 13, "optimizer/vars/0"), ("tf.keras-2.13.1__object_trained", "model.h5", 13, "iteration:0"),
  ])
  func optimizerComesAlong(_ name: String, _ file: String, _ count: Int, _ first: String) throws {
    let path = "\(FixtureCase.root)/fixtures/keras-containers/\(name)/\(file)"
    let training = try #require(try ModelImporter.read(path: path).training)
    #expect(training.variables.count == count && training.variables.first?.name == first)
    #expect(training.variables.first?.tensor.dtype == .int64 && training.configuration["loss"]?.stringValue == "mse")
    var options = ImportOptions()
    options.keepsOptimizer = false
    #expect(try ModelImporter.read(path: path, options: options).training == nil)
  }
}

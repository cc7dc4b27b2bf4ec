import GraphModule
import ModelFormats
import TensorModule
import Testing

/// What callers can ask of an import, and what it says besides the graph.
@Suite struct ImportOptionsTests {
  private func path(_ name: String) -> String { "\(FixtureCase.root)/fixtures/\(name)/model.h5" }

  private func code(_ body: () throws -> Void) throws -> (KilnError.Code, String)? {
    do { try body() } catch let error as KilnError { return (error.code, error.line) }
    return nil
  }

  @Test func inputShapeOverridesOpenAxes() throws {
    var options = ImportOptions()
    options.inputShapes = ["input_layer": [1, 12, nil, 3]]
    let graph = try ModelImporter.read(path: path("keras-3.15.1/any_image_size"), options: options).graph
    #expect(graph.type(of: graph.inputs[0]).dims == [1, 12, .symbol("input_layer_2"), 3])
  }

  @Test func openAxesAreSymbols() throws {
    let graph = try ModelImporter.read(path: path("keras-3.15.1/any_image_size")).graph
    #expect(
      graph.type(of: graph.inputs[0]).dims == [.symbol("batch"), .symbol("input_layer_1"), .symbol("input_layer_2"), 3])
  }

  @Test(
    arguments: [
      ["input_layer": [1, 12, 12, 4]], ["input_layer": [1, 12, 12]], ["other": [1, 12, 12, 3]],
      ["input_layer": [1, -2, 12, 3]],
    ] as [[String: [Int?]]])
  func wrongInputShapesAreUsageErrors(_ shapes: [String: [Int?]]) throws {
    var options = ImportOptions()
    options.inputShapes = shapes
    let found = try code { _ = try ModelImporter.read(path: path("keras-3.15.1/any_image_size"), options: options) }
    #expect(found?.0 == .usage, "\(found?.1 ?? "no error")")
  }

  @Test func outputsCutTheGraph() throws {
    var options = ImportOptions()
    options.outputs = ["block1_pool", "fc1"]
    let whole = try ModelImporter.read(path: path("keras-3.15.1/arch_vgg_like")).graph
    let cut = try ModelImporter.read(path: path("keras-3.15.1/arch_vgg_like"), options: options).graph
    #expect(cut.outputs.map(\.name) == ["block1_pool", "fc1"])
    #expect(cut.nodes.count < whole.nodes.count)
    #expect(whole.value(named: "predictions") != nil && cut.value(named: "predictions") == nil)
    let input = try Tensor((0..<24 * 24 * 3).map { Float($0 % 17) / 17 }, shape: [1, 24, 24, 3])
    let a = try ReferenceBackend.run(cut, [ReferenceTensor(input)])
    let b = try ReferenceBackend.run(
      whole, [ReferenceTensor(input)], fetch: ["block1_pool", "fc1"].compactMap { whole.value(named: $0) })
    for (x, y) in zip(a, b) { #expect(x.numbers == y.numbers) }
  }

  @Test func inputsCutTheGraph() throws {
    var options = ImportOptions()
    options.inputs = ["block1_pool"]
    let graph = try ModelImporter.read(path: path("keras-3.15.1/arch_vgg_like"), options: options).graph
    #expect(graph.inputs.map { graph[$0].name } == ["block1_pool"])
    #expect(graph.type(of: graph.inputs[0]).dims == [.symbol("batch"), 12, 12, 6])
    #expect(graph.value(named: "block1_conv1") == nil)
    try Verifier.verify(graph)
  }

  @Test func anUnknownNameSaysWhatIsNear() throws {
    var options = ImportOptions()
    options.outputs = ["block1_pol"]
    let found = try code { _ = try ModelImporter.read(path: path("keras-3.15.1/arch_vgg_like"), options: options) }
    #expect(found?.0 == .usage)
    #expect(found?.1.contains("block1_pool") == true, "\(found?.1 ?? "")")
  }

  @Test func anInputThatIsStillNeededIsNamed() throws {
    var options = ImportOptions()
    options.inputs = ["left"]
    let found = try code {
      _ = try ModelImporter.read(path: path("keras-3.15.1/functional_two_in_two_out"), options: options)
    }
    #expect(found?.0 == .usage)
    #expect(found?.1.contains("right") == true, "\(found?.1 ?? "")")
  }

  @Test func anotherFormatIsRefused() throws {
    var options = ImportOptions()
    options.format = .onnx
    let found = try code { _ = try ModelImporter.read(path: path("keras-3.15.1/dense"), options: options) }
    #expect(found?.0 == .badInput)
  }

  @Test func aSmallBudgetIsKept() throws {
    var options = ImportOptions()
    options.byteBudget = 40
    let found = try code { _ = try ModelImporter.read(path: path("keras-3.15.1/dense"), options: options) }
    #expect(found?.0 == .badInput)
    #expect(found?.1.contains("limit") == true, "\(found?.1 ?? "")")
  }

  @Test(arguments: [
    ("keras-3.15.1/dense", "keras", "3.15.1", "Keras 3", false),
    ("keras-3.15.1/trained_with_adam", "keras", "3.15.1", "Keras 3", true),
    ("tf_keras-2.21.0/dense_decorated", "tf.keras", "2.21.0", "Keras 2", false),
    ("tf.keras-2.4.0/dense", "tf.keras", "2.4.0", "Keras 2", false),
  ])
  func factsHaveEvidence(_ name: String, _ framework: String, _ version: String, _ generation: String, _ trained: Bool)
    throws
  {
    let result = try ModelImporter.read(path: path(name))
    #expect(result.facts.framework == framework)
    #expect(result.facts.version == version)
    #expect(result.facts.backend == "tensorflow")
    #expect(result.facts.generation == generation)
    #expect(result.facts.evidence.contains(version))
    #expect(result.facts.hasTrainingConfig == trained)
    #expect(result.graph.metadata["keras_version"] == version)
  }

  @Test func scopesAndNamesFollowTheLayers() throws {
    let graph = try ModelImporter.read(path: path("keras-3.15.1/nested_three_deep")).graph
    #expect(graph.nodes.contains { $0.scope == "level3/level2/level1/bn1" })
    for name in ["level3/level2/d0", "level3/level2/level1/d1", "last"] { #expect(graph.value(named: name) != nil) }
    #expect(graph.constants.keys.contains { graph[$0].name == "level3/level2/level1/d1/kernel" })
  }

  @Test func sharedLayersShareTheirWeights() throws {
    let graph = try ModelImporter.read(path: path("keras-3.15.1/functional_shared_layer_chain")).graph
    #expect(graph.constants.keys.count { graph[$0].name.hasSuffix("/kernel") } == 1)
    #expect(graph.value(named: "again@3") != nil)
  }

  @Test func everyWeightIsInTheReport() throws {
    let result = try ModelImporter.read(path: path("keras-3.15.1/nested_three_deep"))
    let rows = Dictionary(uniqueKeysWithValues: result.report.rows.map { ($0.layer, $0) })
    #expect(rows["level3/level2/level1/d1"]?.parameters == 20)
    #expect(rows["level3/bn3"]?.parameters == 16)
    #expect(result.report.isImportable)
    #expect(result.report.count(.supported) == result.report.rows.count)
  }

  @Test func checkListsEveryProblem() throws {
    let check = try ModelImporter.check(path: path("bad/two_problems_at_once"))
    #expect(check.report.count(.unsupported) + check.report.count(.malformed) >= 2)
    #expect(check.report.isImportable == false)
    #expect(check.error != nil)
    #expect(check.facts != nil)
  }

  @Test func checkOfAGoodFileHasNoError() throws {
    let check = try ModelImporter.check(path: path("keras-3.15.1/arch_unet"))
    #expect(check.error == nil)
    #expect(check.report.isImportable && check.report.rows.count > 20)
    #expect(check.report.count(.identity) == 1)
  }

  @Test func unknownKeysAreWarnings() throws {
    let warnings = try ModelImporter.read(path: path("bad/valid_unknown_config_keys")).warnings
    #expect(!warnings.isEmpty)
    #expect(warnings.allSatisfy { $0.message.contains("config key") && !$0.layer.isEmpty })
  }

  @Test(
    arguments: FixtureCase.matching.filter {
      $0.name.contains("/arch_") || $0.name.contains("/lstm_") || $0.name.contains("/conv2d_")
    })
  func nothingThatKerasWritesIsUnknown(_ fixture: FixtureCase) throws {
    let warnings = try ModelImporter.read(path: "\(fixture.folder)/model.h5").warnings.filter {
      $0.message.contains("config key")
    }
    #expect(warnings.isEmpty, "\(warnings.map(\.line))")
  }

  @Test(arguments: FixtureCase.matching.filter { $0.name.contains("nested") || $0.name.contains("mask_") })
  func graphsSurviveTheTextForm(_ fixture: FixtureCase) throws {
    let graph = try ModelImporter.read(path: "\(fixture.folder)/model.h5").graph
    let tensors = Dictionary(uniqueKeysWithValues: graph.constants.map { (graph[$0.key].name, $0.value) })
    let back = try TextForm.parse(TextForm.print(graph)) { name, _ in
      guard let tensor = tensors[name] else { throw KilnError(.internal, "no constant \(name)") }
      return tensor
    }
    #expect(back == graph)
  }

  @Test(arguments: [
    ("dense", SourceFormat.kerasH5)
  ])
  func formatsAreToldByContent(_ name: String, _ format: SourceFormat) throws {
    #expect(try ModelImporter.detect(path: path("keras-3.15.1/\(name)")) == format)
    let npy = "\(FixtureCase.root)/fixtures/keras-3.15.1/\(name)/input_0.npy"
    #expect(try ModelImporter.detect(path: npy) == .numpy)
    #expect(try code { _ = try ModelImporter.detect(path: FixtureCase.root) }?.0 == .badInput)
    #expect(try code { _ = try ModelImporter.detect(path: "/dev/null") }?.0 == .badInput)
  }

  @Test func importsOnManyThreadsAgree() async throws {
    let file = path("keras-3.15.1/arch_stacked_bidirectional_lstm")
    let first = try ModelImporter.read(path: file).graph
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 { group.addTask { try ModelImporter.read(path: file).graph == first } }
      for try await same in group { #expect(same) }
    }
  }
}

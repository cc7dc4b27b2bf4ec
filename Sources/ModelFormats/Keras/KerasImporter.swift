import GraphModule
import TensorModule

/// Reads one Keras file into a graph.
final class KerasImporter: SourceImporter {
  let path: String
  let format: SourceFormat
  let options: ImportOptions
  private(set) var diagnostics = ImportDiagnostics()
  private(set) var facts: SourceFacts?
  /// What training left beside the model.
  private(set) var training: ImportedTraining?
  /// The model's layers as a writer takes them.
  private(set) var document: KerasDocument?
  private var layers: [KerasLayer] = []

  init(path: String, format: SourceFormat, options: ImportOptions) {
    self.path = path
    self.format = format
    self.options = options
  }

  /// Reads everything.
  ///
  /// - Throws: `KilnError` that stands for all problems together.
  func read() throws -> (Graph, SourceFacts) {
    let source = try KerasSource.open(path, format, options)
    let origin = try KerasOrigin(source, options)
    let dialect = origin.dialect
    var found = SourceFacts(
      framework: dialect.framework, version: source.version ?? "", backend: origin.backendName,
      generation: dialect.generationName, evidence: ([dialect.evidence] + origin.evidence).joined(separator: "; "),
      generationEvidence: dialect.evidence, hasTrainingConfig: source.hasTrainingConfig, others: origin.facts + [source.trainingFact])
    facts = found
    guard let config = source.config else { throw try source.weightsOnly() }
    do {
      return (try graph(source, config, dialect, found), found)
    } catch {
      guard origin.lacksImageFormat, diagnostics.lacksImageFormat else { throw error }
      // Of both orders the one with which the weights and shapes fit, if there is but one.
      let (own, ownLayers) = (diagnostics, layers)
      var fitting: [(format: DataFormat, graph: Graph, layers: [KerasLayer], diagnostics: ImportDiagnostics)] = []
      for format in DataFormat.allCases {
        var dialect = dialect
        dialect.imageFormat = format
        diagnostics = ImportDiagnostics()
        if let graph = try? graph(source, config, dialect, found) { fitting.append((format, graph, layers, diagnostics)) }
      }
      (diagnostics, layers) = (own, ownLayers)
      guard fitting.count == 1, let one = fitting.first else { throw error }
      (diagnostics, layers) = (one.diagnostics, one.layers)
      let text = "dim_ordering of layers that do not write it is \(one.format.rawValue), with which alone the weights fit"
      found.evidence += "; \(text)"
      found.others.append(SourceFact("assumed order of axes", one.format.rawValue, evidence: text))
      facts = found
      return (one.graph, found)
    }
  }

  /// Reads the model in one dialect.
  private func graph(_ source: KerasSource, _ config: JSON, _ dialect: KerasDialect, _ facts: SourceFacts) throws -> Graph {
    let replacements = options.replacements.isEmpty ? nil : try LayerReplacements(options.replacements)
    let reader = KerasModelReader(dialect: dialect, diagnostics: diagnostics, replacements: replacements)
    if dialect.generation == .keras2, case .groups(let groups, _) = try source.weights() { reader.groupNames = groups.map(\.layer) }
    let model = try reader.model(config, path: "")
    try replacements?.finish()
    layers = model.layers
    try matchWeights(source, model)
    if let error = diagnostics.error { throw error }
    let builder = KerasGraphBuilder(
      name: model.name, dialect: dialect, backend: facts.backend, diagnostics: diagnostics, isForTraining: options.isForTraining)
    let inputs = try addInputs(model, builder)
    let outputs = try builder.run(model, inputs)
    if let error = diagnostics.error { throw error }
    guard let outputs else { throw KilnError(.internal, "the model has no outputs") }
    var graph = builder.graph
    graph.outputs = zip(KerasImporter.outputNames(model, dialect), outputs.leaves).map { Graph.Output(name: $0, value: $1.value) }
    if options.isForTraining {
      // Losses and metrics leave out what is masked.
      for (output, tensor) in zip(graph.outputs, outputs.leaves) {
        if let mask = tensor.mask { graph.outputs.append(Graph.Output(name: "mask of \(output.name)", value: mask)) }
      }
    }
    graph.metadata = metadata(facts, source.format)
    if options.isForTraining, let loss = options.lossExpression {
      for output in graph.outputs where !output.name.hasPrefix("mask of ") {
        graph.metadata[LossExpression.key(output.name)] = TextForm.print(try LossExpression.graph(loss, output: graph.type(of: output.value), dialect))
      }
    }
    graph = try cut(graph, builder).compacted()
    try Verifier.verify(graph)
    if options.keepsOptimizer { readTraining(source) }
    if options.keepsLayers, options.inputs.isEmpty, options.outputs.isEmpty { describeLayers(model, source, config, builder) }
    if options.isForTraining {
      guard let document else { throw KilnError(.usage, "a graph for training is that of the whole model") }
      if let problem = document.problems.first { throw KilnError(.unsupportedModel, "cannot be trained: \(problem)") }
      graph.metadata[TrainingLayout.key] = TrainingLayout.json(model, builder, document).text(nonFinite: nil)
    }
    return graph
  }

  /// Reads the optimizer's state. A model predicts without it, so what is wrong with it is a warning.
  private func readTraining(_ source: KerasSource) {
    do {
      guard let found = try source.training() else { return }
      var names: Set<String> = []
      let variables = try found.variables.map { weight in
        guard names.insert(weight.path).inserted else { throw KilnError(.badInput, "two variables are called \(KilnError.quoted(weight.path))") }
        return (name: weight.path, tensor: try weight.load())
      }
      training = ImportedTraining(configuration: found.configuration, variables: variables)
    } catch {
      diagnostics.warn("", "the optimizer's state cannot be read and is left out: \((error as? KilnError)?.line ?? "\(error)")")
    }
  }

  /// Makes the document of the model's layers. Predicting needs none, so what is wrong with it is its own problem.
  private func describeLayers(_ model: KerasModel, _ source: KerasSource, _ config: JSON, _ builder: KerasGraphBuilder) {
    do {
      document = try KerasDocument.make(model, source, config, builder, training)
    } catch {
      var failed = KerasDocument(model: .null)
      failed.problems = [(error as? KilnError)?.line ?? "\(error)"]
      document = failed
    }
  }

  private func metadata(_ facts: SourceFacts, _ container: String) -> [String: String] {
    ["source_format": container, "framework": facts.framework, "keras_version": facts.version, "backend": facts.backend]
      .filter { !$0.value.isEmpty }
  }

  // MARK: Weights

  private func matchWeights(_ source: KerasSource, _ model: KerasModel) throws {
    defer { for layer in model.layers.flatMap(\.flattened) { LegacyWeights.modernise(layer, layer.config.dialect) } }
    switch try source.weights() {
    case .groups(var groups, let ownWeights):
      // What an unknown layer's weights mean is unknown too.
      let unknown = Set(model.layers.filter { $0.flattened.contains { $0.reader is UnknownLayer } }.map(\.name))
      // Nested Sequential models of Keras 1 have no name in the configuration; the place in the list tells which it is.
      let placed = model.layers.filter { layer in !(layer.reader is InputReader) || groups.contains { $0.layer == layer.name } }
      if source.dialect.generation == .keras1, placed.count == groups.count {
        for (index, layer) in placed.enumerated() where layer.reader is NestedModel { groups[index].layer = layer.name }
      }
      WeightMatcher.match(
        groups.filter { !unknown.contains($0.layer) }, to: model.layers.filter { !unknown.contains($0.name) }, diagnostics)
      if ownWeights > 0 { diagnostics.warn("", "the model has \(ownWeights) weights of its own that no layer uses; they are left out") }
    case .tree(let tree):
      var matcher = VariableMatcher(tree, assets: source.assets, checksNames: source.isWhole, diagnostics)
      matcher.match(model)
    }
  }

  // MARK: Inputs and outputs

  private func addInputs(_ model: KerasModel, _ builder: KerasGraphBuilder) throws -> [KerasTensor] {
    var unused = Set(options.inputShapes.keys)
    let references = model.inputs.leaves
    let inputs = try references.map { reference -> KerasTensor in
      let layer = model.layers.first { $0.name == reference.layer }
      let name = model.inputNames[reference.layer] ?? reference.layer
      guard let input = layer?.reader as? InputReader else {
        throw KilnError(.badInput, "the model's input \(KilnError.quoted(reference.layer)) is not an InputLayer")
      }
      let given = options.inputShapes[name] ?? (references.count == 1 ? options.inputShapes[""] : nil)
      unused.remove(name)
      if references.count == 1 { unused.remove("") }
      let shape = try KerasImporter.shape(input.shape, given, name)
      let dims = shape.enumerated().map { axis, length in
        length.map { Dim($0) } ?? .symbol(axis == 0 ? "batch" : "\(name)_\(axis)")
      }
      return KerasTensor(try builder.graph.addInput(name, TensorType(input.dtype, dims)))
    }
    if let name = unused.sorted().first {
      throw KilnError(
        .usage, "the model has no input \(KilnError.quoted(name))",
        hint: "its inputs are " + references.map { KilnError.quoted(model.inputNames[$0.layer] ?? $0.layer) }.joined(separator: ", "))
    }
    return inputs
  }

  /// The declared shape with what the caller gave.
  private static func shape(_ declared: [Int?]?, _ given: [Int?]?, _ name: String) throws -> [Int?] {
    guard let declared else {
      guard let given else {
        throw KilnError(
          .badInput, "the file does not say the shape of the input \(KilnError.quoted(name))",
          hint: "--input-shape \(name)=1,…")
      }
      return given
    }
    guard let given else { return declared }
    guard given.count == declared.count, given.allSatisfy({ ($0 ?? 0) >= 0 }) else {
      throw KilnError(
        .usage, "input \(KilnError.quoted(name)) has \(declared.count) axes, the given shape \(given.count)")
    }
    return try zip(declared, given).enumerated().map { axis, pair in
      if axis > 0, let fixed = pair.0, let wanted = pair.1, fixed != wanted {
        throw KilnError(
          .usage,
          "input \(KilnError.quoted(name)): axis \(axis) is \(fixed) in the model and \(wanted) in the given shape")
      }
      return axis == 0 ? pair.1 : pair.1 ?? pair.0
    }
  }

  /// Keras's names of the outputs: of their layers, numbered where one repeats; the keys of a dict in Keras 3.
  static func outputNames(_ model: KerasModel, _ dialect: KerasDialect) -> [String] {
    var names = model.outputs.leaves.map(\.layer)
    if dialect.isKeras3, case .dict(let entries) = model.outputs, entries.allSatisfy({ $0.value.leaves.count == 1 }) {
      names = entries.map(\.key).sorted()
    }
    var out: [String] = []
    var next: [String: Int] = [:]
    for name in names {
      var proposal = name
      while out.contains(proposal) {
        let number = next[name, default: 1]
        proposal = "\(name)_\(number)"
        next[name] = number + 1
      }
      out.append(proposal)
    }
    return out
  }

  private func cut(_ graph: Graph, _ builder: KerasGraphBuilder) throws -> Graph {
    if options.inputs.isEmpty && options.outputs.isEmpty { return graph }
    func value(_ name: String) throws -> ValueID {
      if let output = graph.outputs.first(where: { $0.name == name }) { return output.value }
      if let value = graph.value(named: name) { return value }
      if let values = builder.results[name], let first = values.first { return first }
      let known = graph.outputs.map(\.name) + builder.results.keys.sorted()
      throw KilnError(
        .usage, "the model has no value or layer \(KilnError.quoted(name))",
        hint: Nearest.name(to: name, among: known).map { "did you mean \(KilnError.quoted($0))?" })
    }
    return try GraphCut.cut(
      graph, inputs: options.inputs.isEmpty ? nil : try options.inputs.map(value),
      outputs: options.outputs.isEmpty ? nil : try options.outputs.map { Graph.Output(name: $0, value: try value($0)) })
  }

  // MARK: Report

  /// One row for each layer, nested ones included.
  var report: ImportReport {
    var rows: [ImportReportRow] = []
    var covered: Set<String> = []
    for layer in layers.flatMap(\.flattened) {
      let problems = diagnostics.problems.filter { $0.layer == layer.path }
      covered.insert(layer.path)
      let status: ImportReportRow.Status =
        problems.contains { $0.kind == .unsupported }
        ? .unsupported : !problems.isEmpty ? .malformed : layer.reader.isIdentity ? .identity : .supported
      rows.append(
        ImportReportRow(
          layer: layer.path, className: layer.className, status: status,
          remark: problems.map { $0.message + ($0.nearest.map { " (nearest: \($0))" } ?? "") }.joined(separator: "; "),
          parameters: layer.stored.values.reduce(0) { $0 + (checkedProduct($1.shape) ?? 0) }))
    }
    for problem in diagnostics.problems where !covered.contains(problem.layer) {
      rows.append(
        ImportReportRow(
          layer: problem.layer, className: problem.className,
          status: problem.kind == .unsupported ? .unsupported : .malformed,
          remark: problem.message, parameters: 0))
    }
    return ImportReport(rows: rows)
  }
}

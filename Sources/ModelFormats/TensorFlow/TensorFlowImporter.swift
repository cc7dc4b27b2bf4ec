import GraphModule
import TensorModule

/// Reads TensorFlow's files into a graph.
final class TensorFlowImporter: SourceImporter {
  private let container: TFContainer
  private let options: ImportOptions
  let diagnostics = ImportDiagnostics()
  private(set) var facts: SourceFacts?
  private var counts: [String: Int] = [:]

  init(_ container: TFContainer, options: ImportOptions) {
    self.container = container
    self.options = options
  }

  func read() throws -> (Graph, SourceFacts) {
    let model = try TFModel.open(container, TFSelection(signature: options.signature, tags: options.tags))
    let evidence = model.graph.producer > 0 ? "graph version \(model.graph.producer)" : ""
    let facts = SourceFacts(
      framework: "tensorflow", version: model.version, backend: "tensorflow",
      generation: model.container, evidence: evidence, generationEvidence: evidence, hasTrainingConfig: false,
      others: [SourceFact("training", "none", evidence: "only what a signature or the outputs need is read")])
    self.facts = facts
    // First with a symbol of its own for each length of an input, which tells the lengths that must be equal.
    if TFInputSymbols.isUseful(for: model), let first = try? attempt(model, .apart), let graph = first.graph {
      let second = first.equal.map { try? attempt(model, $0).graph }
      if let graph = second ?? graph { return (graph, facts) }
    }
    let found = TFDiagnostics()
    defer { counts = found.opCounts }
    let graph = try convert(model, .together, found)
    found.report(to: diagnostics)
    if let error = diagnostics.error { throw error }
    guard let graph else { throw KilnError(.internal, "an output is missing") }
    return (graph, facts)
  }

  /// One conversion without a word about problems.
  ///
  /// - Returns: the graph, and symbols with those of equal lengths made one when there are such.
  private func attempt(_ model: TFModel, _ symbols: TFInputSymbols) throws -> (graph: Graph?, equal: TFInputSymbols?) {
    let found = TFDiagnostics()
    guard let graph = try convert(model, symbols, found), found.isEmpty else { return (nil, nil) }
    counts = found.opCounts
    let equalities = DimEqualities()
    try DimEqualities.$current.withValue(equalities) { try Verifier.verify(graph) }
    return (graph, symbols.joined(equalities, graph.symbols))
  }

  /// The graph; nil when a problem was found.
  private func convert(_ model: TFModel, _ symbols: TFInputSymbols, _ found: TFDiagnostics) throws -> Graph? {
    let builder = TFBuilder(name: "model")
    let converter = try TFConverter(model, builder: builder, diagnostics: found)
    defer { converter.close() }
    let plan = try TFEndpoints(model, options, converter, symbols)
    try plan.addInputs()
    let values = try converter.values(plan.outputs.map { ($0.frame, $0.reference) })
    guard found.isEmpty else { return nil }
    builder.graph.outputs = try plan.graphOutputs(values)
    builder.graph.metadata = ["source_format": model.container, "framework": "tensorflow", "tensorflow_version": model.version]
      .filter { !$0.value.isEmpty }
    builder.graph.metadata.merge(TensorFlowImporter.names(model)) { first, _ in first }
    let graph = try GraphCut.cut(builder.graph, inputs: try plan.graphInputs(), outputs: nil).compacted()
    try Verifier.verify(graph)
    return graph
  }

  /// The signature, and TensorFlow's names of inputs that it calls otherwise.
  private static func names(_ model: TFModel) -> [String: String] {
    var found: [String: String] = [:]
    if let signature = model.signature { found["signature"] = signature }
    if model.signatures.count > 1 { found["signatures"] = model.signatures.joined(separator: ", ") }
    for input in model.inputs ?? [] where input.tensor.index == 0 && input.tensor.node != input.name {
      found["alias of \(input.name)"] = input.tensor.node
    }
    return found
  }

  /// One row for each op type, and one for each problem.
  var report: ImportReport {
    var rows = diagnostics.problems.map {
      ImportReportRow(layer: $0.layer, className: $0.className, status: $0.kind == .unsupported ? .unsupported : .malformed, remark: $0.message, parameters: 0)
    }
    for (op, count) in counts.sorted(by: { $0.key < $1.key }) where TFOpCatalog.readers[op] != nil {
      rows.append(ImportReportRow(layer: "", className: op, status: .supported, remark: "", parameters: 0, count: count))
    }
    return ImportReport(rows: rows)
  }
}

import GraphModule
import TensorModule

/// Reads ONNX files into graphs.
final class ONNXImporter: SourceImporter {
  private let path: String
  private let options: ImportOptions
  let diagnostics = ImportDiagnostics()
  private(set) var facts: SourceFacts?
  private var counts: [String: Int] = [:]

  init(path: String, options: ImportOptions) {
    self.path = path
    self.options = options
  }

  func read() throws -> (Graph, SourceFacts) {
    let file = try MappedFile(path: path)
    let model = try ONNXModel(contentsOf: file, external: ExternalData(model: path, isAllowed: options.allowsExternalData))
    let version = ONNXImporter.opsets(model)
    let evidence = "IR version \(model.irVersion), \(version)"
    let facts = SourceFacts(
      framework: "onnx", version: "\(model.opsets[""] ?? model.opsets.values.max() ?? 0)", backend: "", generation: "ONNX",
      evidence: evidence, generationEvidence: evidence, hasTrainingConfig: false,
      others: [SourceFact("training", "none", evidence: "ONNX files are read for predicting only")])
    self.facts = facts
    for (domain, version) in model.opsets where domain.isEmpty && !(7...ONNXImporter.newestOpset).contains(version) {
      throw KilnError(.unsupportedModel, "uses the operator set \(version) of ONNX; 7 to \(ONNXImporter.newestOpset) are read")
    }
    let found = TFDiagnostics()
    defer { counts = found.opCounts }
    let builder = ImportBuilder(name: model.graph.name.isEmpty ? "model" : model.graph.name)
    defer { builder.close() }
    let scope = ONNXScope(model.graph, builder, opsets: model.opsets)
    var inputs = ONNXInputs(model.graph, options, builder)
    try inputs.bind(scope)
    let wanted = options.outputs.isEmpty ? model.graph.outputs.map(\.name) : options.outputs
    guard !wanted.isEmpty else { throw KilnError(.badInput, "the graph has no outputs", hint: "name them with --outputs") }
    guard Set(wanted).count == wanted.count else { throw KilnError(.badInput, "two outputs have one name") }
    let made = Set(model.graph.nodes.flatMap(\.outputs)).union(model.graph.inputs.map(\.name)).union(model.graph.initializers.keys)
    for name in wanted + options.inputs where !made.contains(name) {
      guard options.outputs.contains(name) || options.inputs.contains(name) else {
        throw KilnError(.badInput, "no node makes the output \(KilnError.quoted(name))")
      }
      throw KilnError(
        .usage, "the graph has no value \(KilnError.quoted(name))",
        hint: Nearest.name(to: name, among: made.sorted()).map { "did you mean \(KilnError.quoted($0))?" })
    }
    let converter = ONNXConverter(model, builder: builder, diagnostics: found)
    let values = try converter.run(model.graph.nodes, scope, wanted: wanted + options.inputs)
    found.report(to: diagnostics, known: ONNXOpCatalog.names)
    if let error = diagnostics.error { throw error }
    builder.graph.outputs = try zip(wanted, values).map { name, value in
      Graph.Output(name: name, value: try ONNXImporter.tensor(value, name, builder))
    }
    builder.graph.metadata = metadata(model, version)
    let ids = try options.inputs.isEmpty
      ? inputs.ids : zip(options.inputs, values.dropFirst(wanted.count)).map { try ONNXImporter.tensor($1, $0, builder) }
    let graph = try GraphCut.cut(builder.graph, inputs: ids, outputs: nil).compacted()
    try Verifier.verify(graph)
    return (graph, facts)
  }

  /// The newest version of ONNX's operator set whose meanings are known.
  static let newestOpset = 28

  private static func tensor(_ value: ONNXValue?, _ name: String, _ builder: ImportBuilder) throws -> ValueID {
    switch value {
    case .tensor(let value, _)?: return try builder.id(value)
    case .sequence?: throw KilnError(.unsupportedModel, "the output \(KilnError.quoted(name)) is a sequence, which is not supported")
    case .absent?: throw KilnError(.unsupportedModel, "the output \(KilnError.quoted(name)) is an optional, which is not supported")
    case nil: throw KilnError(.internal, "the output \(KilnError.quoted(name)) is missing")
    }
  }

  private static func opsets(_ model: ONNXModel) -> String {
    "opset " + model.opsets.sorted { $0.key < $1.key }.map { $0.key.isEmpty ? "\($0.value)" : "\($0.key) \($0.value)" }.joined(separator: ", ")
  }

  private func metadata(_ model: ONNXModel, _ opsets: String) -> [String: String] {
    [
      "source_format": "ONNX", "framework": "onnx", "onnx_ir_version": "\(model.irVersion)", "onnx_opsets": opsets,
      "onnx_producer": [model.producer, model.producerVersion].filter { !$0.isEmpty }.joined(separator: " "),
    ].filter { !$0.value.isEmpty }
  }

  /// One row for each op, and one for each problem.
  var report: ImportReport {
    var rows = diagnostics.problems.map {
      ImportReportRow(layer: $0.layer, className: $0.className, status: $0.kind == .unsupported ? .unsupported : .malformed, remark: $0.message, parameters: 0)
    }
    for (op, count) in counts.sorted(by: { $0.key < $1.key }) where ONNXOpCatalog.names.contains(op) {
      rows.append(ImportReportRow(layer: "", className: op, status: .supported, remark: "", parameters: 0, count: count))
    }
    return ImportReport(rows: rows)
  }

  /// Whether bytes are an ONNX file: the fields of a ModelProto, with a graph and a version among them.
  static func isModel(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let texts: Set<UInt32> = [2, 3, 4, 6, 7, 8, 14, 20, 25, 26]
    var reader = WireReader(bytes)
    var (hasGraph, hasVersion, fields) = (false, false, 0)
    while !reader.isAtEnd {
      fields += 1
      guard fields <= 100_000, let (number, wire) = try? reader.tag() else { return false }
      switch (number, wire) {
      case (1, 0), (5, 0): break
      case (_, 2) where texts.contains(number): break
      default: return false
      }
      guard let payload = try? reader.payload(wire: wire) else {
        // A file that ends early is still one when its beginning was.
        return hasVersion && number == 7
      }
      if number == 7 { hasGraph = !payload.isEmpty }
      if number == 1 || number == 8 { hasVersion = true }
    }
    return hasGraph && hasVersion
  }
}

/// The inputs of a model.
struct ONNXInputs {
  private let graph: ONNXGraph
  private let options: ImportOptions
  private let builder: ImportBuilder
  private(set) var ids: [ValueID] = []

  init(_ graph: ONNXGraph, _ options: ImportOptions, _ builder: ImportBuilder) {
    self.graph = graph
    self.options = options
    self.builder = builder
  }

  /// Makes inputs of the graph's inputs that no initializer gives.
  mutating func bind(_ scope: ONNXScope) throws {
    let free = graph.inputs.filter { !scope.isInitializer($0.name) }
    var unused = Set(options.inputShapes.keys)
    for input in free {
      let given = options.inputShapes[input.name] ?? (free.count == 1 ? options.inputShapes[""] : nil)
      unused.remove(input.name)
      unused.remove("")
      guard case .tensor(let element, let declared) = input.type else {
        throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(input.name)) is no tensor, which is not supported")
      }
      guard let dtype = element.dtype else {
        throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(input.name)) has the type \(element.name), which is not supported")
      }
      let dims = try dims(declared, given, input.name)
      guard dims.count <= maximumRank else {
        throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(input.name)) has \(dims.count) axes; at most \(maximumRank) are supported")
      }
      let id = try builder.graph.addInput(input.name, TensorType(dtype, dims))
      scope.bind(input.name, .tensor(.value(id, builder, name: input.name), element))
      ids.append(id)
    }
    if let name = unused.sorted().first, !name.isEmpty {
      throw KilnError(
        .usage, "the model has no input \(KilnError.quoted(name))",
        hint: "its inputs are " + free.map { KilnError.quoted($0.name) }.joined(separator: ", "))
    }
  }

  /// The declared dims with what the caller gave; a dim without a name gets one.
  private func dims(_ declared: [ONNXType.Dim]?, _ given: [Int?]?, _ name: String) throws -> [Dim] {
    guard let declared else {
      guard let given else {
        throw KilnError(.badInput, "the file does not say the shape of the input \(KilnError.quoted(name))", hint: "--input-shape \(name)=1,…")
      }
      return given.enumerated().map { axis, length in length.map { Dim($0) } ?? symbol(axis, name) }
    }
    if let given, given.count != declared.count || given.contains(where: { ($0 ?? 0) < 0 }) {
      throw KilnError(.usage, "input \(KilnError.quoted(name)) has \(declared.count) axes, the given shape \(given.count)")
    }
    return try declared.enumerated().map { axis, dim in
      let wanted = given?[axis]
      switch dim {
      case .fixed(let length):
        if let wanted, wanted != length {
          throw KilnError(.usage, "input \(KilnError.quoted(name)): axis \(axis) is \(length) in the model and \(wanted) in the given shape")
        }
        return Dim(length)
      case .named(let text):
        if let wanted { return Dim(wanted) }
        // Names that writers give to every dim they do not know.
        return ["?", "None", "none", "-1", "unknown"].contains(text) ? symbol(axis, name) : .symbol(text)
      case .unknown: return wanted.map { Dim($0) } ?? symbol(axis, name)
      }
    }
  }

  private func symbol(_ axis: Int, _ name: String) -> Dim { .symbol(axis == 0 ? "batch" : "\(name)_\(axis)") }
}

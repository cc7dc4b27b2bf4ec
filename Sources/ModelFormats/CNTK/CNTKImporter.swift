import GraphModule
import TensorModule

/// Reads models of CNTK into graphs.
final class CNTKImporter: SourceImporter {
  private let path: String
  private let options: ImportOptions
  private let isLegacy: Bool
  let diagnostics = ImportDiagnostics()
  private(set) var facts: SourceFacts?
  private var counts: [String: Int] = [:]

  init(path: String, isLegacy: Bool, options: ImportOptions) {
    self.path = path
    self.isLegacy = isLegacy
    self.options = options
  }

  func read() throws -> (Graph, SourceFacts) {
    let file = try MappedFile(path: path)
    let model = try isLegacy ? CNTKModel(legacy: file) : CNTKModel(CNTKDictionaryReader.read(file))
    let evidence = isLegacy ? "a computation network of version \(model.version)" : "a composite function of version \(model.version)"
    let facts = SourceFacts(
      framework: "cntk", version: "\(model.version)", backend: "", generation: model.generation, evidence: evidence, generationEvidence: evidence,
      hasTrainingConfig: false, others: [SourceFact("training", "none", evidence: "a model's file has no learners")])
    self.facts = facts
    let graph = try CNTKGraph(model)
    let found = TFDiagnostics()
    defer { counts = found.opCounts }
    let builder = ImportBuilder(name: FilePath.name(of: path).split(separator: ".").first.map(String.init) ?? "model")
    defer { builder.close() }
    let inputs = CNTKInputs(graph, options, builder)
    let converter = CNTKConverter(graph, builder: builder, diagnostics: found, batch: inputs.batch)
    let names = CNTKNames(graph)
    let outputs = try options.outputs.isEmpty ? model.outputs.map { ($0, names.name($0)) } : options.outputs.map { (try names.uid($0), $0) }
    guard !outputs.isEmpty else { throw KilnError(.badInput, "the model has no outputs", hint: "name them with --outputs") }
    let starts = try options.inputs.map { try names.uid($0) }
    try inputs.bind(converter)
    let values = try converter.run(wanted: outputs.map(\.0) + starts)
    found.report(to: diagnostics, known: CNTKOpCatalog.names)
    if let error = diagnostics.error { throw error }
    var taken: Set<String> = []
    for ((uid, name), value) in zip(outputs, values) {
      guard let value else { throw KilnError(.internal, "the output \(KilnError.quoted(name)) is missing") }
      let unique = taken.insert(name).inserted ? name : uid
      taken.insert(unique)
      builder.graph.outputs.append(Graph.Output(name: unique, value: try output(value, unique, converter)))
    }
    builder.graph.metadata = ["source_format": model.generation, "framework": "cntk"].merging(inputs.metadata) { $1 }
    let ids = try starts.isEmpty ? inputs.ids : values.dropFirst(outputs.count).map { value in
      guard let value else { throw KilnError(.internal, "an input is missing") }
      return try builder.id(value.value)
    }
    var cut = try GraphCut.cut(builder.graph, inputs: starts.isEmpty ? nil : ids, outputs: nil)
    if starts.isEmpty { cut.setInputs(cut.inputs) }
    let graphOut = cut.compacted()
    try Verifier.verify(graphOut)
    return (graphOut, facts)
  }

  /// A result as callers see it: 0 behind the sequences, and no longer than the longest.
  private func output(_ value: CNTKValue, _ name: String, _ converter: CNTKConverter) throws -> ValueID {
    let id = try converter.builder.id(value.value)
    guard let sequence = value.axes.sequence else { return id }
    let call = CNTKOutputCall(converter.builder, name)
    let mask = try sequence.mask(call)
    let dims = call.type(mask).dims + value.shape.map { _ in 1 }
    let clean = try call.select(try call.reshape(mask, dims), id, try call.scalar(0, call.type(id).dtype))
    return try converter.cut(call, clean, sequence)
  }

  /// One row for each op, and one for each problem.
  var report: ImportReport {
    var rows = diagnostics.problems.map {
      ImportReportRow(layer: $0.layer, className: $0.className, status: $0.kind == .unsupported ? .unsupported : .malformed, remark: $0.message, parameters: 0)
    }
    for (op, count) in counts.sorted(by: { $0.key < $1.key }) where CNTKOpCatalog.readers[op] != nil {
      rows.append(ImportReportRow(layer: "", className: op, status: .supported, remark: "", parameters: 0, count: count))
    }
    return ImportReport(rows: rows)
  }

  /// Whether bytes are CNTK's dictionary: a version and entries, each a key and a value.
  static func isDictionary(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var range = 0..<bytes.count
    if CNTKOutsideArrays.isMarked(bytes) {
      guard let head = try? CNTKOutsideArrays.message(bytes) else { return true }
      range = head
    }
    var reader = WireReader(bytes, range)
    var (entries, fields) = (0, 0)
    while !reader.isAtEnd, fields < 64 {
      fields += 1
      // What begins as one and goes on otherwise is a damaged one.
      guard let (number, wire) = try? reader.tag(), (number == 1 && wire == 0) || (number == 2 && wire == 2) else { return entries > 1 }
      guard let payload = try? reader.payload(wire: wire) else { return entries > 0 }
      guard number == 2 else { continue }
      var inner = WireReader(bytes, payload)
      guard let (key, keyWire) = try? inner.tag(), key == 1, keyWire == 2, let text = try? inner.payload(wire: 2),
        text.count <= 256, bytes[text].allSatisfy({ (0x20..<0x7F).contains($0) })
      else { return false }
      if !inner.isAtEnd { guard let (value, valueWire) = try? inner.tag(), value == 2, valueWire == 2 else { return false } }
      entries += 1
    }
    return entries > 0
  }
}

/// The means to add what outputs need.
final class CNTKOutputCall: NodeBuilding {
  let builder: ImportBuilder
  let name: String

  init(_ builder: ImportBuilder, _ name: String) {
    self.builder = builder
    self.name = name + "/output"
  }
}

/// What callers call variables and results.
struct CNTKNames {
  private let graph: CNTKGraph
  private var byName: [String: String] = [:]

  init(_ graph: CNTKGraph) {
    self.graph = graph
    for function in graph.model.functions {
      byName[function.uid] = function.result(0)
      byName[function.result(0)] = function.result(0)
      if graph.model.outputs.contains(function.result(1)) { byName[function.result(1)] = function.result(1) }
      if !function.name.isEmpty, byName[function.name] == nil { byName[function.name] = function.result(0) }
    }
    for uid in graph.model.order {
      guard let variable = graph.model.variables[uid], variable.kind != .placeholder else { continue }
      byName[uid] = uid
      if !variable.name.isEmpty, byName[variable.name] == nil { byName[variable.name] = uid }
    }
  }

  /// The name of a result: its function's, or the uid.
  func name(_ uid: String) -> String {
    if let name = graph.model.outputNames[uid] { return name }
    if let variable = graph.model.variables[uid], variable.kind != .placeholder { return variable.name.isEmpty ? uid : variable.name }
    guard let function = graph.model.functions.first(where: { uid == $0.result(0) }), !function.name.isEmpty else { return uid }
    return function.name
  }

  func uid(_ name: String) throws -> String {
    if let uid = byName[name] { return uid }
    throw KilnError(
      .usage, "the model has no value \(KilnError.quoted(name))",
      hint: Nearest.name(to: name, among: byName.keys.sorted()).map { "did you mean \(KilnError.quoted($0))?" })
  }
}

/// The inputs of a model. Sequences come with their lengths as an input of their own.
final class CNTKInputs {
  private let graph: CNTKGraph
  private let options: ImportOptions
  private let builder: ImportBuilder
  /// The length of the batch axis.
  let batch: Dim
  private(set) var ids: [ValueID] = []
  private(set) var metadata: [String: String] = [:]
  private let variables: [CNTKVariable]

  init(_ graph: CNTKGraph, _ options: ImportOptions, _ builder: ImportBuilder) {
    self.graph = graph
    self.options = options
    self.builder = builder
    variables = graph.model.order.compactMap { graph.model.variables[$0] }.filter { $0.kind == .input }
    let given = variables.lazy.compactMap { variable -> Int? in
      guard let shape = options.inputShapes[variable.name] ?? options.inputShapes[variable.uid] ?? options.inputShapes[""] else { return nil }
      return variable.axes.contains { $0.isBatch } ? shape.first ?? nil : nil
    }.first
    batch = given.map { Dim($0) } ?? .symbol("batch")
  }

  /// The name of the input that has the lengths of an input's sequences, in a graph's metadata.
  static func lengthsKey(_ name: String) -> String { "lengths of \(name)" }

  func bind(_ converter: CNTKConverter) throws {
    var sequences: [String: (CNTKSequence, Dim)] = [:]
    var unused = Set(options.inputShapes.keys)
    var lengths: [ValueID] = []
    for variable in variables {
      let name = builder.free(variable.name.isEmpty ? variable.uid : variable.name)
      guard let dtype = CNTKArray.dtype(variable.typeNumber) else {
        throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(name)) has the type \(CNTKArray.typeName(variable.typeNumber)), which is not supported")
      }
      let given = options.inputShapes[variable.name] ?? options.inputShapes[variable.uid] ?? (variables.count == 1 ? options.inputShapes[""] : nil)
      unused.subtract([variable.name, variable.uid, ""])
      let ordered = variable.axes.filter(\.isSequence)
      guard ordered.count <= 1, variable.axes.allSatisfy({ $0.index == CNTKAxis.dynamic }) else {
        throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(name)) has the dynamic axes \(variable.axes.map(\.name)), which is not supported")
      }
      let hasBatch = variable.axes.contains(where: \.isBatch)
      guard hasBatch || ordered.isEmpty else { throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(name)) is a sequence without a batch, which is not supported") }
      let count = (hasBatch ? 1 : 0) + ordered.count
      if let given, given.count != count + variable.shape.dims.count || given.contains(where: { ($0 ?? 0) < 0 }) {
        throw KilnError(.usage, "input \(KilnError.quoted(name)) has \(count + variable.shape.dims.count) axes, the given shape \(given.count)")
      }
      var dims: [Dim] = hasBatch ? [batch] : []
      if let axis = ordered.first {
        let dim = sequences[axis.name]?.1 ?? given?[count - 1].map { Dim($0) } ?? .symbol(sequences.isEmpty ? "time" : "time_\(sequences.count + 1)")
        dims.append(dim)
      }
      for (index, length) in variable.shape.rowMajor.enumerated() {
        let wanted = given?[count + index]
        if length >= 0 {
          if let wanted, wanted != length {
            throw KilnError(.usage, "input \(KilnError.quoted(name)): axis \(count + index) is \(length) in the model and \(wanted) in the given shape")
          }
          dims.append(Dim(length))
        } else {
          dims.append(wanted.map { Dim($0) } ?? .symbol("\(name)_\(count + index)"))
        }
      }
      guard dims.count <= maximumRank else {
        throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(name)) has \(dims.count) axes; at most \(maximumRank) are supported")
      }
      let id = try builder.graph.addInput(name, TensorType(dtype, dims))
      ids.append(id)
      var sequence: CNTKSequence?
      if let axis = ordered.first {
        if let known = sequences[axis.name] {
          sequence = known.0
        } else {
          let title = builder.free("\(name)_lengths")
          let input = try builder.graph.addInput(title, TensorType(.int32, [batch]))
          lengths.append(input)
          let made = CNTKSequence(axis.name, time: dims[1], lengths: .value(input, builder, name: title))
          sequences[axis.name] = (made, dims[1])
          sequence = made
        }
        if let known = sequence { metadata[CNTKInputs.lengthsKey(name)] = known.lengths.name }
      }
      converter.values[.variable(variable.uid)] = CNTKValue(
        value: .value(id, builder, name: name), axes: CNTKAxes(hasBatch: hasBatch, sequence: sequence))
    }
    ids += lengths
    if let name = unused.sorted().first, !name.isEmpty {
      throw KilnError(
        .usage, "the model has no input \(KilnError.quoted(name))",
        hint: "its inputs are " + variables.map { KilnError.quoted($0.name.isEmpty ? $0.uid : $0.name) }.joined(separator: ", "))
    }
  }
}

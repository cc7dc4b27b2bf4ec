import GraphModule
import TensorModule

/// What a converted graph takes and gives: as the caller asked, as a signature says, or as the nodes tell.
final class TFEndpoints {
  struct Output {
    var name: String
    var reference: TFReference
    var frame: TFFrame
    /// Found, not asked for: one that is constant is left out.
    var isGuess: Bool
  }

  private let model: TFModel
  private let options: ImportOptions
  private let converter: TFConverter
  private(set) var outputs: [Output] = []
  /// Inputs in the order of the file or the signature.
  private var inputs: [(name: String, value: TFValue)] = []
  private var wantedInputs: [String] = []
  /// Inputs that say whether the model is being trained, which are taken to be false.
  private var flags: [(value: TFValue, input: ValueID)] = []

  /// What inputs call the lengths of their axes.
  private let symbols: TFInputSymbols

  init(_ model: TFModel, _ options: ImportOptions, _ converter: TFConverter, _ symbols: TFInputSymbols) throws {
    self.symbols = symbols
    self.model = model
    self.options = options
    self.converter = converter
    if !options.outputs.isEmpty {
      outputs = try options.outputs.map { name in
        if let endpoint = model.outputs?.first(where: { $0.name == name }) {
          return Output(name: name, reference: endpoint.tensor, frame: converter.root, isGuess: false)
        }
        let (frame, reference) = try TFTensorNames.find(name, in: converter)
        return Output(name: TFTensorNames.plain(name), reference: reference, frame: frame, isGuess: false)
      }
    } else if let declared = model.outputs {
      outputs = declared.map { Output(name: $0.name, reference: $0.tensor, frame: converter.root, isGuess: false) }
    } else {
      outputs = unconsumed()
    }
    guard !outputs.isEmpty else { throw KilnError(.badInput, "no node makes an output", hint: "name them with --outputs") }
    var seen: Set<String> = []
    outputs = outputs.filter { seen.insert($0.name).inserted }
  }

  private static let noOutputs: Set<String> = [
    "NoOp", "Assert", "Const", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "SaveV2", "Save", "SaveSlices", "RestoreV2", "VarHandleOp", "VariableV2",
    "Assign", "AssignVariableOp", "AssignAdd", "AssignSub", "AssignAddVariableOp", "ScalarSummary", "HistogramSummary", "MergeSummary", "ImageSummary",
    "ShardedFilename", "MergeV2Checkpoints", "VarIsInitializedOp", "ReadVariableOp", "HashTableV2", "HashTable", "LookupTableImportV2",
    "LookupTableImport", "InitializeTableFromTextFileV2", "InitializeTableV2", "InitializeTable", "Print", "PrintV2", "Exit", "Enter", "NextIteration", "LoopCond",
    "TensorArrayCloseV3",
  ]

  /// Whether a node computes gradients or applies them.
  private static func isTraining(_ node: TFNode) -> Bool {
    node.name.hasPrefix("gradients/") || node.name.contains("/gradients/")
      || ["Apply", "ResourceApply", "SparseApply", "ResourceSparseApply"].contains { node.op.hasPrefix($0) }
  }

  /// Whether a node is of training, of saving or of the records that go with them.
  private static func isAside(_ node: TFNode) -> Bool {
    isTraining(node) || node.op.contains("Summary")
      || ["Save", "Queue", "Assign", "ScatterUpdate", "ScatterAdd", "ScatterSub", "ResourceScatter"].contains { node.op.hasPrefix($0) }
  }

  /// The nodes that no other reads; one that only training reads counts.
  private func unconsumed() -> [Output] {
    var read: Set<String> = []
    for node in model.graph.nodes where !TFEndpoints.isTraining(node) { for input in node.inputs { read.insert(input.node) } }
    let inside = insideLoops()
    return model.graph.nodes.compactMap { node in
      guard !read.contains(node.name), !inside.contains(node.name), !TFEndpoints.noOutputs.contains(node.op), !TFEndpoints.isAside(node) else { return nil }
      return Output(name: node.name, reference: TFReference(node: node.name, index: 0), frame: converter.root, isGuess: true)
    }
  }

  /// The nodes between the `Enter` and the `Exit` nodes of loops: their values differ from iteration to iteration.
  private func insideLoops() -> Set<String> {
    var inside = Set(model.graph.nodes.filter { $0.op == "Enter" || $0.op == "RefEnter" }.map(\.name))
    if inside.isEmpty { return [] }
    var readers: [String: [Int]] = [:]
    for (index, node) in model.graph.nodes.enumerated() { for input in node.inputs { readers[input.node, default: []].append(index) } }
    var waiting = Array(inside)
    while let name = waiting.popLast() {
      for index in readers[name] ?? [] {
        let node = model.graph.nodes[index]
        if node.op != "Exit", node.op != "RefExit", inside.insert(node.name).inserted { waiting.append(node.name) }
      }
    }
    return inside
  }

  // MARK: Inputs

  /// Gives placeholders their values: inputs, or false for flags of training.
  func addInputs() throws {
    wantedInputs = options.inputs
    var unused = Set(options.inputShapes.keys.map { TFEndpoints.plain($0) })
    let root = converter.root
    var endpoints: [(name: String, frame: TFFrame, reference: TFReference, shape: TFShape?, type: TFDataType?)] = []
    if let declared = model.inputs { endpoints = declared.map { ($0.name, root, $0.tensor, $0.shape, $0.type) } }
    let taken = Set(endpoints.map(\.reference.node))
    for node in model.graph.nodes where ["Placeholder", "PlaceholderV2"].contains(node.op) && !taken.contains(node.name) {
      endpoints.append((node.name, root, TFReference(node: node.name, index: 0), nil, nil))
    }
    var asked: Set<String> = []
    for wanted in options.inputs {
      if model.inputs?.contains(where: { $0.name == wanted }) == true {
        asked.insert(wanted)
        continue
      }
      let (frame, reference) = try TFTensorNames.find(wanted, in: converter)
      if let known = endpoints.first(where: { $0.frame === frame && $0.reference == reference }) {
        asked.insert(known.name)
        wantedInputs = wantedInputs.map { $0 == wanted ? known.name : $0 }
        continue
      }
      let name = TFTensorNames.plain(wanted)
      let inferred = TFTensorNames.type(wanted, model, options)
      let shape = inferred.map { TFShape(dims: $0.dims.map(\.fixed)) }
      endpoints.append((name, frame, reference, shape, inferred.flatMap { TFDataType($0.dtype) }))
      asked.insert(name)
      wantedInputs = wantedInputs.map { $0 == wanted ? name : $0 }
    }
    for (name, frame, reference, shape, type) in endpoints {
      guard let position = frame.node(named: reference.node) else {
        // What was asked for has been found above; the rest is named by the file.
        throw KilnError(.badInput, "the input \(KilnError.quoted(name)) of its signature is of node \(KilnError.quoted(reference.node)), which the graph does not have")
      }
      let node = frame.nodes[position]
      let output = TFOutput(key: TFKey(frame: frame.id, node: position), index: reference.index)
      let given = options.inputShapes.first { TFEndpoints.plain($0.key) == name || $0.key == reference.description }?.value
        ?? (endpoints.count == 1 ? options.inputShapes[""] : nil)
      unused.remove(name)
      unused.remove("")
      let isAsked = asked.contains(name)
      if !isAsked, let value = try TFEndpoints.training(node, converter.builder) {
        converter.bound[output] = value
        continue
      }
      if !isAsked, model.inputs == nil, try isTrainingFlag(node) {
        converter.bound[output] = .constant(try Tensor([false], shape: []), converter.builder, name: name)
        if let value = converter.bound[output] {
          let id = try converter.builder.graph.addInput(name, TensorType(.bool, []))
          flags.append((value, id))
          inputs.append((name, value))
        }
        continue
      }
      var declared: TFShape? = shape
      if case .shape(let own)? = node.attributes["shape"], node.op == "Placeholder" { declared = declared ?? own }
      guard let dataType = type ?? TFEndpoints.type(node, reference.index), let dtype = dataType.dtype else {
        if isAsked, node.op != "Placeholder" {
          throw KilnError(.unsupportedModel, "the dtype of \(KilnError.quoted(name)) (op '\(KilnError.escaped(node.op))') is not known, so it cannot be an input")
        }
        continue
      }
      // A shape () of old files is an unknown one.
      if case .list(let shapes)? = node.attributes["_output_shapes"], shapes.indices.contains(reference.index), case .shape(let own) = shapes[reference.index],
        declared?.dims == nil
      { declared = own }
      if node.op == "Placeholder" || given != nil || isAsked {
        guard let dims = try dims(declared?.dims ?? nil, given, name) else {
          pending[output] = name
          continue
        }
        let id = try converter.builder.graph.addInput(name, TensorType(dtype, dims))
        let value = TFValue.value(id, converter.builder, name: name)
        converter.bound[output] = value
        inputs.append((name, value))
      }
    }
    if let name = unused.sorted().first, !name.isEmpty {
      throw KilnError(
        .usage, "the model has no input \(KilnError.quoted(name))",
        hint: "its inputs are " + inputs.map { KilnError.quoted($0.name) }.joined(separator: ", "))
    }
    converter.shapeless = Dictionary(uniqueKeysWithValues: pending.map { ($0.key, $0.value) })
  }

  private var pending: [TFOutput: String] = [:]

  private static func plain(_ name: String) -> String { name.hasSuffix(":0") ? String(name.dropLast(2)) : name }

  private static func type(_ node: TFNode, _ index: Int) -> TFDataType? {
    for key in ["DstT", "output_type", "out_type", "dtype", "Tparams"] { if case .type(let type)? = node.attributes[key] { return type } }
    if ["Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "IsNan", "IsInf", "IsFinite"].contains(node.op) { return TFDataType(10) }
    if index == 0, case .type(let type)? = node.attributes["T"] { return type }
    return nil
  }

  /// False, or 1, for a placeholder that says whether the model is being trained.
  private static func training(_ node: TFNode, _ builder: TFBuilder) throws -> TFValue? {
    guard case .type(let type)? = node.attributes["dtype"] else { return nil }
    if case .shape(let shape)? = node.attributes["shape"], let dims = shape.dims, !dims.isEmpty { return nil }
    let name = (node.name.split(separator: "/").last.map(String.init) ?? node.name).lowercased()
    if type.number == 10, name.contains("train") || name.contains("learning_phase") || name == "phase" {
      return .constant(try Tensor([false], shape: []), builder, name: node.name)
    }
    if type.number == 1 || type.number == 2, name.contains("keep_prob") {
      return .constant(try Tensor(converting: [1], to: type.number == 1 ? .float32 : .float64, shape: []), builder, name: node.name)
    }
    return nil
  }

  /// Whether a scalar decides about dropout or the statistics of batches: nodes that only training has run where it is true.
  private func isTrainingFlag(_ node: TFNode) throws -> Bool {
    guard case .type(let type)? = node.attributes["dtype"], type.number == 10 else { return false }
    if case .shape(let shape)? = node.attributes["shape"], let dims = shape.dims, !dims.isEmpty { return false }
    let frame = converter.root
    for (index, other) in frame.nodes.enumerated() {
      let isTraining: Bool
      switch other.op {
      case "RandomUniform": isTraining = true
      case "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3":
        if case .bool(false)? = other.attributes["is_training"] { isTraining = false } else { isTraining = true }
      default: isTraining = false
      }
      if isTraining, try converter.conditions.sides(frame, index, frame.id)["\(node.name):0"] == 1 { return true }
    }
    return false
  }

  /// The declared shape with what the caller gave; nil when the rank is unknown.
  private func dims(_ declared: [Int?]?, _ given: [Int?]?, _ name: String) throws -> [Dim]? {
    guard let declared else { return given.map { symbols.dims($0, name) } }
    guard let given else { return symbols.dims(declared, name) }
    guard given.count == declared.count, given.allSatisfy({ ($0 ?? 0) >= 0 }) else {
      throw KilnError(.usage, "input \(KilnError.quoted(name)) has \(declared.count) axes, the given shape \(given.count)")
    }
    let merged = try zip(declared, given).enumerated().map { axis, pair -> Int? in
      if let fixed = pair.0, let wanted = pair.1, fixed != wanted {
        throw KilnError(.usage, "input \(KilnError.quoted(name)): axis \(axis) is \(fixed) in the model and \(wanted) in the given shape")
      }
      return pair.0 ?? pair.1
    }
    return symbols.dims(merged, name)
  }

  // MARK: Results

  /// The graph's outputs; constants that nobody asked for are left out when others remain.
  func graphOutputs(_ values: [TFValue?]) throws -> [Graph.Output] {
    var found: [(Output, TFValue)] = []
    for (output, value) in zip(outputs, values) {
      guard let value else { throw KilnError(.internal, "an output is missing") }
      guard case .tensor = value.kind else {
        if output.isGuess { continue }
        if value.parts != nil {
          throw KilnError(
            .unsupportedModel, "the output \(KilnError.quoted(output.name)) holds complex numbers, which is not supported",
            hint: "ask for its real and imaginary parts with --outputs")
        }
        throw KilnError(.badInput, "\(KilnError.quoted(output.name)) is a resource, not a tensor")
      }
      found.append((output, value))
    }
    // What follows from constants and the inputs' shapes alone is left over from building the graph.
    let computed = found.filter { !$0.0.isGuess || ($0.1.evaluated == nil && $0.1.known == nil) }
    return try (computed.isEmpty ? found : computed).map { output, value in
      Graph.Output(name: output.name, value: try guarded(try converter.builder.id(value), output.name))
    }
  }

  /// NaN where a flag of training is true after all: what is computed then is not in the graph.
  private func guarded(_ id: ValueID, _ name: String) throws -> ValueID {
    var result = id
    let builder = converter.builder
    for (value, input) in flags where converter.read.contains(ObjectIdentifier(value)) && builder.graph.type(of: id).dtype.isFloat {
      let nan = try builder.scalar(.nan, builder.graph.type(of: id).dtype)
      result = try builder.graph.addOne(Elementwise(.select), [input, nan, result], name: "\(name)/inference")
    }
    return result
  }

  /// The inputs that the outputs need, in order; those that a signature or the caller names all stay.
  func graphInputs() throws -> [ValueID] {
    let declared = Set(wantedInputs.isEmpty ? model.inputs?.map(\.name) ?? [] : [])
    let order = Dictionary(wantedInputs.enumerated().map { ($1, $0) }) { first, _ in first }
    let sorted = inputs.enumerated().sorted { (order[$0.element.name] ?? Int.max, $0.offset) < (order[$1.element.name] ?? Int.max, $1.offset) }
    return try sorted.map(\.element).compactMap { name, value in
      let isAsked = declared.contains(name) || wantedInputs.contains(name)
      guard isAsked || converter.read.contains(ObjectIdentifier(value)) else { return nil }
      return try flags.first { $0.value === value }?.input ?? value.materialised()
    }
  }
}

import GraphModule
import TensorModule

/// Brings models of Keras 1 and 2 to the terms of Keras 3.
///
/// Each layer becomes a chain of layers: the one that has its name and weights, and before or after it what Keras 3 lacks or
/// computes otherwise. What no chain expresses is a problem; all of them are collected.
final class KerasUpgrade {
  let dialect: KerasDialect
  private(set) var problems: [String] = []
  private(set) var notes: [String] = []
  /// Reads configurations of Keras 3, for the order of variables.
  private let reader: KerasModelReader
  private let dialect3 = KerasDialect(versionText: KerasWriter.version3)
  /// Whether image layers are turned to channels-last: those that TensorFlow cannot compute on a CPU otherwise, and their
  /// neighbours.
  private(set) var turnsImages = false

  private let builder: KerasGraphBuilder

  private init(_ dialect: KerasDialect, _ builder: KerasGraphBuilder) {
    self.dialect = dialect
    self.builder = builder
    reader = KerasModelReader(dialect: dialect3, diagnostics: ImportDiagnostics())
  }

  /// - Throws: `KilnError` when an array cannot be read.
  static func document(_ model: KerasModel, _ builder: KerasGraphBuilder) throws -> KerasDocument {
    let upgrade = KerasUpgrade(builder.dialect, builder)
    upgrade.turnsImages = model.layers.flatMap(\.flattened).contains {
      KerasUpgrade.channelsLastOnly.contains(ConfigRewrite.currentClassName($0.className)) && KerasUpgrade.isChannelsFirst($0)
    }
    let written = upgrade.model(model, name: model.name)
    var document = KerasDocument(model: written.json())
    document.problems = upgrade.problems
    document.notes = upgrade.notes
    if document.problems.isEmpty { try document.add(written) }
    document.order2 = written.order2
    return document
  }

  /// Layers that TensorFlow computes channels-first on a GPU only, in one of Keras 2 and 3, or whose bias Keras 3 adds along another axis.
  private static let channelsLastOnly: Set = [
    "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv1D",
    "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
  ]

  static func isChannelsFirst(_ layer: KerasLayer) -> Bool {
    layer.config.object["data_format"]?.stringValue == DataFormat.channelsFirst.rawValue
  }

  func problem(_ layer: KerasLayer, _ text: String) {
    let line = "layer \(KilnError.quoted(layer.path)) (\(KilnError.escaped(layer.className))): \(text)"
    if !problems.contains(line) { problems.append(line) }
  }

  func note(_ layer: KerasLayer, _ text: String) {
    let line = "layer \(KilnError.quoted(layer.path)): \(text)"
    if !notes.contains(line) { notes.append(line) }
  }

  // MARK: Models

  func model(_ model: KerasModel, name: String) -> WrittenModel {
    var layers: [WrittenLayer] = []
    var last: [String: String] = [:]
    var chains: [(source: KerasLayer, chain: [WrittenLayer])] = []
    var names = Set(model.layers.map(\.name))
    for layer in model.layers {
      let chain = chain(layer)
      // Keras 3 takes no slashes in names.
      for part in chain where part.name.contains("/") {
        var name = String(part.name.map { $0 == "/" ? "_" : $0 })
        while !names.insert(name).inserted { name += "_" }
        part.name = name
        part.config["name"] = .string(name)
        note(layer, "is called \(KilnError.quoted(name)) in the new file")
      }
      chains.append((layer, chain))
      last[layer.name] = chain.last?.name ?? layer.name
    }
    func moved(_ reference: KerasReference) -> KerasReference {
      KerasReference(layer: last[reference.layer] ?? reference.layer, call: reference.call, result: reference.result)
    }
    for (source, chain) in chains {
      for (position, part) in chain.enumerated() {
        part.calls = source.calls.indices.map { index in
          guard position == 0 else {
            return KerasCall(arguments: [.leaf(KerasReference(layer: chain[position - 1].name, call: index, result: 0))], keywords: [])
          }
          let call = source.calls[index]
          return arguments(
            KerasCall(
              arguments: call.arguments.map { $0.map(moved) },
              keywords: call.keywords.filter { !$0.value.isNull }.map { ($0.key, $0.value.map(moved)) }), source)
        }
        if position == chain.count - 1 { part.results = source.reader is InputReader ? [inputTypes(source)] : source.resultTypes }
        layers.append(part)
      }
    }
    layers += explicitMasks(chains.map { ($0.source, $0.chain) }, &names)
    var written = WrittenModel(
      name: name, layers: layers, inputs: model.inputs.map(moved), outputs: model.outputs.map(moved),
      isSequential: model.className == "Sequential")
    if turnsImages { AxisOrder.settle(&written) }
    if !(written.isSequential && written.isChain) {
      let order2 = LayerOrder.sorted(written, countsMasks: false)
      written.layers = LayerOrder.sorted(written)
      // What has no weights may stand anywhere.
      func weighted(_ layers: [WrittenLayer]) -> [String] {
        layers.filter { !$0.allSlots.trainable.isEmpty || !$0.allSlots.other.isEmpty }.map(\.name)
      }
      if weighted(order2) != weighted(written.layers) { written.order2 = order2.map(\.name) }
    }
    return written
  }

  /// Keras 3 gives a recurrent layer the mask of its sequence only where it is called with nothing else: beside initial states the
  /// mask must be an argument.
  private func explicitMasks(_ chains: [(source: KerasLayer, chain: [WrittenLayer])], _ names: inout Set<String>) -> [WrittenLayer] {
    var added: [WrittenLayer] = []
    let byName = Dictionary(chains.flatMap { item in item.chain.map { ($0.name, (source: item.source, layer: $0)) } }, uniquingKeysWith: { first, _ in first })
    for (source, chain) in chains where source.isMasked {
      guard source.reader is any SequenceLayer || source.reader is Bidirectional, let made = chain.first else { continue }
      made.calls = made.calls.map { call in
        guard call.keywords.contains(where: { $0.key == "initial_state" }), !call.keywords.contains(where: { $0.key == "mask" }),
          case .leaf(var reference)? = call.arguments.first
        else { return call }
        // Back over layers that hand masks on to the one that made it.
        for _ in chains {
          guard let above = byName[reference.layer], KerasUpgrade.passesMask(above.source.reader), let input = above.layer.calls.first?.references.first else { break }
          reference = input
        }
        if byName[reference.layer]?.source.reader is InputReader { return call }
        guard let maker = byName[reference.layer], let reader = maker.source.reader as? Embedding, maker.layer.calls.indices.contains(reference.call),
          let input = maker.layer.calls[reference.call].references.first
        else {
          problem(source, "the mask of its sequence beside initial states is not written for Keras 3")
          return call
        }
        guard reader.masksZero else { return call }
        var name = "\(source.name)_mask"
        while !names.insert(name).inserted { name += "_" }
        let mask = WrittenLayer("NotEqual", name, JSONObject([("name", .string(name))]), module: "keras.src.ops.numpy")
        mask.registeredName = "NotEqual"
        mask.calls = [KerasCall(arguments: [.leaf(input), .constant(.int(0))], keywords: [])]
        added.append(mask)
        var call = call
        call.keywords.append(("mask", .leaf(KerasReference(layer: name, call: 0, result: 0))))
        return call
      }
    }
    return added
  }

  private static func passesMask(_ reader: any KerasLayerReader) -> Bool {
    if let sequence = reader as? any SequenceLayer { return sequence.returnsSequences }
    return reader.masking == .passes
  }

  private func inputTypes(_ layer: KerasLayer) -> [TensorType] {
    guard let input = layer.reader as? InputReader, let shape = input.shape else { return [] }
    return [TensorType(input.dtype, shape.enumerated().map { $1.map { Dim($0) } ?? .symbol("\(layer.name)_\($0)") })]
  }

  /// A call as Keras 3 takes it: the states of a recurrent layer are an argument of their own.
  private func arguments(_ call: KerasCall, _ layer: KerasLayer) -> KerasCall {
    if let node = layer.reader as? FunctionNode { return functionCall(call, node) }
    var call = call
    let isRecurrent = layer.reader is any SequenceLayer || layer.reader is Bidirectional || layer.reader is ConvLSTMLayer
    if isRecurrent, case .list(let items)? = call.arguments.first, items.count > 1, call.arguments.count == 1 {
      call.arguments = [items[0]]
      if !call.keywords.contains(where: { $0.key == "initial_state" }) {
        call.keywords.append(("initial_state", .list(Array(items.dropFirst()))))
      }
    }
    if isRecurrent, let constants = call.keywords.firstIndex(where: { $0.key == "constants" }) { call.keywords.remove(at: constants) }
    // A list of one tensor is the tensor.
    if call.arguments.count == 1, case .list(let items)? = call.arguments.first, items.count == 1, !(layer.reader is Merge) {
      call.arguments = items
    }
    return call
  }

  // MARK: Layers

  /// A layer and what goes before and after it, in the order of the computation.
  private func chain(_ layer: KerasLayer) -> [WrittenLayer] {
    if let input = layer.reader as? InputReader { return [inputLayer(layer, input)] }
    if let nested = layer.reader as? NestedModel {
      let made = WrittenLayer("Functional", layer.name, module: "keras.src.models.functional")
      let inner = model(nested.model, name: layer.name)
      if !inner.order2.isEmpty { problem(layer, "masks order the layers inside it otherwise in Keras 3") }
      made.nested = inner
      made.className = inner.isSequential && inner.isChain ? "Sequential" : "Functional"
      made.isTrainable = layer.isTrainable
      return [made]
    }
    checkMasks(layer)
    let parts = self.parts(layer)
    checkRule(layer, parts.main)
    return parts.chain
  }

  private func inputLayer(_ layer: KerasLayer, _ input: InputReader) -> WrittenLayer {
    let shape = input.shape ?? layer.resultTypes.first?.first?.dims.map(\.fixed)
    if shape == nil { problem(layer, "the file does not say its shape") }
    return WrittenLayer(
      "InputLayer", layer.name,
      JSONObject([
        ("batch_shape", .array((shape ?? []).map { $0.map { .int($0) } ?? .null })), ("dtype", .string(input.dtype.name)), ("sparse", .bool(false)),
        ("name", .string(layer.name)),
      ]))
  }

  /// One layer inside a wrapper: a chain there is a model of its own.
  func inner(_ layer: KerasLayer) -> WrittenLayer {
    let chain = chain(layer)
    guard chain.count != 1, let last = chain.last else { return chain.first ?? WrittenLayer("Identity", layer.name) }
    let shape = layer.inputTypes.first?.dims.map(\.fixed)
    guard let shape, layer.inputTypes.count == 1 else {
      problem(layer, "its input's shape is not known, as what stands for it would need")
      return last
    }
    let input = WrittenLayer(
      "InputLayer", "\(layer.name)_input",
      JSONObject([
        ("batch_shape", .array([.null] + shape.dropFirst().map { $0.map { .int($0) } ?? .null })),
        ("dtype", .string(layer.inputTypes.first?.dtype.name ?? "float32")), ("sparse", .bool(false)), ("name", .string("\(layer.name)_input")),
      ]))
    for (position, part) in chain.enumerated() {
      part.calls = [
        KerasCall(arguments: [.leaf(KerasReference(layer: position == 0 ? input.name : chain[position - 1].name, call: 0, result: 0))], keywords: [])
      ]
    }
    let made = WrittenLayer("Sequential", layer.name, module: "keras")
    // Names are told apart by the model around them; the main layer keeps its own.
    made.nested = WrittenModel(
      name: layer.name, layers: [input] + chain, inputs: .leaf(KerasReference(layer: input.name, call: 0, result: 0)),
      outputs: .leaf(KerasReference(layer: last.name, call: 0, result: 0)), isSequential: true)
    made.isTrainable = layer.isTrainable
    return made
  }

  /// A layer of a class that Keras 3 has, with its options in their present form and its own weights.
  func plain(_ layer: KerasLayer, _ className: String? = nil, changing: (inout JSONObject) -> Void = { _ in }) -> WrittenLayer {
    let className = className ?? ConfigRewrite.currentClassName(layer.className)
    var values = layer.config.object
    changing(&values)
    let made = WrittenLayer(className, layer.name)
    made.config = ConfigUpgrade.config(values, className, layer, self)
    made.isTrainable = layer.isTrainable
    made.stored = layer.stored
    setWeights(made)
    return made
  }

  /// Takes from Keras 3's own meaning of a layer which weights it has, and where they are.
  func setWeights(_ layer: WrittenLayer) {
    let made = meaning(layer)
    layer.slots = made.weights
    layer.objects = made.objects
  }

  /// What a layer means in Keras 3.
  private func meaning(_ layer: WrittenLayer) -> any KerasLayerReader {
    let values = ConfigRewrite.normalised(layer.config, className: layer.className, dialect: dialect3)
    let config = LayerConfig(
      className: layer.className, path: layer.name, values: values, dialect: dialect3, diagnostics: ImportDiagnostics())
    return LayerCatalog.reader(layer.className, config, reader)
  }

  /// A weight as it went into the graph.
  func built(_ layer: KerasLayer, _ slot: String) -> StoredWeight? {
    guard let id = layer.constants[slot], let tensor = builder.graph.constants[id] else { return nil }
    return StoredWeight(path: "\(layer.path)/\(slot)", dtype: tensor.dtype, shape: tensor.shape) { tensor }
  }

  // MARK: Masks

  /// Where masks meet otherwise in Keras 3, results would differ in silence.
  private func checkMasks(_ layer: KerasLayer) {
    guard layer.isMasked else { return }
    let className = ConfigRewrite.currentClassName(layer.className)
    switch className {
    case "Multiply", "Maximum", "Minimum", "Concatenate", "Add", "Subtract", "Average", "Merge":
      problem(layer, "masks of several inputs meet in another way in Keras 3")
    case "MultiHeadAttention" where dialect.isBefore(2, 10): problem(layer, "takes no masks before Keras 2.10, and does in Keras 3")
    case "Highway", "MaxoutDense", "SReLU", "ParametricSoftplus", "LocallyConnected1D", "LocallyConnected2D":
      problem(layer, "what stands for it in Keras 3 treats masks otherwise")
    case "TimeDistributed":
      // Keras 2 has the mask of the layer inside, Keras 3 the one outside.
      if layer.reader.children.first?.reader is Embedding || layer.reader.children.first?.reader is Masking { problem(layer, "passes another mask in Keras 3") }
    default: break
    }
  }

  /// Whether a mask goes on behind a layer must be the same in both.
  private func checkRule(_ layer: KerasLayer, _ made: WrittenLayer) {
    guard layer.isMasked, made.nested == nil, !made.isOperation, KerasArguments.layer(made.className, keras3: true) != nil else { return }
    switch (layer.reader.masking, meaning(made).masking) {
    case (.passes, .drops), (.drops, .passes): problem(layer, "a mask that reaches it \(layer.reader.masking == .passes ? "goes on" : "ends") there, and does not in Keras 3")
    default: break
    }
  }
}

import TensorModule

/// Turns a model configuration into layers with their meaning. Problems are collected; only a configuration that is no
/// model at all makes it throw.
final class KerasModelReader {
  let dialect: KerasDialect
  let diagnostics: ImportDiagnostics
  let replacements: LayerReplacements?
  /// The names of the outer model's groups of weights, in order: before Keras 2.2.3 a Sequential inside a Sequential has its name there alone.
  var groupNames: [String] = []
  private var depth = 0
  private var layerCount = 0

  /// How deep models and wrappers may be nested.
  static let maximumDepth = 32
  /// How many layers a model may have, nested ones included.
  static let maximumLayers = 1 << 20

  init(dialect: KerasDialect, diagnostics: ImportDiagnostics, replacements: LayerReplacements? = nil) {
    self.replacements = replacements
    self.dialect = dialect
    self.diagnostics = diagnostics
  }

  /// Reads a model: `{"class_name": "Functional" | "Model" | "Sequential", "config": …}`.
  ///
  /// - Parameter path: where it is in the outer model; empty at the top.
  /// - Throws: `KilnError` (`badInput` or `unsupportedModel`).
  func model(_ json: JSON, path: String) throws -> KerasModel {
    guard json.objectValue != nil else {
      throw KilnError(.badInput, "must be an object, found \(json.kind)", at: ["model_config"])
    }
    guard let rawName = json["class_name"]?.stringValue, let config = json["config"] else {
      throw KilnError(.badInput, "has no class_name and config", at: ["model_config"])
    }
    let className = ConfigRewrite.currentClassName(rawName)
    switch className {
    case "Sequential": return try sequential(config, path: path)
    case "Functional": return try functional(config, path: path)
    default:
      throw KilnError(
        .unsupportedModel,
        "the model is of class \(KilnError.quoted(rawName)), a subclass whose meaning is Python code; only Sequential and Functional models are read"
      )
    }
  }

  // MARK: Layers

  /// Reads a layer inside a wrapper, or one used as an activation. Nil when its problem is noted.
  func innerLayer(_ json: JSON, of config: LayerConfig, role: String) -> KerasLayer? {
    do {
      return try layer(json, prefix: config.path, calls: [], fallbackName: role)
    } catch let error as KilnError {
      config.malformed("\(role): \(error.message)")
    } catch {
      config.malformed("\(role): \(error)")
    }
    return nil
  }

  private func layer(_ json: JSON, prefix: String, calls: [KerasCall], fallbackName: String) throws -> KerasLayer {
    guard json.objectValue != nil else {
      throw KilnError(.badInput, "layers: \(fallbackName) must be an object, found \(json.kind)", at: ["model_config"])
    }
    guard let rawName = json["class_name"]?.stringValue, let rawConfig = json["config"] else {
      let name = json["name"]?.stringValue ?? fallbackName
      throw KilnError(.badInput, "layer \(KilnError.quoted(name)) has no class_name and config", at: ["model_config"])
    }
    depth += 1
    defer { depth -= 1 }
    guard depth <= KerasModelReader.maximumDepth else {
      throw KilnError(.badInput, "layers are nested deeper than \(KerasModelReader.maximumDepth) levels")
    }
    layerCount += 1
    guard layerCount <= KerasModelReader.maximumLayers else {
      throw KilnError(.badInput, "the model has more than \(KerasModelReader.maximumLayers) layers")
    }
    let className = ConfigRewrite.currentClassName(rawName)
    // Early Sequential configs are a plain list of layers.
    let values = rawConfig.arrayValue.map { JSONObject([("layers", .array($0))]) } ?? rawConfig.objectValue
    guard let values else {
      throw KilnError(.badInput, "layer \(KilnError.quoted(fallbackName)): its config is \(rawConfig.kind)")
    }
    let name = json["name"]?.stringValue ?? values["name"]?.stringValue ?? fallbackName
    // U+FFFD stands for bytes that are no text.
    guard !name.isEmpty, name.utf8.count <= 1024, !name.utf8.contains(0), !name.unicodeScalars.contains("\u{FFFD}")
    else {
      throw KilnError(
        .badInput, "the layer name \(KilnError.quoted(name)) is empty, no text, or longer than 1,024 bytes",
        at: ["model_config"])
    }
    let path = prefix.isEmpty ? name : "\(prefix)/\(name)"
    let isOperation = isOperation(json, className, values)
    let normalised = isOperation ? values : ConfigRewrite.normalised(values, className: className, dialect: dialect)
    let config = LayerConfig(
      className: rawName, path: path, values: normalised, dialect: dialect, diagnostics: diagnostics)
    let dtype = dtype(normalised, values, config)
    let reader: any KerasLayerReader
    let isOwn = json["registered_name"]?.stringValue.map { $0.contains(">") && !$0.hasPrefix("keras>") } ?? false
    // An Activation looks for the meaning of its function itself.
    if className != "Activation" || isOwn, let expression = replacements?.expression(path: path, name: name) {
      if !isOwn, className != "Lambda", isOperation || className == "Functional" || className == "Sequential" || LayerCatalog.isKnown(className) {
        config.malformed("--replace-layer replaces Lambda layers and layers of unknown classes; this one is read as it is")
      }
      reader = ReplacedLayer(config, expression)
    } else if isOperation {
      reader = FunctionCatalog.operation(rawName, config)
    } else if className == "Functional" || className == "Sequential" {
      reader = NestedModel(try model(json, path: path))
    } else if let found = ApplicationLayers.reader(rawName, module: json["module"]?.stringValue, values, config) {
      reader = found
    } else if isOwn, let registered = json["registered_name"]?.stringValue {
      // A registered name with a package belongs to somebody's own class, whatever its class name is.
      reader = LayerCatalog.unknown(registered, config)
    } else {
      reader = LayerCatalog.reader(className, config, self)
    }
    if !(reader is NestedModel) && !(reader is UnknownLayer) { config.finish() }
    return KerasLayer(
      name: name, className: rawName, path: path, config: config, reader: reader,
      isTrainable: normalised["trainable"]?.boolValue ?? true, dtype: dtype, calls: calls)
  }

  /// Whether this is a `keras.ops` function rather than a layer of the same name. The module decides; the `.h5` form,
  /// which has none, tells them apart by `trainable`, which every layer has.
  private func isOperation(_ json: JSON, _ className: String, _ values: JSONObject) -> Bool {
    guard dialect.isKeras3, className != "InputLayer", className != "Functional", className != "Sequential" else {
      return false
    }
    if let module = json["module"]?.stringValue {
      return module.hasPrefix("keras.src.ops") || module.hasPrefix("keras.ops")
    }
    return values["trainable"] == nil && json["inbound_nodes"] != nil && FunctionCatalog.isKnownOperation(className)
  }

  private func dtype(_ values: JSONObject, _ raw: JSONObject, _ config: LayerConfig) -> DType {
    config.quantization = KerasQuantization.read(raw, config)
    if let map = raw["dtype"]?["config"]?["policy_map"]?.objectValue {
      let parts = map.entries.map { ConfigRewrite.policyName($0.value) }
      if map.entries.contains(where: { KerasQuantization.isQuantized($0.value) }) { config.unsupported("a DTypePolicyMap with quantized policies") }
      if parts.contains("float64"), parts.contains(where: { $0 != "float64" }) || ConfigRewrite.policyName(values["dtype"]) != "float64" {
        config.unsupported("a DTypePolicyMap of float64 and others")
      }
    }
    let name = ConfigRewrite.policyName(values["dtype"])
    if let name, !KerasModelReader.policies.contains(name) {
      config.unsupported(
        "dtype \(KilnError.quoted(name))", nearest: Nearest.name(to: name, among: KerasModelReader.policies.sorted()))
    }
    return name == "float64" ? .float64 : .float32
  }

  private static let policies: Set<String> = [
    "float16", "float32", "float64", "bfloat16", "mixed_float16", "mixed_bfloat16", "int8", "int16", "int32", "int64",
    "uint8", "bool",
    "string", "_infer", "infer",
  ]

  // MARK: Models

  private func checkUnique(_ layers: [KerasLayer], _ path: String) throws {
    var names: Set<String> = []
    for layer in layers where !names.insert(layer.name).inserted {
      throw KilnError(.badInput, "two layers have the name \(KilnError.quoted(layer.path))")
    }
  }

  private func sequential(_ config: JSON, path: String) throws -> KerasModel {
    guard let items = config.arrayValue ?? config["layers"]?.arrayValue else {
      throw KilnError(.badInput, "the Sequential model \(KilnError.quoted(path)) has no list of layers")
    }
    if items.first?["class_name"]?.stringValue == "Merge", !dialect.isKeras3 {
      var merged = KerasModel(className: "Sequential", name: "sequential", layers: [], inputs: .list([]), outputs: .list([]))
      var inputs: [KerasReference] = []
      let output = try branches(items, path, &merged.layers, &inputs)
      try checkUnique(merged.layers, path)
      if dialect.generation == .keras1 { merged.inputNames = KerasModelReader.keras1InputNames(inputs.map(\.layer), merged.layers) }
      merged.inputs = .list(inputs.map { .leaf($0) })
      merged.outputs = .leaf(output)
      return merged
    }
    var layers: [KerasLayer] = []
    let isListed = path.isEmpty && config.arrayValue != nil && groupNames.count == items.count
    for (position, item) in items.enumerated() {
      layers.append(try layer(item, prefix: path, calls: [], fallbackName: isListed ? groupNames[position] : "layer_\(position)"))
    }
    guard let first = layers.first else {
      throw KilnError(.badInput, "the Sequential model \(KilnError.quoted(path)) has no layers")
    }
    if !(first.reader is InputReader) { layers.insert(implicitInput(first, items.first, config, path: path), at: 0) }
    try checkUnique(layers, path)
    for index in layers.indices.dropFirst() {
      let previous = KerasReference(layer: layers[index - 1].name, call: 0, result: 0)
      layers[index].calls = [KerasCall(arguments: [.leaf(previous)], keywords: [])]
    }
    let name = config["name"]?.stringValue ?? "sequential"
    let isNamedByClass = dialect.generation == .keras1 && items.first?["class_name"]?.stringValue != "InputLayer"
    func reference(_ layer: KerasLayer?) -> KerasTree<KerasReference> {
      .leaf(KerasReference(layer: layer?.name ?? "", call: 0, result: 0))
    }
    return KerasModel(
      className: "Sequential", name: name, layers: layers, inputs: reference(layers.first),
      outputs: reference(layers.last),
      inputNames: isNamedByClass ? KerasModelReader.keras1InputNames([layers[0].name], layers) : [:])
  }

  /// Keras 1 names the input that it makes for the first layer of a Sequential model after the layer's class, numbered
  /// in the order in which the layers are made: `dense_input_1`. That of a model in a model is the inner one's.
  private static func keras1InputNames(_ inputs: [String], _ layers: [KerasLayer]) -> [String: String] {
    var numbers: [String: Int] = [:]
    var names: [String: String] = [:]
    for input in inputs {
      let reader = layers.first { layer in layer.calls.contains { $0.references.contains { $0.layer == input } } }
      guard let reader, input == "\(reader.name)_input" else { continue }
      var first = reader
      while let nested = first.reader as? NestedModel, let input = nested.model.layers.first,
        let inner = nested.model.layers.first(where: { layer in layer.calls.contains { $0.references.contains { $0.layer == input.name } } })
      {
        first = inner
      }
      let stem = "\(first.className.lowercased())_input"
      numbers[stem, default: 0] += 1
      names[input] = "\(stem)_\(numbers[stem, default: 1])"
    }
    return names
  }

  /// Keras 1 (and 2 for models of Keras 1) puts whole Sequential models in a Merge that another begins with; their layers, and the names of their
  /// weights, stand beside those of the outer one.
  ///
  /// - Returns: the last layer's result.
  private func branches(
    _ items: [JSON], _ path: String, _ layers: inout [KerasLayer], _ inputs: inout [KerasReference]
  ) throws -> KerasReference {
    depth += 1
    defer { depth -= 1 }
    guard depth <= KerasModelReader.maximumDepth else {
      throw KilnError(.badInput, "layers are nested deeper than \(KerasModelReader.maximumDepth) levels")
    }
    var arguments: KerasTree<KerasReference>?
    if let first = items.first, first["class_name"]?.stringValue == "Merge" {
      let models = first["config"]?["layers"]?.arrayValue ?? []
      arguments = .list(
        try models.map { model in
          guard model["class_name"]?.stringValue == "Sequential",
            let inner = model["config"]?.arrayValue ?? model["config"]?["layers"]?.arrayValue
          else {
            throw KilnError(
              .unsupportedModel, "a Merge of a model that is not Sequential is not supported", at: ["model_config"])
          }
          return .leaf(try branches(inner, path, &layers, &inputs))
        })
    }
    for item in items {
      let made = try layer(item, prefix: path, calls: [], fallbackName: "layer_\(layers.count)")
      if arguments == nil {
        let input = made.reader is InputReader ? made : implicitInput(made, item, .null, path: path)
        let reference = KerasReference(layer: input.name, call: 0, result: 0)
        inputs.append(reference)
        layers.append(input)
        arguments = .leaf(reference)
        if made.reader is InputReader { continue }
      }
      if let arguments { made.calls = [KerasCall(arguments: [arguments], keywords: [])] }
      layers.append(made)
      arguments = .leaf(KerasReference(layer: made.name, call: 0, result: 0))
    }
    guard let last = layers.last else { throw KilnError(.badInput, "a Sequential model has no layers") }
    return KerasReference(layer: last.name, call: 0, result: 0)
  }

  /// The input that a Sequential model without an InputLayer has: the first layer says its shape, or the shape with
  /// which the model was built.
  private func implicitInput(_ first: KerasLayer, _ item: JSON?, _ model: JSON, path: String) -> KerasLayer {
    let name = "\(first.name)_input"
    var input: InputReader
    if let nested = first.reader as? NestedModel, let inner = nested.inputReaders.first {
      input = inner
    } else {
      let own = item?["config"]?["batch_input_shape"] ?? item?["config"]?["batch_shape"]
      let shape = own ?? model["build_input_shape"] ?? item?["build_config"]?["input_shape"]
      // Keras 1 writes the dtype of the input apart from the layer's.
      let declared = item?["config"]?["input_dtype"]?.stringValue.flatMap { DType(name: $0) }
      input = InputReader(
        shape: shape.flatMap(InputReader.dims), dtype: own == nil ? .float32 : declared ?? first.dtype)
    }
    let config = LayerConfig(
      className: "InputLayer", path: path.isEmpty ? name : "\(path)/\(name)", values: JSONObject(), dialect: dialect,
      diagnostics: diagnostics)
    return KerasLayer(
      name: name, className: "InputLayer", path: config.path, config: config, reader: input, isTrainable: true,
      dtype: .float32,
      calls: [])
  }

  /// Before Keras 3 a layer that hands on its input itself (a linear activation) takes over the input's history, and the
  /// file then names that layer as the model's input.
  private static func followInputs(_ model: inout KerasModel) {
    let layers = model.layers
    var names: [String: String] = [:]
    model.inputs = model.inputs.map { reference in
      var found = reference
      for _ in layers {
        guard let layer = layers.first(where: { $0.name == found.layer }), !(layer.reader is InputReader),
          layer.calls.count == 1, let call = layer.calls.first, call.references.count == 1, let only = call.references.first
        else { break }
        found = only
      }
      guard found != reference, layers.contains(where: { $0.name == found.layer && $0.reader is InputReader }) else {
        return reference
      }
      names[found.layer] = reference.layer
      return found
    }
    model.inputNames = names
  }

  private func functional(_ config: JSON, path: String) throws -> KerasModel {
    let quoted = KilnError.quoted(path)
    guard let items = config["layers"]?.arrayValue else {
      throw KilnError(.badInput, "the model \(quoted) has no list of layers")
    }
    guard let inputs = config["input_layers"], let outputs = config["output_layers"] else {
      throw KilnError(.badInput, "the model \(quoted) has no input_layers and output_layers")
    }
    var names: Set<String> = []
    for item in items {
      if let name = item["name"]?.stringValue ?? item["config"]?["name"]?.stringValue { names.insert(name) }
    }
    let parser = CallParser(layerNames: names)
    var layers: [KerasLayer] = []
    for (position, item) in items.enumerated() {
      let calls = try parser.calls(
        item["inbound_nodes"] ?? .array([]), layer: item["name"]?.stringValue ?? "layer_\(position)")
      layers.append(try layer(item, prefix: path, calls: calls, fallbackName: "layer_\(position)"))
    }
    try checkUnique(layers, path)
    var model = KerasModel(
      className: "Functional", name: config["name"]?.stringValue ?? "model", layers: layers,
      inputs: try parser.references(inputs, "input_layers"), outputs: try parser.references(outputs, "output_layers"))
    guard !model.inputs.leaves.isEmpty, !model.outputs.leaves.isEmpty else {
      throw KilnError(.badInput, "the model \(quoted) has no inputs or no outputs")
    }
    CallParser.renumber(&model, dialect)
    if !dialect.isKeras3 { KerasModelReader.followInputs(&model) }
    return model
  }
}

import TensorModule

/// Brings documents to the terms of Keras 2: those that tf_keras 2.21 and tf.keras 2.13 read in an `.h5`.
final class KerasDowngrade {
  private var problems: [String] = []
  private let document: KerasDocument
  /// Layers whose gates close by Keras 3's hard_sigmoid, by the paths of their variables.
  private var scaled: [String: Int] = [:]
  private let masked: Set<String>

  private init(_ document: KerasDocument) {
    self.document = document
    masked = Set(document.maskedLayers)
  }

  /// - Throws: `KilnError` (`unsupportedModel`) with everything that Keras 2 does not have.
  static func document(_ document: KerasDocument) throws -> (KerasDocument, JSON?) {
    let down = KerasDowngrade(document)
    let model = try down.model(document.model, path: "", depth: 0)
    if let first = down.problems.first {
      let count = down.problems.count
      throw KilnError(.unsupportedModel, count == 1 ? first : "\(count) things cannot be written for Keras 2: " + down.problems.joined(separator: "; "))
    }
    var out = document
    out.model = document.order2.isEmpty ? model : down.sorted(model)
    out.variables = try document.variables.map { try down.unscaled($0) }
    // The optimizer's variables are those of the gates as they were.
    if !down.scaled.isEmpty || !document.order2.isEmpty { out.optimizerVariables = [] }
    return (out, document.compileConfig)
  }

  private func problem(_ path: String, _ className: String, _ text: String) {
    let line = "layer \(KilnError.quoted(path)) (\(KilnError.escaped(className))): \(text)"
    if !problems.contains(line) { problems.append(line) }
  }

  /// The other way round than an upgrade does: hard_sigmoid of Keras 3 at x is that of Keras 2 at x / 1.2.
  private func unscaled(_ variable: KerasDocument.Variable) throws -> KerasDocument.Variable {
    var variable = variable
    // h5py reads no bfloat16 in files of Keras 2.
    if variable.tensor.dtype == .bfloat16 { variable.tensor = try variable.tensor.converted(to: .float32) }
    guard let gates = scaled[variable.layer], ["kernel", "recurrent_kernel", "bias"].contains(variable.name), let width = variable.tensor.shape.last,
      width > 0, width % gates == 0
    else { return variable }
    var values = variable.tensor.doubles
    for index in values.indices where !(gates == 4 && index % width / (width / gates) == 2 || gates == 3 && index % width / (width / gates) == 2) {
      values[index] /= 1.2
    }
    variable.tensor = try Tensor(converting: values, to: variable.tensor.dtype, shape: variable.tensor.shape)
    return variable
  }

  // MARK: Models

  /// The model with its layers in the order of Keras 2, by which the weights in an `.h5` go.
  private func sorted(_ model: JSON) -> JSON {
    guard var out = model.objectValue, var config = out["config"]?.objectValue, let layers = config["layers"]?.arrayValue else { return model }
    let places = Dictionary(document.order2.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    config["layers"] = .array(
      layers.enumerated().map { (place: KerasDowngrade.name($1).flatMap { places[$0] } ?? places.count, index: $0, layer: $1) }
        .sorted { ($0.place, $0.index) < ($1.place, $1.index) }.map(\.layer))
    out["config"] = .object(config)
    return .object(out)
  }

  private func model(_ json: JSON, path: String, depth: Int) throws -> JSON {
    guard depth < KerasModelReader.maximumDepth, let className = json["class_name"]?.stringValue, let config = json["config"]?.objectValue else {
      throw KilnError(.badInput, "the description of the model \(KilnError.quoted(path)) is malformed")
    }
    var out = JSONObject([("name", config["name"] ?? .string(path))])
    let items = config["layers"]?.arrayValue ?? []
    if className != "Sequential" { out["trainable"] = config["trainable"] ?? .bool(true) }
    let nested = Set(items.filter { ["Functional", "Sequential"].contains($0["class_name"]?.stringValue ?? "") }.compactMap(KerasDowngrade.name))
    out["layers"] = .array(
      try items.map { item in
        let name = KerasDowngrade.name(item) ?? ""
        guard var made = try layer(item, path: path.isEmpty ? name : "\(path)/\(name)", depth: depth + 1).objectValue else { return .null }
        guard className != "Sequential" else { return .object(made) }
        made["name"] = .string(name)
        if let function = functionNode(item, name, nested) { return function }
        made["inbound_nodes"] = .array((item["inbound_nodes"]?.arrayValue ?? []).map { inbound($0, item, nested) })
        return .object(made)
      })
    if className != "Sequential" {
      // Before Keras 3 every nested model's own construction counts as its first call; in Keras 3 a Functional one's does, and here alone.
      let sequential = Set(items.filter { $0["class_name"]?.stringValue == "Sequential" }.compactMap(KerasDowngrade.name))
      for key in ["input_layers", "output_layers"] {
        out[key] = .array(
          ends(config[key] ?? .array([])).map { end in
            guard let name = end[0]?.stringValue, let call = end[1]?.intValue, sequential.contains(name) else { return end }
            return .array([.string(name), .int(call + 1), end[2] ?? .int(0)])
          })
      }
    }
    return .object(JSONObject([("class_name", .string(className)), ("config", .object(out))]))
  }

  private static func name(_ item: JSON) -> String? { item["name"]?.stringValue ?? item["config"]?["name"]?.stringValue }

  /// A flat list of triples, dicts by their keys.
  private func ends(_ json: JSON) -> [JSON] {
    if json[0]?.stringValue != nil { return [json] }
    if let items = json.arrayValue { return items.flatMap(ends) }
    return (json.objectValue?.entries ?? []).sorted { $0.key < $1.key }.flatMap { ends($0.value) }
  }

  // MARK: Calls

  /// `[layer, call, result]` of a tensor; the calls of a nested model begin with 1.
  private func triple(_ json: JSON, _ nested: Set<String>) -> [JSON]? {
    guard json["class_name"]?.stringValue == "__keras_tensor__", let history = json["config"]?["keras_history"]?.arrayValue, history.count == 3,
      let name = history[0].stringValue, let call = history[1].intValue
    else { return nil }
    return [history[0], .int(call + (nested.contains(name) ? 1 : 0)), history[2]]
  }

  /// Tensors among constants as Keras 2 keeps them in keyword arguments.
  private func value(_ json: JSON, _ nested: Set<String>) -> JSON {
    if let found = triple(json, nested) { return .array(found) }
    if let items = json.arrayValue { return .array(items.map { value($0, nested) }) }
    if json["class_name"] == nil, let object = json.objectValue { return .object(JSONObject(object.entries.map { ($0.key, value($0.value, nested)) })) }
    return json
  }

  /// The names of further positional arguments.
  private static let argumentNames = [
    "MultiHeadAttention": ["query", "value", "key"], "LSTM": ["sequences", "initial_state"], "GRU": ["sequences", "initial_state"],
    "SimpleRNN": ["sequences", "initial_state"], "Bidirectional": ["sequences", "initial_state"],
  ]

  private func inbound(_ node: JSON, _ item: JSON, _ nested: Set<String>) -> JSON {
    let className = item["class_name"]?.stringValue ?? ""
    let path = KerasDowngrade.name(item) ?? ""
    let arguments = node["args"]?.arrayValue ?? []
    var keywords = JSONObject()
    for (key, given) in node["kwargs"]?.objectValue?.entries ?? [] where !given.isNull { keywords[key] = value(given, nested) }
    for (position, given) in arguments.enumerated().dropFirst() where !given.isNull {
      guard let names = KerasDowngrade.argumentNames[className], names.indices.contains(position) else {
        problem(path, className, "takes several arguments, which Keras 2 does not write")
        continue
      }
      keywords[names[position]] = value(given, nested)
    }
    guard let first = arguments.first else {
      if item["class_name"]?.stringValue != "InputLayer" { problem(path, className, "is called without a tensor") }
      return .array([])
    }
    if let found = triple(first, nested) { return .array([.array(found + [.object(keywords)])]) }
    let tensors = (first.arrayValue ?? []).map { triple($0, nested) }
    guard !tensors.isEmpty, tensors.allSatisfy({ $0 != nil }) else {
      problem(path, className, "is called with a structure that Keras 2 does not write")
      return .array([])
    }
    // Keras 2 takes the keywords of the last tensor for those of the call.
    return .array(tensors.map { .array(($0 ?? []) + [.object(keywords)]) })
  }

  /// A function of keras.ops as the TensorFlow function that it is; nil for layers.
  private func functionNode(_ item: JSON, _ name: String, _ nested: Set<String>) -> JSON? {
    guard KerasDowngrade.isOperation(item) else { return nil }
    let className = item["class_name"]?.stringValue ?? ""
    let node = item["inbound_nodes"]?[0]
    guard item["inbound_nodes"]?.arrayValue?.count == 1, let arguments = node?["args"]?.arrayValue, let first = arguments.first.flatMap({ triple($0, nested) })
    else {
      problem(name, className, "is a function that is not written for Keras 2")
      return .null
    }
    let config = item["config"]
    var function = ""
    var keywords = JSONObject()
    switch className {
    case "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum":
      let names = ["Add": "__operators__.add", "Subtract": "math.subtract", "Multiply": "math.multiply", "Maximum": "math.maximum", "Minimum": "math.minimum"]
      function = names[className] ?? "math.truediv"
      keywords["y"] = arguments.count > 1 ? value(KerasDowngrade.array(arguments[1]), nested) : .null
      keywords["name"] = .null
    case "Pad":
      function = "compat.v1.pad"
      keywords["paddings"] = config?["pad_width"] ?? .null
      keywords["mode"] = .string((config?["mode"]?.stringValue ?? "constant").uppercased())
      keywords["constant_values"] = node?["kwargs"]?["constant_values"] ?? .int(0)
    case "Take":
      function = "compat.v1.gather"
      keywords["indices"] = arguments.count > 1 ? KerasDowngrade.array(arguments[1]) : .null
      keywords["axis"] = config?["axis"] ?? .int(0)
    case "Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Square", "Abs", "Absolute", "Negative":
      let names = ["Relu": "nn.relu", "Absolute": "math.abs", "Negative": "math.negative"]
      function = names[className] ?? "math.\(className.lowercased())"
    default:
      problem(name, className, "is a function that is not written for Keras 2")
      return .null
    }
    return .object(
      JSONObject([
        ("class_name", .string("TFOpLambda")),
        (
          "config",
          .object(
            JSONObject([("name", .string(name)), ("trainable", .bool(true)), ("dtype", .string("float32")), ("function", .string(function))]))
        ),
        ("name", .string(name)), ("inbound_nodes", .array([.array(first + [.object(keywords)])])),
      ]))
  }

  private static func isOperation(_ item: JSON) -> Bool { item["module"]?.stringValue.map { $0.hasPrefix("keras.src.ops") || $0.hasPrefix("keras.ops") } ?? false }

  /// The numbers of an array in a configuration.
  private static func array(_ json: JSON) -> JSON { json["class_name"]?.stringValue == "__numpy__" ? json["config"]?["value"] ?? .null : json }

  // MARK: Layers

  /// Whether TensorFlow takes the name for that of a scope, as tf_keras gives it one when it makes the layer.
  private static func isScope(_ name: String) -> Bool {
    func isWord(_ byte: UInt8) -> Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
    guard let first = name.utf8.first, isWord(first) || first == UInt8(ascii: ".") else { return name.isEmpty }
    return name.utf8.dropFirst().allSatisfy { isWord($0) || "_.\\/>-".utf8.contains($0) }
  }

  private func layer(_ json: JSON, path: String, depth: Int) throws -> JSON {
    guard depth < 2 * KerasModelReader.maximumDepth, let className = json["class_name"]?.stringValue, let config = json["config"]?.objectValue else {
      throw KilnError(.badInput, "the description of the layer \(KilnError.quoted(path)) is malformed")
    }
    if className == "Functional" || className == "Sequential" { return try model(json, path: path, depth: depth) }
    if KerasDowngrade.isOperation(json) { return .object(JSONObject()) }
    checkMasks(className, path, config)
    checkStates(json, className, path)
    let name = config["name"]?.stringValue ?? ""
    if !KerasDowngrade.isScope(name) { problem(path, className, "its name is none that TensorFlow has: letters and digits of ASCII, and _ . \\ / > - behind the first") }
    var out = JSONObject()
    // tf_keras has this class, and does not find it when it loads.
    guard className != "SpectralNormalization", let allowed = KerasArguments.layer(className, keras3: false) else {
      problem(path, className, "Keras 2 has no such layer")
      return .null
    }
    let common: Set = ["name", "trainable", "batch_input_shape"]
    for (key, value) in config.entries {
      if key == "dtype" {
        out["dtype"] = policy(value, path, className)
        // tf_keras wants the dtype of the indices, and that of the texts.
        if ["IntegerLookup", "StringLookup"].contains(className), config["output_mode"]?.stringValue == "int", out["dtype"] == .string("float32") {
          out["dtype"] = .string("int64")
        }
        if className == "TextVectorization" { out["dtype"] = .string("string") }
      } else if key == "batch_shape" {
        out["batch_input_shape"] = value
      } else if className == "LeakyReLU", key == "negative_slope" {
        out["alpha"] = value
      } else if ["layer", "backward_layer", "cell"].contains(key), value["class_name"] != nil {
        out[key] = try layer(value, path: inside(path, className, key, value), depth: depth + 1)
      } else if key == "cells" {
        out[key] = .array(try (value.arrayValue ?? []).map { try layer($0, path: inside(path, className, key, $0), depth: depth + 1) })
      } else if key == "activation" || key == "recurrent_activation" {
        out[key] = activation(value, key, path, className, config)
      } else if allowed.contains(key) || common.contains(key) {
        out[key] = KerasDowngrade.legacy(value)
      } else if key == "zero_output_for_mask", value.boolValue == true, ["LSTM", "GRU", "SimpleRNN", "RNN"].contains(className) {
        out[key] = value
      } else {
        check(key, value, path, className)
      }
    }
    if className == "MultiHeadAttention" { addShapes(json, &out, path) }
    if className == "InputLayer" { for key in ["sparse", "ragged"] { out[key] = out[key] ?? .bool(false) } }
    fillVocabulary(&out, className, path)
    return .object(JSONObject([("class_name", .string(className)), ("config", .object(out))]))
  }

  /// Keras 2 builds this layer from the shapes of its inputs when it reads the configuration.
  private func addShapes(_ json: JSON, _ out: inout JSONObject, _ path: String) {
    let node = json["inbound_nodes"]?[0]
    func shape(_ position: Int, _ key: String) -> JSON? {
      let tensor = node?["kwargs"]?[key] ?? node?["args"]?[position]
      return tensor?["config"]?["shape"].flatMap { $0.arrayValue?.isEmpty == false ? $0 : nil }
    }
    guard let query = shape(0, "query"), let value = shape(1, "value") else {
      problem(path, "MultiHeadAttention", "the shapes of its inputs, which Keras 2 needs, are not known")
      return
    }
    (out["query_shape"], out["value_shape"], out["key_shape"]) = (query, value, shape(2, "key") ?? value)
  }

  /// The path of a layer inside another; a stack of cells is no layer of its own.
  private func inside(_ path: String, _ className: String, _ key: String, _ json: JSON) -> String {
    let name = json["config"]?["name"]?.stringValue ?? key
    return json["class_name"]?.stringValue == "StackedRNNCells" ? path : "\(path)/\(name)"
  }

  private func policy(_ value: JSON, _ path: String, _ className: String) -> JSON {
    guard let name = value.stringValue ?? value["config"]?["name"]?.stringValue, value["config"]?["source_name"] == nil, value["config"]?["mode"] == nil,
      !name.contains("_from_")
    else {
      problem(path, className, "is quantized, which Keras 2 does not know")
      return .null
    }
    guard name.hasPrefix("mixed_") else { return .string(name) }
    return .object(JSONObject([("class_name", .string("Policy")), ("config", .object(JSONObject([("name", .string(name))])))]))
  }

  /// Objects without their modules.
  private static func legacy(_ value: JSON) -> JSON {
    if let items = value.arrayValue { return .array(items.map(legacy)) }
    guard let object = value.objectValue, let className = object["class_name"]?.stringValue else { return value }
    guard let config = object["config"]?.objectValue else { return object["config"] ?? value }
    var out = JSONObject()
    let known = KerasArguments.initializer(className, keras3: false)
    for (key, value) in config.entries where known?.contains(key) ?? true { out[key] = legacy(value) }
    return .object(JSONObject([("class_name", .string(className)), ("config", .object(out))]))
  }

  private static let activations: Set = [
    "linear", "relu", "elu", "selu", "gelu", "sigmoid", "tanh", "softmax", "softplus", "softsign", "exponential", "mish", "swish",
  ]

  private func activation(_ value: JSON, _ key: String, _ path: String, _ className: String, _ config: JSONObject) -> JSON {
    let name = value.stringValue ?? (value["class_name"]?.stringValue == "function" ? value["config"]?.stringValue : nil)
    guard var name else {
      if value.isNull { return value }
      problem(path, className, "\(key) is an object that is not written for Keras 2")
      return .null
    }
    if name == "silu" { name = "swish" }
    if name == "hard_sigmoid", key == "recurrent_activation" {
      scaled[path] = className.hasPrefix("GRU") ? 3 : 4
      return .string(name)
    }
    if !KerasDowngrade.activations.contains(name) { problem(path, className, "\(key) \(KilnError.quoted(name)) is not known to Keras 2, or is another function there") }
    return .string(name)
  }

  /// An option that Keras 2 lacks may have no effect only.
  private func check(_ key: String, _ value: JSON, _ path: String, _ className: String) {
    let harmless: Set = ["autocast", "use_cudnn", "lora_alpha", "flash_attention", "seed", "build_config", "optional", "fill_value", "value_range", "synchronized", "vocabulary_size"]
    if value.isNull || value == .bool(false) || harmless.contains(key) || className.hasPrefix("Random") { return }
    let defaults: [String: JSON] = ["data_format": .string("channels_last"), "fill_mode": .string("constant"), "zero_output_for_mask": .bool(true), "oov_method": .string("floormod")]
    if defaults[key] == value { return }
    problem(path, className, "the option \(KilnError.quoted(key)) is not known to Keras 2")
  }

  /// A vocabulary that lies beside the variables goes in the configuration.
  private func fillVocabulary(_ config: inout JSONObject, _ className: String, _ path: String) {
    guard ["StringLookup", "IntegerLookup", "TextVectorization"].contains(className), (config["vocabulary"] ?? .null).isNull,
      let place = document.objects.first(where: { $0.name == path })?.place,
      let text = document.assets.first(where: { $0.name == "assets/\(place)/vocabulary.txt" })?.text
    else { return }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    config["vocabulary"] = .array(lines.map { className == "IntegerLookup" ? Int($0).map { .int($0) } ?? .null : .string($0) })
  }

  /// Keras 3 gives a recurrent layer the mask of its sequence only where it is called with nothing else; Keras 2 does always.
  private func checkStates(_ json: JSON, _ className: String, _ path: String) {
    guard masked.contains(path), ["LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"].contains(className) else { return }
    let calls = json["inbound_nodes"]?.arrayValue ?? []
    let lacksMask = calls.contains { call in
      guard (call["kwargs"]?["mask"] ?? .null).isNull, (call["args"]?[2] ?? .null).isNull else { return false }
      let states = [call["args"]?[1], call["kwargs"]?["initial_state"]].compactMap { $0 }
      return states.contains { !$0.isNull && $0.arrayValue?.isEmpty != true }
    }
    if lacksMask { problem(path, className, "takes no mask beside initial states in Keras 3, and does in Keras 2") }
  }

  private func checkMasks(_ className: String, _ path: String, _ config: JSONObject) {
    guard masked.contains(path) else { return }
    switch className {
    case "Multiply", "Maximum", "Minimum", "Concatenate", "Add", "Subtract", "Average", "MultiHeadAttention", "GroupQueryAttention", "Softmax", "TimeDistributed",
      "Attention", "AdditiveAttention":
      problem(path, className, "treats masks in another way in Keras 2")
    case "ReLU", "Rescaling", "Normalization": problem(path, className, "does not pass masks on in all of Keras 2")
    case "Bidirectional":
      let inner = config["layer"]?["config"]
      if inner?["return_sequences"]?.boolValue == true, inner?["zero_output_for_mask"]?.boolValue != true {
        problem(path, className, "makes zeros at masked steps in Keras 2")
      }
    default: break
    }
  }
}

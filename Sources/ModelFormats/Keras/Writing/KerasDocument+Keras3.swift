import TensorModule

/// Models of Keras 3: their configuration stays as it is.
extension KerasDocument {
  /// - Throws: `KilnError` when an array cannot be read.
  static func keras3(_ model: KerasModel, _ config: JSON) throws -> KerasDocument {
    var json = config
    if case .object(var object) = config {
      for key in ["compile_config", "keras_version", "backend"] { object[key] = nil }
      json = KerasModules.completed(.object(object))
    }
    var document = KerasDocument(model: json)
    var problems: [String] = []
    checkVersion(model, &problems)
    let layers = model.layers.map { written($0, &problems) }
    document.problems = problems
    if problems.isEmpty {
      try document.add(WrittenModel(name: model.name, layers: layers, inputs: model.inputs, outputs: model.outputs, isSequential: false))
    }
    return document
  }

  /// What versions before 3.15 compute otherwise, where it matters for this model.
  private static func checkVersion(_ model: KerasModel, _ problems: inout [String]) {
    for layer in model.layers.flatMap(\.flattened) {
      let dialect = layer.config.dialect
      var text: String?
      switch ConfigRewrite.currentClassName(layer.className) {
      case "RandomCrop" where dialect.isBefore(3, 6): text = "resizes before Keras 3.6 when predicting, and does nothing since"
      case "MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Softmax":
        let given = layer.calls.contains { call in call.keywords.contains { $0.key.hasSuffix("mask") } }
        if dialect.isBefore(3, 10), layer.isMasked || given { text = "treats what a mask leaves out otherwise since Keras 3.10" }
      case "Multiply", "Maximum", "Minimum", "Add", "Subtract", "Average":
        if dialect.isBefore(3, 4), layer.isMasked { text = "joins masks otherwise since Keras 3.4" }
      default: break
      }
      if layer.config.quantization?.packsRows == true { text = "has int4 weights that are packed as before Keras 3.14" }
      if let text { problems.append("layer \(KilnError.quoted(layer.path)) (\(KilnError.escaped(layer.className))): \(text)") }
    }
  }

  private static func written(_ layer: KerasLayer, _ problems: inout [String]) -> WrittenLayer {
    let out = WrittenLayer(ConfigRewrite.currentClassName(layer.className), layer.name)
    out.isTrainable = layer.isTrainable
    out.slots = layer.reader.weights
    out.objects = layer.objects
    out.objectName = layer.objectName
    if layer.reader is GroupQueryAttention {
      // This class alone keeps its projections under the older attributes.
      out.objects = layer.objects.map { object in
        var object = object
        object.paths = object.paths.sorted { $0.hasPrefix("_") && !$1.hasPrefix("_") }
        return object
      }
    }
    out.stored = layer.stored
    if layer.reader is UnknownLayer || layer.reader is ReplacedLayer {
      problems.append("layer \(KilnError.quoted(layer.path)): class \(KilnError.quoted(layer.className)) has a meaning here only")
    }
    if let lora = layer.stored.keys.first(where: { $0.hasPrefix("lora_") }) {
      problems.append("layer \(KilnError.quoted(layer.path)): \(lora) is apart from its kernel in this file")
    }
    if let nested = layer.reader as? NestedModel {
      let layers = nested.model.layers.map { written($0, &problems) }
      out.nested = WrittenModel(name: layer.name, layers: layers, inputs: nested.model.inputs, outputs: nested.model.outputs, isSequential: false)
    } else {
      for (child, attribute) in zip(layer.reader.children, layer.reader.childAttributes) {
        out.children.append((nil, attribute, written(child, &problems)))
      }
    }
    return out
  }
}

/// The Python modules of Keras 3's classes.
enum KerasModules {
  /// The module and registered name of a class of Keras itself; nil for others.
  static func module(of className: String) -> (module: String, registered: String?)? {
    if className == "Functional" { return ("keras.src.models.functional", "Functional") }
    if className == "Sequential" { return ("keras", nil) }
    if KerasArguments.layer(className, keras3: true) != nil { return ("keras.layers", nil) }
    if KerasArguments.initializer(className, keras3: true) != nil { return ("keras.initializers", nil) }
    if KerasArguments.optimizer(className, keras3: true) != nil { return ("keras.optimizers", nil) }
    if ["L1", "L2", "L1L2", "OrthogonalRegularizer"].contains(className) { return ("keras.regularizers", nil) }
    if ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"].contains(className) { return ("keras.constraints", nil) }
    if className.hasSuffix("DTypePolicy") { return ("keras.dtype_policies", nil) }
    return nil
  }

  /// The configuration with a module for every object that has none, as legacy `.h5` files of Keras 3 leave them.
  static func completed(_ json: JSON) -> JSON {
    switch json {
    case .array(let items): return .array(items.map(completed))
    case .object(let object):
      var out = JSONObject()
      // Functions have no `trainable`, which every layer has.
      let isLayer = object["inbound_nodes"] == nil || object["config"]?["trainable"] != nil
      if object["module"] == nil, object["config"] != nil, let name = object["class_name"]?.stringValue,
        let found = isLayer || name == "InputLayer" ? module(of: name) : KerasOperations.module(of: name).map({ ($0, name) }) ?? module(of: name)
      {
        out["module"] = .string(found.module)
        out["class_name"] = .string(name)
        out["config"] = .null
        out["registered_name"] = found.registered.map { .string($0) } ?? .null
      }
      for (key, value) in object.entries { out[key] = completed(value) }
      return .object(out)
    default: return json
    }
  }
}

import GraphModule
import TensorModule

/// What training needs to know of a model's layers beside the graph: which constants are variables, which of them are trained,
/// how statistics move, what regularizes.
///
/// It is JSON under `training_layout` in the graph's metadata:
///
///     {"variables": [{"value": "dense/kernel", "layer": "dense", "name": "kernel", "trainable": true, "document": 0, …}],
///      "layers": [{"path": "bn", "class": "BatchNormalization", "trainable": true, "momentum": 0.99, …}]}
enum TrainingLayout {
  static let key = "training_layout"

  static func json(_ model: KerasModel, _ builder: KerasGraphBuilder, _ document: KerasDocument) -> JSON {
    var writer = Writer(builder: builder)
    for (index, variable) in document.variables.enumerated() {
      writer.places["\(variable.layer)/\(variable.name)"] = (index, variable)
    }
    for layer in model.layers { writer.add(layer, isTrainable: true) }
    return .object(JSONObject([("variables", .array(writer.variables)), ("layers", .array(writer.layers))]))
  }

  private struct Writer {
    let builder: KerasGraphBuilder
    var places: [String: (index: Int, variable: KerasDocument.Variable)] = [:]
    var variables: [JSON] = []
    var layers: [JSON] = []

    mutating func add(_ layer: KerasLayer, isTrainable: Bool, isInTimeDistributed: Bool = false) {
      let isTrainable = isTrainable && layer.isTrainable
      addLayer(layer, isTrainable, isInTimeDistributed)
      for slot in layer.reader.weights { addVariable(slot, of: layer, isTrainable) }
      let isInTimeDistributed = isInTimeDistributed || layer.reader is TimeDistributed
      for child in layer.reader.children { add(child, isTrainable: isTrainable, isInTimeDistributed: isInTimeDistributed) }
    }

    private mutating func addVariable(_ slot: WeightSlot, of layer: KerasLayer, _ isTrainable: Bool) {
      guard let id = layer.constants[slot.name], let tensor = builder.graph.constants[id] else { return }
      var out = JSONObject([
        ("value", .string(builder.graph[id].name)), ("layer", .string(layer.path)), ("name", .string(slot.name)),
        ("trainable", .bool(isTrainable && slot.isTrainable)),
      ])
      // The document has it in the present layout; a constant laid out otherwise has no way back.
      if let place = places["\(layer.path)/\(slot.name)"], Self.areAlike(place.variable.tensor, tensor) {
        out["document"] = .int(place.index)
        out["shape"] = .array(place.variable.tensor.shape.map { .int($0) })
      }
      for kind in ["regularizer", "constraint"] {
        if let value = layer.config.object["\(Self.stem(slot.name))_\(kind)"], !value.isNull { out[kind] = value }
      }
      variables.append(.object(out))
    }

    private static func areAlike(_ a: Tensor, _ b: Tensor) -> Bool {
      guard a.count == b.count else { return false }
      if a.dtype == b.dtype { return zip(a.bytes, b.bytes).allSatisfy { $0 == $1 } }
      return a.doubles == b.doubles
    }

    /// What the options for a weight begin with.
    private static func stem(_ slot: String) -> String {
      for suffix in ["_kernel"] where slot.hasSuffix(suffix) { return String(slot.dropLast(suffix.count)) }
      return slot
    }

    private mutating func addLayer(_ layer: KerasLayer, _ isTrainable: Bool, _ isInTimeDistributed: Bool) {
      var out = JSONObject([
        ("path", .string(layer.path)), ("class", .string(ConfigRewrite.currentClassName(layer.className))), ("trainable", .bool(isTrainable)),
      ])
      let config = layer.config.object
      if let momentum = config["momentum"] { out["momentum"] = momentum }
      if layer.isMasked { out["masked"] = .bool(true) }
      if let regularizer = config["activity_regularizer"], !regularizer.isNull { out["activity_regularizer"] = regularizer }
      if layer.className == "ActivityRegularization" {
        out["activity_regularizer"] = .object(
          JSONObject([("class_name", .string("L1L2")), ("config", .object(JSONObject([("l1", config["l1"] ?? .null), ("l2", config["l2"] ?? .null)])))]))
      }
      var problems: [JSON] = []
      if out["activity_regularizer"] != nil {
        let results = builder.activities[layer.path] ?? []
        out["results"] = .array(results.map { .string(builder.graph[$0].name) })
        // A wrapper computes the layer inside it all at once, or not as a layer.
        if results.isEmpty || isInTimeDistributed { problems.append(.string("activity_regularizer")) }
      }
      for key in ["dropout", "recurrent_dropout"] where !layer.reader.trainsDropout && (config[key]?.doubleValue ?? 0) > 0 { problems.append(.string(key)) }
      for key in ["renorm"] where config[key]?.boolValue == true { problems.append(.string(key)) }
      let slots = Set(layer.reader.weights.map { Self.stem($0.name) })
      for (key, value) in config.entries where !value.isNull {
        guard let kind = ["_regularizer", "_constraint"].first(where: key.hasSuffix), key != "activity_regularizer" else { continue }
        if !slots.contains(String(key.dropLast(kind.count))) { problems.append(.string(key)) }
      }
      if !problems.isEmpty { out["unsupported"] = .array(problems) }
      layers.append(.object(out))
    }
  }
}

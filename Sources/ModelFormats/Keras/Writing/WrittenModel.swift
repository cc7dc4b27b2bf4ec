import GraphModule
import TensorModule

/// A layer in the terms of Keras 3: what a writer puts in a configuration and in a tree of variables.
final class WrittenLayer {
  var name: String
  /// Its name in a tree of objects, where that is another.
  var objectName: String?
  var className: String
  /// The Python module of the class.
  var module: String
  var registeredName: String?
  /// Its configuration without the layers inside it.
  var config: JSONObject
  /// Its configuration as the source has it, layers inside included, where that stays as it is.
  var source: JSON?
  var isTrainable = true
  var calls: [KerasCall] = []
  /// Constants that each call takes after its tensors: by position, and by name.
  var operands: [JSON] = []
  var constants: [(key: String, value: JSON)] = []
  /// Its own weights, in the order in which Keras makes them.
  var slots: [WeightSlot] = []
  /// The objects that hold them.
  var objects: [VariableObject] = []
  var stored: [String: StoredWeight] = [:]
  /// Layers inside it: under which key of the configuration (nil: none of its own), and under which attribute of the object.
  var children: [(key: String?, attribute: String, layer: WrittenLayer)] = []
  /// The model that it is.
  var nested: WrittenModel?
  /// The types of the results of each call, where they are known.
  var results: [[TensorType]] = []

  init(_ className: String, _ name: String, _ config: JSONObject = JSONObject(), module: String = "keras.layers") {
    self.className = className
    self.name = name
    self.module = module
    self.config = config
  }

  /// Whether it is a function and no layer.
  var isOperation: Bool { module.hasPrefix("keras.src.ops") || module.hasPrefix("keras.ops") }

  /// The weights of this layer and of those inside it, in Keras's order: trainable ones, then the others.
  var allSlots: (trainable: [(layer: WrittenLayer, slot: WeightSlot)], other: [(layer: WrittenLayer, slot: WeightSlot)]) {
    var trainable = slots.filter(\.isTrainable).map { (layer: self, slot: $0) }
    var other = slots.filter { !$0.isTrainable }.map { (layer: self, slot: $0) }
    for inner in inside {
      let found = inner.allSlots
      trainable += found.trainable
      other += found.other
    }
    return isTrainable ? (trainable, other) : ([], trainable + other)
  }

  /// The layers directly inside it.
  var inside: [WrittenLayer] { (nested?.layers ?? []) + children.map(\.layer) }
}

/// A model in the terms of Keras 3.
struct WrittenModel {
  var name: String
  var layers: [WrittenLayer]
  var inputs: KerasTree<KerasReference>
  var outputs: KerasTree<KerasReference>
  /// Whether it is a `Sequential`: an InputLayer, then layers that each take the result of the one before.
  var isSequential: Bool
  /// The names of its layers in the order of Keras 2, where masks make another of it in Keras 3.
  var order2: [String] = []

  /// Whether its layers are a chain, as a Sequential model's must be.
  var isChain: Bool {
    guard let first = layers.first, first.className == "InputLayer", inputs.leaves.count == 1, outputs.leaves.count == 1,
      inputs.leaves.first?.layer == first.name, outputs.leaves.first == KerasReference(layer: layers.last?.name ?? "", call: 0, result: 0),
      layers.count > 1
    else { return false }
    return layers.indices.dropFirst().allSatisfy { index in
      let calls = layers[index].calls
      guard !layers[index].isOperation, calls.count == 1, let call = calls.first, call.keywords.allSatisfy({ $0.value.leaves.isEmpty }),
        call.arguments.count == 1, case .leaf(let only)? = call.arguments.first
      else { return false }
      return only == KerasReference(layer: layers[index - 1].name, call: 0, result: 0)
    }
  }
}

extension WrittenModel {
  /// The model as an object of Keras 3's `config.json`.
  func json(isTrainable: Bool = true) -> JSON {
    let sequential = isSequential && isChain
    var config = JSONObject([("name", .string(name)), ("trainable", .bool(isTrainable)), ("dtype", WrittenModel.policy("float32"))])
    let types = Dictionary(layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    config["layers"] = .array(layers.map { sequential ? $0.json : $0.json(in: types) })
    if !sequential {
      config["input_layers"] = WrittenModel.ends(inputs, types)
      config["output_layers"] = WrittenModel.ends(outputs, types)
    }
    return .object(
      JSONObject([
        ("module", .string(sequential ? "keras" : "keras.src.models.functional")),
        ("class_name", .string(sequential ? "Sequential" : "Functional")), ("config", .object(config)),
        ("registered_name", sequential ? .null : .string("Functional")),
      ]))
  }

  /// A model's inputs or outputs. The calls of a nested Functional model count its own construction here, and only here.
  private static func ends(_ tree: KerasTree<KerasReference>, _ layers: [String: WrittenLayer]) -> JSON {
    func triple(_ reference: KerasReference) -> JSON {
      let nested = layers[reference.layer]?.nested.map { !($0.isSequential && $0.isChain) } ?? false
      return .array([.string(reference.layer), .int(reference.call + (nested ? 1 : 0)), .int(reference.result)])
    }
    func write(_ tree: KerasTree<KerasReference>) -> JSON {
      switch tree {
      case .leaf(let reference): triple(reference)
      case .list(let items): .array(items.map(write))
      case .dict(let entries): .object(JSONObject(entries.map { ($0.key, write($0.value)) }))
      case .constant(let value): value
      }
    }
    if case .list(let items) = tree, items.count == 1, case .leaf(let only)? = items.first { return triple(only) }
    return write(tree)
  }

  static func policy(_ name: String) -> JSON {
    .object(
      JSONObject([
        ("module", .string("keras")), ("class_name", .string("DTypePolicy")), ("config", .object(JSONObject([("name", .string(name))]))),
        ("registered_name", .null),
      ]))
  }
}

extension WrittenLayer {
  /// The layer as an object of Keras 3, without its calls.
  var json: JSON {
    if let nested, source == nil {
      guard var object = nested.json(isTrainable: isTrainable).objectValue else { return .null }
      if var config = object["config"]?.objectValue {
        config["name"] = .string(name)
        object["config"] = .object(config)
      }
      return .object(object)
    }
    var object = JSONObject([("module", .string(module)), ("class_name", .string(className))])
    var values = config
    for (key, _, layer) in children { if let key { values[key] = layer.json } }
    object["config"] = source ?? .object(values)
    object["registered_name"] = registeredName.map { .string($0) } ?? .null
    return .object(object)
  }

  /// The layer as an item of a Functional model.
  func json(in layers: [String: WrittenLayer]) -> JSON {
    guard var object = json.objectValue else { return .null }
    object["name"] = .string(name)
    object["inbound_nodes"] = .array(
      calls.map { call in
        .object(
          JSONObject([
            ("args", .array(call.arguments.map { WrittenLayer.tree($0, layers) } + operands)),
            ("kwargs", .object(JSONObject(call.keywords.map { ($0.key, WrittenLayer.tree($0.value, layers)) } + constants.map { ($0.key, $0.value) }))),
          ]))
      })
    return .object(object)
  }

  private static func tree(_ tree: KerasTree<KerasReference>, _ layers: [String: WrittenLayer]) -> JSON {
    switch tree {
    case .leaf(let reference): return tensor(reference, layers)
    case .list(let items): return .array(items.map { self.tree($0, layers) })
    case .dict(let entries): return .object(JSONObject(entries.map { ($0.key, self.tree($0.value, layers)) }))
    case .constant(let value): return value
    }
  }

  private static func tensor(_ reference: KerasReference, _ layers: [String: WrittenLayer]) -> JSON {
    // Shape and dtype are for people: Keras looks the tensor up by its history.
    let calls = layers[reference.layer]?.results ?? []
    let results = calls.indices.contains(reference.call) ? calls[reference.call] : []
    let type = results.indices.contains(reference.result) ? results[reference.result] : nil
    let shape = type.map { $0.dims.map { $0.fixed.map { JSON.int($0) } ?? .null } } ?? []
    return .object(
      JSONObject([
        ("class_name", .string("__keras_tensor__")),
        (
          "config",
          .object(
            JSONObject([
              ("shape", .array(shape)), ("dtype", .string(type?.dtype.name ?? "float32")),
              ("keras_history", .array([.string(reference.layer), .int(reference.call), .int(reference.result)])),
            ]))
        ),
      ]))
  }
}

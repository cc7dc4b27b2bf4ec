import TensorModule

/// Reads how the layers of a Functional model are wired, in the forms of Keras 1 to 3.
struct CallParser {
  /// The names of the model's layers: what tells a tensor from a list of constants.
  var layerNames: Set<String>

  /// The calls of a layer from its `inbound_nodes`.
  func calls(_ json: JSON, layer: String) throws -> [KerasCall] {
    guard let nodes = json.arrayValue else {
      throw KilnError(.badInput, "layer \(KilnError.quoted(layer)): inbound_nodes is \(json.kind)")
    }
    return try nodes.map { node in
      do {
        if node["args"] != nil || node["kwargs"] != nil { return keras3(node) }
        return try keras2(node)
      } catch let error as KilnError {
        throw KilnError(error.code, "layer \(KilnError.quoted(layer)): \(error.message)")
      }
    }
  }

  // MARK: Keras 3: {"args": […], "kwargs": {…}}

  private func keras3(_ node: JSON) -> KerasCall {
    let arguments = (node["args"]?.arrayValue ?? []).map(keras3Tree)
    let keywords = (node["kwargs"]?.objectValue?.entries ?? []).map { (key: $0.key, value: keras3Tree($0.value)) }
    return KerasCall(arguments: arguments, keywords: keywords)
  }

  private func keras3Tree(_ json: JSON) -> KerasTree<KerasReference> {
    if json["class_name"]?.stringValue == "__keras_tensor__", let history = json["config"]?["keras_history"],
      let reference = triple(history)
    {
      return .leaf(reference)
    }
    if let items = json.arrayValue {
      let trees = items.map(keras3Tree)
      return trees.contains { !$0.leaves.isEmpty } ? .list(trees) : .constant(json)
    }
    if let object = json.objectValue, object["class_name"] == nil {
      let trees = object.entries.map { (key: $0.key, value: keras3Tree($0.value)) }
      return trees.contains { !$0.value.leaves.isEmpty } ? .dict(trees) : .constant(json)
    }
    return .constant(json)
  }

  // MARK: Keras 1 and 2: [[name, call, result, {keywords}], …]

  private func keras2(_ node: JSON) throws -> KerasCall {
    if let object = node.objectValue {
      var keywords: [(key: String, value: KerasTree<KerasReference>)] = []
      let entries = try object.entries.map { (key: $0.key, value: try entry($0.value, &keywords)) }
      return KerasCall(arguments: [.dict(entries)], keywords: keywords)
    }
    guard let items = node.arrayValue, !items.isEmpty else {
      throw KilnError(.badInput, "an inbound node must be a list, found \(LayerConfig.describe(node))")
    }
    var keywords: [(key: String, value: KerasTree<KerasReference>)] = []
    // Layers of TensorFlow functions have their one entry without a list around it.
    if items[0].stringValue != nil { return KerasCall(arguments: [try entry(node, &keywords)], keywords: keywords) }
    let trees = try items.map { try entry($0, &keywords) }
    if trees.count == 1 { return KerasCall(arguments: trees, keywords: keywords) }
    return KerasCall(arguments: [.list(trees)], keywords: keywords)
  }

  private func entry(
    _ json: JSON, _ keywords: inout [(key: String, value: KerasTree<KerasReference>)]
  ) throws -> KerasTree<KerasReference> {
    guard let items = json.arrayValue, (3...4).contains(items.count), let name = items[0].stringValue,
      let call = items[1].intValue, let result = items[2].intValue ?? (name == "_CONSTANT_VALUE" ? 0 : nil)
    else {
      if let items = json.arrayValue, !items.isEmpty, items.allSatisfy({ $0.arrayValue != nil }) {
        return .list(try items.map { try entry($0, &keywords) })
      }
      throw KilnError(.badInput, "an inbound node must hold [layer, call, result], found \(LayerConfig.describe(json))")
    }
    if items.count == 4, let object = items[3].objectValue {
      for (key, value) in object.entries where !keywords.contains(where: { $0.key == key }) {
        keywords.append((key, keras2Tree(value)))
      }
    }
    if name == "_CONSTANT_VALUE" { return .constant(items[2]) }
    guard call >= 0, result >= 0 else { throw KilnError(.badInput, "a negative index in an inbound node") }
    return .leaf(KerasReference(layer: name, call: call, result: result))
  }

  /// In keywords tensors stand as bare triples; only a layer's name tells them from constants.
  private func keras2Tree(_ json: JSON) -> KerasTree<KerasReference> {
    if let reference = triple(json), layerNames.contains(reference.layer) { return .leaf(reference) }
    if let items = json.arrayValue {
      let trees = items.map(keras2Tree)
      return trees.contains { !$0.leaves.isEmpty } ? .list(trees) : .constant(json)
    }
    if let object = json.objectValue {
      let trees = object.entries.map { (key: $0.key, value: keras2Tree($0.value)) }
      return trees.contains { !$0.value.leaves.isEmpty } ? .dict(trees) : .constant(json)
    }
    return .constant(json)
  }

  // MARK: Model inputs and outputs

  /// `[name, call, result]`, or lists and dicts of these.
  func references(_ json: JSON, _ what: String) throws -> KerasTree<KerasReference> {
    if let reference = triple(json) { return .leaf(reference) }
    if let items = json.arrayValue { return .list(try items.map { try references($0, what) }) }
    if let object = json.objectValue {
      return .dict(try object.entries.map { ($0.key, try references($0.value, what)) })
    }
    throw KilnError(.badInput, "\(what) must hold [layer, call, result], found \(LayerConfig.describe(json))")
  }

  private func triple(_ json: JSON) -> KerasReference? {
    guard let items = json.arrayValue, items.count >= 3, items.count <= 4, let name = items[0].stringValue,
      let call = items[1].intValue, let result = items[2].intValue, call >= 0, result >= 0
    else { return nil }
    if items.count == 4, items[3].objectValue == nil { return nil }
    return KerasReference(layer: name, call: call, result: result)
  }

  // MARK: Call numbers

  /// Call numbers in a file count the calls of an object wherever it is used: a nested model's first call is number 1
  /// where its own construction counts as call 0. So it is everywhere before Keras 3, and there in a model's inputs and
  /// outputs only. Afterwards all numbers are positions in the layer's own list of calls.
  static func renumber(_ model: inout KerasModel, _ dialect: KerasDialect) {
    if dialect.isKeras3 {
      let nested = Set(model.layers.filter { ($0.reader as? NestedModel)?.model.className == "Functional" }.map(\.name))
      func moved(_ reference: KerasReference) -> KerasReference {
        var copy = reference
        if nested.contains(reference.layer), reference.call > 0 { copy.call -= 1 }
        return copy
      }
      model.inputs = model.inputs.map(moved)
      model.outputs = model.outputs.map(moved)
      return
    }
    var used: [String: Set<Int>] = [:]
    func note(_ reference: KerasReference) { used[reference.layer, default: []].insert(reference.call) }
    for layer in model.layers { for call in layer.calls { call.references.forEach(note) } }
    model.inputs.leaves.forEach(note)
    model.outputs.leaves.forEach(note)
    var maps: [String: [Int: Int]] = [:]
    for layer in model.layers {
      guard let numbers = used[layer.name]?.sorted(), let highest = numbers.last else { continue }
      let count = layer.calls.count
      if count == 0 {
        maps[layer.name] = Dictionary(uniqueKeysWithValues: numbers.map { ($0, 0) })
      } else if highest >= count, layer.reader is NestedModel {
        if numbers.count == count {
          maps[layer.name] = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($1, $0) })
        } else {
          maps[layer.name] = Dictionary(uniqueKeysWithValues: numbers.map { ($0, $0 - (highest - count + 1)) })
        }
      }
    }
    guard !maps.isEmpty else { return }
    func moved(_ reference: KerasReference) -> KerasReference {
      var copy = reference
      if let position = maps[reference.layer]?[reference.call] { copy.call = position }
      return copy
    }
    for layer in model.layers {
      layer.calls = layer.calls.map { call in
        KerasCall(
          arguments: call.arguments.map { $0.map(moved) }, keywords: call.keywords.map { ($0.key, $0.value.map(moved)) }
        )
      }
    }
    model.inputs = model.inputs.map(moved)
    model.outputs = model.outputs.map(moved)
  }
}

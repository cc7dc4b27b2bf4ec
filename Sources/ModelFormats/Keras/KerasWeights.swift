import TensorModule

/// A weight array in a file: what it declares, and how to read it. Any container can make these.
struct StoredWeight {
  /// Where it is, for messages: `model_weights/dense/dense/kernel:0`.
  var path: String
  var dtype: DType
  var shape: Shape
  /// Whether the file does not say that its 2-byte elements are bfloat16, as `.h5` files of Keras 3 do not; the layer's
  /// dtype policy must.
  var isUnmarked = false
  /// Whether the elements are in the order of the file.
  var isAsStored = false
  var load: () throws -> Tensor

  /// Why a layer cannot have it in a slot: only the dtype policy tells that unmarked elements are bfloat16.
  func refusal(by layer: KerasLayer, _ slot: String) -> String? {
    let policy = ConfigRewrite.policyName(layer.config.object["dtype"]) ?? "float32"
    guard isUnmarked, policy != "bfloat16" else { return nil }
    return "weight \(KilnError.quoted(slot)) holds opaque bytes, not numbers (they would be bfloat16; the layer's dtype policy is \(KilnError.quoted(policy)))"
  }
}

/// The weights of one layer group, in the file's order.
struct StoredGroup {
  var layer: String
  var weights: [StoredWeight]
}

/// Gives every weight of a file to exactly one slot of a layer.
enum WeightMatcher {
  /// Matches groups with a model's own layers: by name, or, where names differ, by order among those that have weights.
  /// Inside a group the order decides: trainable weights of all layers, then the others.
  ///
  /// What does not fit is noted in `diagnostics`, with the layer and the numbers.
  static func match(_ groups: [StoredGroup], to layers: [KerasLayer], _ diagnostics: ImportDiagnostics) {
    let given = groups.filter { !$0.weights.isEmpty }
    let givenNames = Set(given.map(\.layer))
    let wanting = layers.filter { layer in all(layer).contains { !$0.isOptional || givenNames.contains(layer.name) } }
    var byName: [String: StoredGroup] = [:]
    for group in given where byName.updateValue(group, forKey: group.layer) != nil {
      malformed(diagnostics, group.layer, "", "has two groups of weights")
    }
    let wantedNames = Set(wanting.map(\.name))
    if wantedNames == Set(byName.keys) {
      for layer in wanting { if let group = byName[layer.name] { assign(group, to: layer, diagnostics) } }
      return
    }
    // The names of a saved model can differ from its config's when it was renamed; the order is then what Keras goes by.
    if wanting.count == given.count, wantedNames.isDisjoint(with: byName.keys) {
      for (layer, group) in zip(wanting, given) { assign(group, to: layer, diagnostics) }
      return
    }
    for layer in wanting {
      if let group = byName[layer.name] {
        assign(group, to: layer, diagnostics)
      } else {
        malformed(diagnostics, layer.path, layer.className, "its weights are missing: \(names(all(layer)))")
      }
    }
    for group in given where !wantedNames.contains(group.layer) {
      malformed(
        diagnostics, group.layer, "", "the file has \(group.weights.count) weights for it that the model does not use")
    }
  }

  private static func assign(_ group: StoredGroup, to layer: KerasLayer, _ diagnostics: ImportDiagnostics) {
    var slots = all(layer)
    if slots.count != group.weights.count { slots = withoutRepeats(slots) }
    if slots.count != group.weights.count { slots.removeAll(where: \.isOptional) }
    guard slots.count == group.weights.count else {
      let found = group.weights.prefix(8).map {
        KilnError.quoted(String($0.path.split(separator: "/").last ?? "")) + $0.shape.shapeText
      }
      let more = group.weights.count > 8 ? ", …" : ""
      malformed(
        diagnostics, layer.path, layer.className,
        "expected \(slots.count) weights (\(names(slots))), found \(group.weights.count) (\(found.joined(separator: ", "))\(more))"
      )
      return
    }
    for (slot, weight) in zip(slots, group.weights) {
      if let (owner, message) = slot.owners.lazy.compactMap({ owner in weight.refusal(by: owner, slot.name).map { (owner, $0) } }).first {
        malformed(diagnostics, owner.path, owner.className, message)
        continue
      }
      for owner in slot.owners { owner.stored[slot.name] = weight }
    }
  }

  private struct Slot {
    var owners: [KerasLayer]
    var name: String
    var isOptional: Bool
  }

  private static func all(_ layer: KerasLayer) -> [Slot] {
    let slots = layer.slots
    return (slots.trainable + slots.other).map { Slot(owners: [$0.layer], name: $0.slot.name, isOptional: $0.slot.isOptional) }
  }

  /// A layer that two nested models share is in the config twice, under one name, and has its weights once.
  private static func withoutRepeats(_ slots: [Slot]) -> [Slot] {
    var out: [Slot] = []
    var index: [String: Int] = [:]
    for slot in slots {
      guard let owner = slot.owners.first else { continue }
      let key = "\(owner.className)\n\(owner.name)\n\(slot.name)"
      if let position = index[key] {
        out[position].owners.append(owner)
      } else {
        index[key] = out.count
        out.append(slot)
      }
    }
    return out
  }

  private static func names(_ slots: [Slot]) -> String {
    slots.prefix(8).map(\.name).joined(separator: ", ") + (slots.count > 8 ? ", …" : "")
  }

  private static func malformed(
    _ diagnostics: ImportDiagnostics, _ layer: String, _ className: String, _ message: String
  ) {
    diagnostics.add(ImportProblem(kind: .malformed, layer: layer, className: className, message: message, nearest: nil))
  }
}

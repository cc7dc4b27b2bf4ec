import TensorModule

/// Gives every variable of a tree of objects to exactly one slot of a layer.
///
/// A container's layers stand under `layers`, each named after its class in snake case and numbered within the class:
/// `dense`, `dense_1`. tf.keras 2.13 calls the list `_layer_checkpoint_dependencies` and lists a layer with weights twice,
/// so that its number goes up by two.
struct VariableMatcher {
  let tree: VariableTree
  let diagnostics: ImportDiagnostics
  /// Whether names in the tree must be the configuration's: the two were written together.
  let checksNames: Bool
  /// Gives a layer the folder of its assets.
  let assets: KerasAssets
  /// Objects without a group of their own: stored elsewhere, under the first path that led to them.
  private var absent: [(layer: KerasLayer, path: String)] = []
  private var placed: [String: KerasLayer] = [:]
  private var unknown: [String] = []

  init(_ tree: VariableTree, assets: KerasAssets, checksNames: Bool, _ diagnostics: ImportDiagnostics) {
    self.tree = tree
    self.assets = assets
    self.checksNames = checksNames
    self.diagnostics = diagnostics
  }

  /// Matches the tree with a model; what does not fit is noted with layer and path.
  mutating func match(_ model: KerasModel) {
    let own = tree.take("")
    if !own.isEmpty { diagnostics.warn("", "the model has \(own.count) weights of its own that no layer uses; they are left out") }
    place(model.layers, in: "")
    for (layer, path) in absent { share(layer, path) }
    for group in tree.unused where !unknown.contains(where: { group.layer == $0 || group.layer.hasPrefix($0 + "/") }) {
      malformed(
        "", "", "the file has \(group.weights.count) weights at \(KilnError.quoted(group.layer)) (\(VariableMatcher.shapes(group.weights))) "
          + "that the model does not use")
    }
  }

  private mutating func place(_ layers: [KerasLayer], in container: String) {
    let prefix = container.isEmpty ? "" : container + "/"
    let isDoubled = !tree.contains(prefix + "layers") && tree.contains(prefix + "_layer_checkpoint_dependencies")
    let list = prefix + (isDoubled ? "_layer_checkpoint_dependencies/" : "layers/")
    var counts: [String: Int] = [:]
    for layer in layers {
      let name = VariableMatcher.objectName(layer.className)
      let number = counts[name, default: 0]
      let slots = layer.slots
      counts[name] = number + (isDoubled && !(slots.trainable.isEmpty && slots.other.isEmpty) ? 2 : 1)
      place(layer, at: list + (number == 0 ? name : "\(name)_\(number)"))
    }
  }

  private mutating func place(_ layer: KerasLayer, at path: String) {
    layer.assets = KerasAssets(assets, in: path)
    if layer.reader is UnknownLayer {
      unknown.append(path)
      return
    }
    guard tree.contains(path) else {
      absent.append((layer, path))
      return
    }
    let key = VariableMatcher.key(layer)
    if placed[key] == nil { placed[key] = layer }
    if let nested = layer.reader as? NestedModel {
      _ = tree.take(path)
      place(nested.model.layers, in: path)
      return
    }
    for object in layer.objects {
      let places = object.paths.map { $0.isEmpty ? path : "\(path)/\($0)" }
      guard let place = places.first(where: tree.contains) ?? places.first else { continue }
      if !object.slots.isEmpty || tree.contains(place) { assign(layer, object.slots, at: place) }
    }
    if checksNames, let name = tree.name(of: path), name != layer.objectName, !layer.reader.weights.isEmpty {
      malformed(
        layer.path, layer.className, "its weights should be at \(KilnError.quoted(path)), which belong to \(KilnError.quoted(name))")
    }
    for owner in layer.reader.repeatedOwners { _ = tree.take("\(path)/\(owner)") }
    for (child, attribute) in zip(layer.reader.children, layer.reader.childAttributes) { self.place(child, at: "\(path)/\(attribute)") }
  }

  /// Optional slots may be missing, all together.
  private func assign(_ layer: KerasLayer, _ slots: [String], at place: String) {
    let weights = tree.take(place)
    let optional = Set(layer.reader.weights.filter(\.isOptional).map(\.name))
    let needed = slots.filter { !optional.contains($0) }
    let slots = weights.count == needed.count ? needed : slots
    guard weights.count == slots.count else {
      let expected = slots.prefix(8).joined(separator: ", ") + (slots.count > 8 ? ", …" : "")
      malformed(
        layer.path, layer.className,
        "expected \(slots.count) weights (\(expected)) at \(KilnError.quoted(place + "/vars")), found \(weights.count)"
          + (weights.isEmpty ? "" : " (\(VariableMatcher.shapes(weights)))"))
      return
    }
    for (slot, weight) in zip(slots, weights) where slot != VariableObject.repeated {
      if let message = weight.refusal(by: layer, slot) { malformed(layer.path, layer.className, message) } else { layer.stored[slot] = weight }
    }
  }

  /// An object that two containers hold is in the configuration twice, under one name, and in the tree once.
  private func share(_ layer: KerasLayer, _ path: String) {
    let slots = layer.slots
    guard !(slots.trainable.isEmpty && slots.other.isEmpty) else { return }
    guard let first = placed[VariableMatcher.key(layer)] else {
      malformed(layer.path, layer.className, "its weights are missing: the file has no \(KilnError.quoted(path))")
      return
    }
    let (ours, theirs) = (layer.flattened, first.flattened)
    guard ours.map(VariableMatcher.key) == theirs.map(VariableMatcher.key) else {
      malformed(layer.path, layer.className, "its weights are missing: \(KilnError.quoted(path)) is not that layer's")
      return
    }
    for (mine, stored) in zip(ours, theirs) { mine.stored = stored.stored }
  }

  private static func key(_ layer: KerasLayer) -> String { "\(layer.className)\n\(layer.name)" }

  private static func shapes(_ weights: [StoredWeight]) -> String {
    weights.prefix(6).map(\.shape.shapeText).joined(separator: ", ") + (weights.count > 6 ? ", …" : "")
  }

  private func malformed(_ layer: String, _ className: String, _ message: String) {
    diagnostics.add(ImportProblem(kind: .malformed, layer: layer, className: className, message: message, nearest: nil))
  }

  /// What a list's item of a class is called.
  static func objectName(_ className: String) -> String {
    // The public name of this class alone is not its own.
    snakeCase(className == "GroupQueryAttention" ? "GroupedQueryAttention" : className)
  }

  /// The names of a list's items: `lstm_cell`, `gru_cell`, `lstm_cell_1`.
  static func itemNames(_ classNames: [String]) -> [String] {
    var counts: [String: Int] = [:]
    return classNames.map { className in
      let name = objectName(className)
      let number = counts[name, default: 0]
      counts[name] = number + 1
      return number == 0 ? name : "\(name)_\(number)"
    }
  }

  /// Keras's name of a class in paths: `Conv2DTranspose` is `conv2d_transpose`, `PReLU` is `p_re_lu`.
  static func snakeCase(_ className: String) -> String {
    let text = Array(className.unicodeScalars.filter { $0 == "_" || $0.properties.isAlphabetic || $0.properties.numericType != nil })
    func isUpper(_ index: Int) -> Bool { text.indices.contains(index) && ("A"..."Z").contains(text[index]) }
    func isLower(_ index: Int) -> Bool { text.indices.contains(index) && ("a"..."z").contains(text[index]) }
    // Before a capital that small letters follow: (.)([A-Z][a-z]+).
    var words: [Unicode.Scalar] = []
    var index = 0
    while index < text.count {
      words.append(text[index])
      index += 1
      guard isUpper(index), isLower(index + 1) else { continue }
      words += ["_", text[index]]
      index += 1
      while isLower(index) {
        words.append(text[index])
        index += 1
      }
    }
    // Between a small letter and a capital.
    var out = String.UnicodeScalarView()
    for (position, scalar) in words.enumerated() {
      if position > 0, ("a"..."z").contains(words[position - 1]), ("A"..."Z").contains(scalar) { out.append("_") }
      out.append(scalar)
    }
    return String(out).lowercased()
  }
}

import TensorModule

/// Channels-first layers are written channels-last between two Permute layers; this takes out those that cancel.
enum AxisOrder {
  /// Permute pairs fall away, and single ones go down past layers that treat all axes alike, until nothing changes.
  static func settle(_ model: inout WrittenModel) {
    var pass = 0
    // Each round takes a layer out or moves one down; the number of layers bounds both.
    while pass < 4 * model.layers.count + 8, step(&model) { pass += 1 }
    let used = Set(model.layers.flatMap { $0.calls.flatMap(\.references).map(\.layer) } + model.outputs.leaves.map(\.layer))
    model.layers.removeAll { isOurs($0) && !used.contains($0.name) }
  }

  /// The suffix of the names of layers that this file may take out again.
  static let (before, after) = ("_channels_last", "_channels_first")

  static func isOurs(_ layer: WrittenLayer) -> Bool {
    layer.className == "Permute" && (layer.name.hasSuffix(before) || layer.name.hasSuffix(after))
  }

  private static func permutation(_ layer: WrittenLayer) -> [Int]? {
    isOurs(layer) && layer.calls.count == 1 ? layer.config["dims"]?.arrayValue?.compactMap(\.intValue) : nil
  }

  private static func isInverse(_ a: [Int], _ b: [Int]) -> Bool { a.count == b.count && a.indices.allSatisfy { b[a[$0] - 1] == $0 + 1 } }

  /// Layers that do the same to each element, whatever its place.
  private static let elementwise: Set = [
    "ReLU", "LeakyReLU", "ELU", "Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Rescaling", "ActivityRegularization", "Identity",
  ]
  private static let merges: Set = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
  private static let otherActivations: Set = ["softmax", "log_softmax", "sparsemax", "glu"]

  private static func step(_ model: inout WrittenModel) -> Bool {
    let byName = Dictionary(model.layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    func source(_ layer: WrittenLayer) -> [KerasReference] { layer.calls.first?.references ?? [] }
    func permuting(_ reference: KerasReference) -> (layer: WrittenLayer, dims: [Int])? {
      guard let layer = byName[reference.layer], reference.result == 0, let dims = permutation(layer) else { return nil }
      return (layer, dims)
    }
    for layer in model.layers where layer.calls.count == 1 {
      let references = source(layer)
      let above = references.compactMap(permuting)
      guard !references.isEmpty, above.count == references.count, let first = above.first, above.allSatisfy({ $0.dims == first.dims }),
        let inputs = Optional(above.compactMap { source($0.layer).first }), inputs.count == references.count
      else { continue }
      if let dims = permutation(layer), isInverse(first.dims, dims) {
        replace(layer.name, by: inputs[0], in: &model)
        model.layers.removeAll { $0 === layer }
        return true
      }
      guard first.layer.name.hasSuffix(after) else { continue }
      // The axes are (0, …) in Keras 3's counting with the batch: result axis k is input axis dims[k - 1].
      func moved(_ axis: Int) -> Int? {
        let rank = first.dims.count + 1
        let positive = axis < 0 ? axis + rank : axis
        return positive > 0 && positive < rank ? first.dims[positive - 1] : nil
      }
      var isLast = false
      switch layer.className {
      case _ where elementwise.contains(layer.className): break
      case "Activation" where !otherActivations.contains(layer.config["activation"]?.stringValue ?? "softmax"): break
      case _ where merges.contains(layer.className) && references.count > 1: break
      case "BatchNormalization":
        guard let axis = moved(layer.config["axis"]?.intValue ?? -1) else { continue }
        layer.config["axis"] = .int(axis)
      case "Concatenate":
        guard let axis = moved(layer.config["axis"]?.intValue ?? -1) else { continue }
        layer.config["axis"] = .int(axis)
      case "Flatten" where layer.config["data_format"]?.stringValue == DataFormat.channelsFirst.rawValue:
        // It would turn its input to channels-last first.
        layer.config["data_format"] = .string(DataFormat.channelsLast.rawValue)
        isLast = true
      default: continue
      }
      var pending = inputs
      layer.calls = layer.calls.map { call in
        KerasCall(arguments: call.arguments.map { $0.map { _ in pending.isEmpty ? inputs[0] : pending.removeFirst() } }, keywords: call.keywords)
      }
      layer.results = []
      if isLast { return true }
      let down = WrittenLayer("Permute", layer.name + after, first.layer.config)
      down.config["name"] = .string(down.name)
      let result = KerasReference(layer: layer.name, call: 0, result: 0)
      replace(layer.name, by: KerasReference(layer: down.name, call: 0, result: 0), in: &model)
      down.calls = [KerasCall(arguments: [.leaf(result)], keywords: [])]
      if let index = model.layers.firstIndex(where: { $0 === layer }) { model.layers.insert(down, at: index + 1) }
      return true
    }
    return false
  }

  /// Points everything that takes a layer's result to another value.
  private static func replace(_ name: String, by value: KerasReference, in model: inout WrittenModel) {
    func moved(_ reference: KerasReference) -> KerasReference { reference.layer == name ? value : reference }
    for layer in model.layers {
      layer.calls = layer.calls.map { call in
        KerasCall(arguments: call.arguments.map { $0.map(moved) }, keywords: call.keywords.map { ($0.key, $0.value.map(moved)) })
      }
    }
    model.outputs = model.outputs.map(moved)
  }
}

import TensorModule

/// The functions by which Keras 3 computes masks while it builds a model, and the layers that take their results as arguments.
struct MaskNodes {
  typealias Call = LayerOrder.Call

  /// What Keras passes to a call beside its own arguments: by the argument's name, who makes the masks.
  private(set) var arguments: [Call: [(String, [Call])]] = [:]
  private let count: Int
  private let call: (KerasReference) -> Call?
  /// The parents of each function; their calls are numbered behind the model's layers.
  private var functions: [[Call]] = []
  /// Who makes the masks of the results of a call.
  private var masks: [Call: [Call?]] = [:]

  init(count: Int, call: @escaping (KerasReference) -> Call?) {
    self.count = count
    self.call = call
  }

  func parents(ofFunction node: Call) -> [Call]? {
    let position = node.layer - count
    return functions.indices.contains(position) ? functions[position] : nil
  }

  private mutating func function(_ parents: [Call]) -> Call {
    functions.append(parents)
    return Call(layer: count + functions.count - 1, call: 0)
  }

  private func mask(_ reference: KerasReference) -> Call? {
    guard let made = call(reference).flatMap({ masks[$0] }), made.indices.contains(reference.result) else { return nil }
    return made[reference.result]
  }

  /// Classes whose `call` has an argument `mask`.
  private static let takesMask: Set = [
    "AdditiveAttention", "Attention", "BatchNormalization", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Functional", "GRU",
    "GlobalAveragePooling1D", "LSTM", "Lambda", "RNN", "Sequential", "SimpleRNN", "Softmax", "TimeDistributed",
  ]
  private static let attention: Set = ["GroupQueryAttention", "MultiHeadAttention"]
  private static let recurrent: Set = ["Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"]
  private static let merges: Set = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"]
  /// Classes that hand the masks of their first argument on.
  private static let passesMask: Set = [
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dense", "Dropout", "ELU", "GaussianDropout", "GaussianNoise",
    "GroupNormalization", "GroupQueryAttention", "Identity", "LayerNormalization", "LeakyReLU", "MultiHeadAttention", "Normalization", "PReLU", "ReLU",
    "Rescaling", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "TimeDistributed", "UnitNormalization",
  ]

  /// Follows the masks through a call; those of its arguments are known.
  mutating func add(_ node: Call, _ layer: WrittenLayer) {
    guard !layer.isOperation, layer.calls.indices.contains(node.call) else { return }
    let made = layer.calls[node.call]
    let className = layer.className
    let named = made.keywords.filter { !$0.value.leaves.isEmpty }
    let tensors = made.arguments.filter { !$0.leaves.isEmpty }
    let first = tensors.first ?? named.first?.value
    var given: [Call?] = first?.leaves.map { mask($0) } ?? []
    if let explicit = named.first(where: { $0.key == "mask" }) {
      given = explicit.value.leaves.map { call($0) }
    } else if tensors.count + named.count == 1 {
      if MaskNodes.takesMask.contains(className) { take("mask", given, node) }
    } else if MaskNodes.attention.contains(className) {
      let arguments = zip(["query", "value", "key"], made.arguments).map { ($0, $1) } + named.map { ($0.key, $0.value) }
      for (name, value) in arguments where ["query", "value", "key"].contains(name) && !named.contains(where: { $0.key == name + "_mask" }) {
        take(name + "_mask", value.leaves.map { mask($0) }, node)
      }
    }
    masks[node] = results(layer, first?.leaves.compactMap(call) ?? [], given)
  }

  private mutating func take(_ name: String, _ makers: [Call?], _ node: Call) {
    let found = makers.compactMap { $0 }
    if !found.isEmpty { arguments[node, default: []].append((name, found)) }
  }

  private mutating func results(_ layer: WrittenLayer, _ inputs: [Call], _ given: [Call?]) -> [Call?] {
    let className = layer.className
    switch className {
    case "Embedding": return layer.config["mask_zero"]?.boolValue == true ? [function(inputs)] : []
    case "Masking":
      let unequal = function(inputs)
      return [function([unequal])]
    case "Attention", "AdditiveAttention":
      guard let query = given.first ?? nil else { return [] }
      return [function([query])]
    case _ where MaskNodes.recurrent.contains(className):
      let sequence = className == "Bidirectional" ? layer.children.first?.layer.config : layer.config
      guard sequence?["return_sequences"]?.boolValue == true, let mask = given.first ?? nil else { return [] }
      return className == "Bidirectional" && layer.config["merge_mode"]?.isNull == true ? [mask, mask] : [mask]
    case _ where MaskNodes.merges.contains(className):
      let found = given.compactMap { $0 }
      guard found.count == given.count, var mask = found.first else { return [] }
      for next in found.dropFirst() { mask = function([mask, next]) }
      return [mask]
    case _ where MaskNodes.passesMask.contains(className): return given
    default: return []
    }
  }
}

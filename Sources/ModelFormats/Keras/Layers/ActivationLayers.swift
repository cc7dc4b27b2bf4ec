import GraphModule
import TensorModule

/// A layer that applies one function to each element.
struct ScalarLayer: KerasLayerReader {
  let activation: Activation
  var masking: MaskRule = .passes

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    [KerasTensor(try call.add(Elementwise(activation), [try call.floatInput()], activation.function.rawValue))]
  }

  /// Keras `ReLU`: slope below the threshold, maximum above.
  static func relu(_ config: LayerConfig) -> ScalarLayer {
    let maximum = config.optionalDouble("max_value")
    let slope = config.double("negative_slope", 0)
    let threshold = config.double("threshold", 0)
    if let maximum, maximum < 0 { config.malformed("max_value must not be negative, found \(maximum)") }
    if slope < 0 || threshold < 0 { config.malformed("negative_slope and threshold must not be negative") }
    let activation =
      slope == 0 && threshold == 0
      ? maximum.map { Activation(.clip, [0, $0]) } ?? Activation(.relu)
      : maximum == nil && threshold == 0
        ? Activation(.leakyRelu, [slope]) : Activation(.generalRelu, [slope, threshold, maximum ?? .infinity])
    // tf.keras lost the mask here until 2.5: its attribute `support_masking` is misspelt.
    let losesMask = config.dialect.isTensorFlowKeras && config.dialect.isBefore(2, 5)
    return ScalarLayer(activation: activation, masking: losesMask ? .drops : .passes)
  }

  static func leakyRelu(_ config: LayerConfig) -> ScalarLayer {
    ScalarLayer(activation: Activation(.leakyRelu, [config.double("negative_slope", 0.3)]))
  }

  static func elu(_ config: LayerConfig) -> ScalarLayer {
    ScalarLayer(activation: Activation(.elu, [config.double("alpha", 1)]))
  }

  /// x where x > theta, else 0.
  static func thresholdedRelu(_ config: LayerConfig) -> ScalarLayer {
    ScalarLayer(activation: Activation(.threshold, [config.double("theta", 1), 0]))
  }
}

/// Keras `PReLU`: a learnt slope for each position; shared axes have one.
struct PReLU: KerasLayerReader {
  let sharedAxes: [Int]

  init(_ config: LayerConfig) { sharedAxes = config.intList("shared_axes") ?? [] }

  var weights: [WeightSlot] { [WeightSlot("alpha")] }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let rank = call.type(x).rank
    let shape = call.dialect.generation == .keras1
      ? try call.storedShape("alpha", x) : try (1..<max(rank, 1)).map { sharedAxes.contains($0) ? 1 : try call.fixed(x, axis: $0) }
    return [KerasTensor(try call.binary(.prelu, x, try call.weight("alpha", shape)))]
  }
}

/// Keras `Softmax` over one axis or several, positions outside the mask left out.
struct SoftmaxLayer: KerasLayerReader {
  let axes: [Int]

  init(_ config: LayerConfig) {
    axes = config.intList("axis") ?? [-1]
    config.ignore("robust_masking")
    if axes.isEmpty { config.malformed("axis is an empty list") }
  }

  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    var x = try call.floatInput()
    let type = call.type(x)
    let mask = call.mask
    if let mask { x = try call.add(Elementwise(.select), [mask, x, try call.scalar(-1e9, type.dtype)], "masked") }
    let result: ValueID
    if axes.count == 1 {
      result = try call.add(Softmax(axis: axes[0]), [x], "softmax")
    } else {
      let positive = Set(axes.compactMap { type.axis($0) }).sorted()
      guard positive.count == axes.count else {
        throw KilnError(.badInput, "axis \(axes) does not fit \(type.message)")
      }
      let sum = try call.add(Reduce(.logsumexp, axes: positive, keepDims: true), [x], "logsumexp")
      result = try call.unary(.exp, try call.binary(.sub, x, sum))
    }
    guard let mask, call.dialect.isKeras3 else { return [KerasTensor(result)] }
    return [KerasTensor(try call.add(Elementwise(.select), [mask, result, try call.scalar(0, type.dtype)], "kept"))]
  }
}

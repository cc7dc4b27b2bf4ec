import GraphModule
import TensorModule

/// Keras `UnitNormalization`: x over its length along some axes.
struct UnitNormalization: KerasLayerReader {
  let axes: [Int]

  init(_ config: LayerConfig) {
    axes = config.intList("axis") ?? [-1]
    if axes.isEmpty { config.malformed("axis is an empty list") }
  }

  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let type = call.type(x)
    let positive = Set(axes.compactMap { type.axis($0) }).sorted()
    guard positive.count == axes.count else { throw KilnError(.badInput, "axis \(axes) does not fit \(type.message)") }
    let sum = try call.add(Reduce(.sum, axes: positive, keepDims: true), [try call.unary(.square, x)], "squares")
    // Keras 3 bounds the length, earlier ones its square, by 1e-12.
    let bound = try call.binary(.max, sum, try call.scalar(call.dialect.isKeras3 ? 1e-24 : 1e-12, call.dtype))
    return [KerasTensor(try call.binary(.mul, x, try call.unary(.rsqrt, bound)))]
  }
}

/// Keras `GroupNormalization`: mean and variance of each group of channels, over all positions.
struct GroupNormalization: KerasLayerReader {
  let groups: Int
  let axis: Int
  let epsilon: Double
  let centers: Bool
  let scales: Bool

  init(_ config: LayerConfig) {
    groups = config.int("groups", 32, in: -1...Int(Int32.max))
    axis = config.int("axis", -1, in: -maximumRank...maximumRank)
    epsilon = config.double("epsilon", 1e-3)
    centers = config.bool("center", true)
    scales = config.bool("scale", true)
    if groups == 0 { config.malformed("groups must be an integer from 1, or -1") }
  }

  var weights: [WeightSlot] { (scales ? [WeightSlot("gamma")] : []) + (centers ? [WeightSlot("beta")] : []) }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let type = call.type(x)
    guard let channelAxis = type.axis(axis), channelAxis > 0 else { throw KilnError(.badInput, "axis \(axis) does not fit \(type.message)") }
    // From 2.14 on, tf.keras weighs the positions with the mask, which it cannot spread over most inputs.
    if call.mask != nil, !call.dialect.isKeras3, !call.dialect.isBefore(2, 14) {
      throw KilnError(.unsupportedModel, "a masked input is not supported")
    }
    let channels = try call.fixed(x, axis: channelAxis)
    let count = groups == -1 ? channels : groups
    guard count > 0, channels % count == 0 else { throw KilnError(.badInput, "\(channels) channels do not split in \(count) groups") }
    let others = (0..<type.rank).filter { $0 != channelAxis }
    let last = try call.transpose(x, others + [channelAxis])
    let dims = call.type(last).dims
    let positions = dims.dropFirst().dropLast().reduce(1, *)
    let grouped = try call.reshape(last, [dims[0], positions, Dim(count), Dim(channels / count)])
    let mean = try call.add(Reduce(.mean, axes: [1, 3], keepDims: true), [grouped], "mean")
    let centred = try call.binary(.sub, grouped, mean)
    let variance = try call.add(Reduce(.mean, axes: [1, 3], keepDims: true), [try call.unary(.square, centred)], "variance")
    let scale = try call.unary(.rsqrt, try call.unary(.affine, [1, epsilon], variance))
    var result = try call.reshape(try call.binary(.mul, centred, scale), dims)
    if scales { result = try call.binary(.mul, result, try call.weight("gamma", [channels])) }
    if centers { result = try call.binary(.add, result, try call.weight("beta", [channels])) }
    let back = (0..<type.rank).map { $0 < channelAxis ? $0 : $0 == channelAxis ? type.rank - 1 : $0 - 1 }
    return [KerasTensor(try call.transpose(result, back))]
  }
}

/// Keras `RMSNormalization`: x / √(mean(x²) + epsilon) · scale over some axes.
struct RMSNormalization: KerasLayerReader {
  let axes: [Int]
  let epsilon: Double

  init(_ config: LayerConfig) {
    axes = config.intList("axis") ?? [-1]
    epsilon = config.double("epsilon", 1e-6)
    if axes.isEmpty { config.malformed("axis is an empty list") }
  }

  var weights: [WeightSlot] { [WeightSlot("scale")] }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let type = call.type(x)
    let positive = axes.sorted().compactMap { type.axis($0) }
    guard positive.count == axes.count, let first = positive.first else { throw KilnError(.badInput, "axis \(axes) does not fit \(type.message)") }
    let shape = try positive.map { try call.fixed(x, axis: $0) }
    let scale = try call.weight("scale", shape)
    if positive == Array(first..<type.rank) {
      return [KerasTensor(try call.add(RMSNorm(axis: first, epsilon: epsilon, scale: true), [x, scale], "rms_norm"))]
    }
    // Keras lets the scale broadcast against the last axes, wherever the normalised ones are.
    let mean = try call.add(Reduce(.mean, axes: Set(positive).sorted(), keepDims: true), [try call.unary(.square, x)], "mean")
    let factor = try call.unary(.rsqrt, try call.unary(.affine, [1, epsilon], mean))
    return [KerasTensor(try call.binary(.mul, try call.binary(.mul, x, factor), scale))]
  }
}

/// Keras `SpectralNormalization` when predicting: the wrapped layer with the kernel that training left.
struct SpectralNormalization: KerasLayerReader {
  let inner: KerasLayer?

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    inner = config.json("layer").flatMap { models.innerLayer($0, of: config, role: "layer") }
    if config.json("layer") == nil { config.malformed("layer is missing") }
    config.ignore("power_iterations")
  }

  var weights: [WeightSlot] { [WeightSlot("vector_u", trainable: false)] }
  /// The wrapped layer's kernel is there again.
  var objects: [VariableObject] { [VariableObject("", slots: [VariableObject.repeated, "vector_u"])] }
  var children: [KerasLayer] { inner.map { [$0] } ?? [] }
  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let inner else { throw KilnError(.unsupportedModel, "its layer is not supported") }
    guard let results = call.builder.build(inner, call.arguments, call.keywords) else { return [] }
    // Keras 3 gives the result the dtype of the input, even of indices.
    guard call.dialect.isKeras3, let given = call.tensors.first else { return results }
    let dtype = call.type(given.value).dtype
    return try results.map { KerasTensor(dtype.isInteger ? try call.cast($0.value, to: dtype) : $0.value, mask: $0.mask) }
  }
}

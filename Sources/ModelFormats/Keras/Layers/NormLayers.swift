import GraphModule
import TensorModule

/// Keras `BatchNormalization` when predicting: gamma · (x − mean) / √(variance + epsilon) + beta.
struct BatchNormalization: KerasLayerReader {
  let axes: [Int]
  let epsilon: Double
  let centers: Bool
  let scales: Bool
  /// Whether the layer keeps the statistics of batch renormalization, which have a part in training alone.
  let renormalizes: Bool
  /// What renormalization keeps for training.
  private let renormWeights: [String]
  /// Keras 1's mode 1: each sample by its own statistics over the last axis.
  let isSampleWise: Bool
  /// Whether it is of Keras before 1.0.6, which keeps the deviation itself and adds epsilon to it (again).
  let addsToDeviation: Bool
  /// Whether it is of Keras 2.1.3 to 2.2.0 on CNTK, which adds epsilon to the root of the variance.
  let addsToRoot: Bool
  /// Keras 1's mode 2: by the statistics of the batch that is predicted.
  let isBatchWise: Bool

  init(_ config: LayerConfig) {
    axes = config.intList("axis") ?? [-1]
    epsilon = config.double("epsilon", 1e-3)
    centers = config.bool("center", true)
    scales = config.bool("scale", true)
    renormalizes = config.bool("renorm", false)
    renormWeights =
      config.dialect.countsRenorm
      ? ["renorm_mean", "renorm_mean_weight", "renorm_stddev", "renorm_stddev_weight"] : ["moving_stddev", "renorm_mean", "renorm_stddev"]
    config.ignore(
      "momentum", "synchronized", "renorm_clipping", "renorm_momentum", "fused", "virtual_batch_size",
      "adjustment")
    let mode = config.dialect.generation == .keras1 ? config.int("mode", 0, in: 0...2) : 0
    isSampleWise = mode == 1
    isBatchWise = mode == 2
    addsToDeviation = config.dialect.generation == .keras1 && config.dialect.isBefore(1, 0, 6)
    addsToRoot =
      config.dialect.backend == .cntk && !config.dialect.isBefore(2, 1, 3) && config.dialect.isBefore(2, 2, 1)
    config.ignore("mode")
    if axes.isEmpty { config.malformed("axis is an empty list") }
  }

  var weights: [WeightSlot] {
    (scales ? [WeightSlot("gamma")] : []) + (centers ? [WeightSlot("beta")] : [])
      + [WeightSlot("moving_mean", trainable: false), WeightSlot("moving_variance", trainable: false)]
      + (renormalizes ? renormWeights.map { WeightSlot($0, trainable: false) } : [])
  }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let type = call.type(x)
    let positive = axes.compactMap { type.axis($0) }
    guard positive.count == axes.count, Set(positive).count == axes.count, let axis = positive.first else {
      throw KilnError(.badInput, "axis \(axes) does not fit \(type.message)")
    }
    if isBatchWise { return [KerasTensor(try batchWise(call, x, axis))] }
    if isSampleWise { return [KerasTensor(try sampleWise(call, x, axis))] }
    if positive.count > 1 { return [KerasTensor(try overSeveralAxes(call, x, positive))] }
    let shape = [try call.fixed(x, axis: axis)]
    let names = (scales ? ["gamma"] : []) + (centers ? ["beta"] : []) + ["moving_mean", "moving_variance"]
    if addsToDeviation || addsToRoot {
      // BatchNorm divides by √(variance + epsilon): (deviation + epsilon)² − epsilon takes the variance's place.
      let (epsilon, isVariance) = (epsilon, addsToRoot)
      _ = try call.weight("moving_variance", shape) { stored in
        let deviations = stored.doubles.map { isVariance ? $0.squareRoot() : $0 }
        let values = deviations.map { ($0 + epsilon) * ($0 + epsilon) - epsilon }
        return try Tensor(converting: values, to: stored.dtype, shape: stored.shape)
      }
    }
    let operands = try names.map { try call.weight($0, shape) }
    let forth = (0..<type.rank).filter { $0 != axis } + [axis]
    let result = try call.add(
      BatchNorm(epsilon: epsilon, scale: scales, offset: centers), [try call.transpose(x, forth)] + operands,
      "batch_norm")
    let back = (0..<type.rank).map { $0 < axis ? $0 : $0 == axis ? type.rank - 1 : $0 - 1 }
    return [KerasTensor(try call.transpose(result, back))]
  }

  /// gamma · (x − mean) / (√(variance + epsilon) + epsilon) + beta.
  private func sampleWise(_ call: LayerCall, _ x: ValueID, _ axis: Int) throws -> ValueID {
    let (centred, variance) = try moments(call, x, [call.type(x).rank - 1])
    let root = try call.unary(.sqrt, try call.unary(.affine, [1, epsilon], variance))
    let result = try call.binary(.div, centred, try call.unary(.affine, [1, epsilon], root))
    // Keras 1 multiplies by plain vectors, which meet the last axis.
    let shape = [try call.fixed(x, axis: axis)]
    let scaled = try call.binary(.mul, result, try call.weight("gamma", shape))
    return try call.binary(.add, scaled, try call.weight("beta", shape))
  }

  /// gamma · (x − mean) / √(variance + epsilon) + beta by the statistics over all axes but one.
  private func batchWise(_ call: LayerCall, _ x: ValueID, _ axis: Int) throws -> ValueID {
    let rank = call.type(x).rank
    let (centred, variance) = try moments(call, x, (0..<rank).filter { $0 != axis })
    var deviation = try call.unary(.sqrt, try call.unary(.affine, [1, epsilon], variance))
    if addsToDeviation { deviation = try call.unary(.affine, [1, epsilon], deviation) }
    let result = try call.binary(.div, centred, deviation)
    let width = try call.fixed(x, axis: axis)
    let broadcast = (0..<rank).map { $0 == axis ? width : 1 }
    let gamma = try call.weight("gamma", [width]) { $0.reshaped(broadcast) }
    let beta = try call.weight("beta", [width]) { $0.reshaped(broadcast) }
    return try call.binary(.add, try call.binary(.mul, result, gamma), beta)
  }

  /// x less its mean over some axes, and its variance there.
  private func moments(_ call: LayerCall, _ x: ValueID, _ axes: [Int]) throws -> (centred: ValueID, variance: ValueID) {
    let mean = try call.add(Reduce(.mean, axes: axes, keepDims: true), [x], "mean")
    let centred = try call.binary(.sub, x, mean)
    let squares = try call.unary(.square, centred)
    return (centred, try call.add(Reduce(.mean, axes: axes, keepDims: true), [squares], "variance"))
  }

  /// Statistics for each position of several axes; the weights have length 1 elsewhere.
  private func overSeveralAxes(_ call: LayerCall, _ x: ValueID, _ axes: [Int]) throws -> ValueID {
    let rank = call.type(x).rank
    let shape = try (0..<rank).map { axes.contains($0) ? try call.fixed(x, axis: $0) : 1 }
    let centred = try call.binary(.sub, x, try call.weight("moving_mean", shape))
    let variance = try call.unary(.affine, [1, epsilon], try call.weight("moving_variance", shape))
    var result = try call.binary(.mul, centred, try call.unary(.rsqrt, variance))
    if scales { result = try call.binary(.mul, result, try call.weight("gamma", shape)) }
    if centers { result = try call.binary(.add, result, try call.weight("beta", shape)) }
    return result
  }
}

/// Keras `LayerNormalization` over one or several axes.
struct LayerNormalization: KerasLayerReader {
  let axes: [Int]
  let epsilon: Double
  let centers: Bool
  let scales: Bool
  /// Keras 3's `rms_scaling`: divided by the deviation, without taking off the mean or adding beta.
  let scalesByDeviation: Bool
  /// Keras 3.0 to 3.3 do not write `rms_scaling`; a missing beta then tells it.
  let mayHideScaling: Bool

  init(_ config: LayerConfig) {
    axes = config.intList("axis") ?? [-1]
    epsilon = config.double("epsilon", 1e-3)
    mayHideScaling = config.dialect.isKeras3 && config.dialect.isBefore(3, 4) && !config.has("rms_scaling")
    scalesByDeviation = config.bool("rms_scaling", false)
    centers = config.bool("center", true) && !scalesByDeviation
    scales = config.bool("scale", true) || scalesByDeviation
    if axes.isEmpty { config.malformed("axis is an empty list") }
  }

  var weights: [WeightSlot] {
    (scales ? [WeightSlot("gamma")] : []) + (centers ? [WeightSlot("beta", optional: scales && mayHideScaling)] : [])
  }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let type = call.type(x)
    let isHidden = mayHideScaling && scales && centers && call.layer.stored["beta"] == nil && call.layer.stored["gamma"] != nil
    let (scalesByDeviation, centers) = (self.scalesByDeviation || isHidden, self.centers && !isHidden)
    let given = axes.compactMap { type.axis($0) }
    let positive = given.sorted()
    guard positive.count == axes.count, Set(positive).count == axes.count else {
      throw KilnError(.badInput, "axis \(axes) does not fit \(type.message)")
    }
    let shape = try positive.map { try call.fixed(x, axis: $0) }
    // Keras 3 sorts the axes before it makes the weights; earlier ones make them in the given order, and then take their
    // elements one after the other for those of the sorted axes.
    let stored = call.dialect.isKeras3 ? shape : try given.map { try call.fixed(x, axis: $0) }
    func weight(_ slot: String) throws -> ValueID {
      let value = try call.weight(slot, stored)
      return stored == shape ? value : try call.reshape(value, shape.map { Dim($0) })
    }
    let others = (0..<type.rank).filter { !positive.contains($0) }
    let forth = others + positive
    let moved = try call.transpose(x, forth)
    var operands = [moved]
    if scales { operands.append(try weight("gamma")) }
    if centers { operands.append(try weight("beta")) }
    let normalized =
      scalesByDeviation
      ? try byDeviation(call, moved, others.count, operands[1])
      : try call.add(
        LayerNorm(axis: others.count, epsilon: epsilon, scale: scales, offset: centers), operands, "layer_norm")
    var back = [Int](repeating: 0, count: type.rank)
    for (position, axis) in forth.enumerated() { back[axis] = position }
    return [KerasTensor(try call.transpose(normalized, back))]
  }

  /// gamma · x / √(variance(x) + epsilon).
  private func byDeviation(_ call: LayerCall, _ x: ValueID, _ first: Int, _ gamma: ValueID) throws -> ValueID {
    let axes = Array(first..<call.type(x).rank)
    let mean = try call.add(Reduce(.mean, axes: axes, keepDims: true), [x], "mean")
    let variance = try call.add(
      Reduce(.mean, axes: axes, keepDims: true), [try call.binary(.squaredDifference, x, mean)], "variance")
    let scale = try call.unary(.rsqrt, try call.unary(.affine, [1, epsilon], variance))
    return try call.binary(.mul, try call.binary(.mul, x, scale), gamma)
  }
}

/// Keras `Rescaling`: x · scale + offset, numbers or lists that broadcast.
struct Rescaling: KerasLayerReader {
  let scale: [Double]
  let offset: [Double]
  let passesMask: Bool

  init(_ config: LayerConfig) {
    scale = Rescaling.numbers(config, "scale", 1)
    offset = Rescaling.numbers(config, "offset", 0)
    passesMask = config.dialect.isKeras3
  }

  private static func numbers(_ config: LayerConfig, _ key: String, _ fallback: Double) -> [Double] {
    guard let value = config.json(key) else { return [fallback] }
    if let items = (value["config"]?["value"] ?? value["value"] ?? value).arrayValue {
      let numbers = items.compactMap(\.doubleValue)
      if numbers.count == items.count, !numbers.isEmpty { return numbers }
      config.malformed("\(key) must be a number or a list of numbers, found \(LayerConfig.describe(value))")
      return [fallback]
    }
    return [config.double(key, fallback)]
  }

  var masking: MaskRule { passesMask ? .passes : .drops }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    if scale.count == 1, offset.count == 1 { return [KerasTensor(try call.unary(.affine, [scale[0], offset[0]], x))] }
    func constant(_ values: [Double], _ name: String) throws -> ValueID {
      call.constant(try Tensor(converting: values, to: call.dtype, shape: [values.count]), name)
    }
    let scaled = try call.binary(.mul, x, try constant(scale, "scale"))
    return [KerasTensor(try call.binary(.add, scaled, try constant(offset, "offset")))]
  }
}

/// Keras `Normalization`: (x − mean) / max(√variance, 1e-7), or the inverse; statistics adapted or given.
struct Normalization: KerasLayerReader {
  let axes: [Int]
  let inverts: Bool
  /// Given in the config; nil when the layer was adapted and they are weights.
  let given: (mean: Statistics, variance: Statistics)?
  let passesMask: Bool

  /// Numbers of any rank.
  struct Statistics {
    var values: [Double]
    var shape: Shape
  }

  init(_ config: LayerConfig) {
    // A null axis is one mean over everything.
    axes = config.has("axis") ? config.intList("axis") ?? [] : [-1]
    inverts = config.bool("invert", false)
    let (mean, variance) = (Normalization.statistics(config, "mean"), Normalization.statistics(config, "variance"))
    if let mean, let variance { given = (mean, variance) } else { given = nil }
    if (mean == nil) != (variance == nil) { config.malformed("mean and variance must be given together") }
    passesMask = config.dialect.isKeras3
    config.ignore("max_tokens")
  }

  private static func statistics(_ config: LayerConfig, _ key: String) -> Statistics? {
    guard let raw = config.json(key) else { return nil }
    let value = raw["config"]?["value"] ?? raw["value"] ?? raw
    if let number = value.doubleValue { return Statistics(values: [number], shape: []) }
    var shape: Shape = []
    var level = [value]
    while let first = level.first, let width = first.arrayValue?.count, shape.count < maximumRank {
      shape.append(width)
      let next = level.flatMap { $0.arrayValue ?? [] }
      guard next.count == level.count * width, next.count <= 1 << 24 else { break }
      level = next
    }
    let numbers = level.compactMap(\.doubleValue)
    guard numbers.count == level.count, numbers.count == checkedProduct(shape) else {
      config.malformed("\(key) must be numbers in a regular list, found \(LayerConfig.describe(raw))")
      return nil
    }
    return Statistics(values: numbers, shape: shape)
  }

  var weights: [WeightSlot] {
    given != nil ? [] : ["mean", "variance", "count"].map { WeightSlot($0, trainable: false) }
  }
  var masking: MaskRule { passesMask ? .passes : .drops }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let type = call.type(x)
    let kept = axes.compactMap { type.axis($0) }.sorted()
    guard kept.count == axes.count else { throw KilnError(.badInput, "axis \(axes) does not fit \(type.message)") }
    let shape = try kept.map { try call.fixed(x, axis: $0) }
    let broadcast = try (0..<type.rank).map { kept.contains($0) ? try call.fixed(x, axis: $0) : 1 }
    let mean: ValueID
    let deviation: Tensor
    if let given {
      mean = call.constant(try spread(given.mean, kept, broadcast, call.dtype), "mean")
      deviation = try spread(given.variance, kept, broadcast, call.dtype)
    } else {
      mean = try call.weight("mean", shape) { $0.reshaped(broadcast) }
      deviation = try call.weightTensor("variance", shape).reshaped(broadcast)
      _ = try call.weightTensor("count", [])
    }
    let bounded = deviation.doubles.map { max($0.squareRoot(), 1e-7) }
    let divisor = call.constant(try Tensor(converting: bounded, to: call.dtype, shape: broadcast), "deviation")
    if inverts { return [KerasTensor(try call.binary(.add, mean, try call.binary(.mul, x, divisor)))] }
    return [KerasTensor(try call.binary(.div, try call.binary(.sub, x, mean), divisor))]
  }

  /// Given statistics over the kept axes: a number goes to all, fewer dims are aligned with the last kept axes.
  private func spread(_ statistics: Statistics, _ kept: [Int], _ broadcast: Shape, _ dtype: DType) throws -> Tensor {
    let mismatch = KilnError(
      .badInput, "mean and variance of shape \(statistics.shape.shapeText) do not fit its axes \(axes)")
    var shape = [Int](repeating: 1, count: broadcast.count)
    // Leading ones of a shape that was given with all its axes mean nothing.
    let lengths = Array(statistics.shape.drop { $0 == 1 && statistics.shape.count > kept.count })
    guard lengths.count <= kept.count || lengths.count == broadcast.count else { throw mismatch }
    if lengths.count == broadcast.count {
      shape = lengths
    } else {
      for (length, axis) in zip(lengths.reversed(), kept.reversed()) { shape[axis] = length }
    }
    guard zip(shape, broadcast).allSatisfy({ $0 == 1 || $0 == $1 }), checkedProduct(shape) == statistics.values.count
    else { throw mismatch }
    return try Tensor(converting: statistics.values, to: dtype, shape: shape)
  }
}

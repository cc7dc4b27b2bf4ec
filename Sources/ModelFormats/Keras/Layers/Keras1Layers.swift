import GraphModule
import TensorModule

/// Keras 1 `Merge`: every merge in one class, told apart by `mode`.
struct LegacyMerge: KerasLayerReader {
  private enum Mode: String, CaseIterable { case sum, mul, concat, ave, cos, dot, max }

  private let mode: Mode
  private let reader: any KerasLayerReader

  init(_ config: LayerConfig) {
    mode = config.choice("mode", .sum)
    func options(_ entries: [(String, JSON)]) -> LayerConfig {
      LayerConfig(
        className: config.className, path: config.path, values: JSONObject(entries), dialect: config.dialect,
        diagnostics: config.diagnostics)
    }
    let axis = JSON.int(config.int("concat_axis", -1, in: -maximumRank...maximumRank))
    let axes = JSON.array((config.intList("dot_axes") ?? [-1]).map { .int($0) })
    reader =
      switch mode {
      case .sum: Merge(config, .add)
      case .mul: Merge(config, .multiply)
      case .ave: Merge(config, .average)
      case .max: Merge(config, .maximum)
      case .concat: Concatenate(options([("axis", axis)]))
      case .dot, .cos: Dot(options([("axes", axes)]))
      }
    config.ignore("layers", "output_shape", "output_mask", "node_indices", "tensor_indices")
    if config.json("output_shape")?.stringValue != nil { config.unsupported("output_shape given as code") }
  }

  var masking: MaskRule { reader.masking }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard mode == .cos else { return try reader.call(call) }
    // dot(a, b) / max(√max(dot(a, a) · dot(b, b), 0), 1e-7), with an axis of length 1 after the batch.
    let inputs = try call.inputs().map { KerasTensor($0) }
    guard inputs.count == 2 else { throw KilnError(.badInput, "takes 2 inputs, found \(inputs.count)") }
    func dot(_ a: KerasTensor, _ b: KerasTensor) throws -> ValueID {
      let inner = LayerCall(
        builder: call.builder, layer: call.layer, arguments: [.list([.leaf(a), .leaf(b)])], keywords: [])
      guard let result = try reader.call(inner).first else { throw KilnError(.internal, "a dot without result") }
      return result.value
    }
    let squares = try call.binary(.mul, try dot(inputs[0], inputs[0]), try dot(inputs[1], inputs[1]))
    let norm = try call.unary(.sqrt, try call.unary(.relu, squares))
    let bound = try call.binary(.max, norm, try call.scalar(1e-7, call.type(norm).dtype))
    let cosine = try call.binary(.div, try dot(inputs[0], inputs[1]), bound)
    return [KerasTensor(try call.expand(cosine, axis: 1))]
  }
}

/// Keras 1 `Highway`: t · h(x · W + b) + (1 − t) · x with t = σ(x · W_carry + b_carry).
struct Highway: KerasLayerReader {
  let activation: ActivationFunction
  let usesBias: Bool

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    activation = .read(config, models)
    usesBias = config.bool("use_bias", true)
  }

  var weights: [WeightSlot] { (["W", "W_carry"] + (usesBias ? ["b", "b_carry"] : [])).map { WeightSlot($0) } }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let width = try call.fixed(x, axis: -1)
    func product(_ kernel: String, _ bias: String) throws -> ValueID {
      let operands = try [call.weight(kernel, [width, width])] + (usesBias ? [call.weight(bias, [width])] : [])
      return try call.add(MatMul(epilogue: Epilogue(bias: usesBias)), [x] + operands, kernel)
    }
    let gate = try call.unary(.sigmoid, try product("W_carry", "b_carry"))
    let changed = try call.binary(.mul, gate, try activation.apply(call, try product("W", "b")))
    let kept = try call.binary(.mul, try call.unary(.affine, [-1, 1], gate), x)
    return [KerasTensor(try call.binary(.add, changed, kept))]
  }
}

/// Keras 1 `MaxoutDense`: the largest of several dense results; W [features, in, out], b [features, out].
struct MaxoutDense: KerasLayerReader {
  let units: Int
  let features: Int
  let usesBias: Bool

  init(_ config: LayerConfig) {
    units = config.int("units")
    features = config.int("nb_feature", 4)
    usesBias = config.bool("use_bias", true)
  }

  var weights: [WeightSlot] { [WeightSlot("W")] + (usesBias ? [WeightSlot("b")] : []) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    guard call.type(x).rank == 2, let batch = call.type(x).dims.first else {
      throw KilnError(.badInput, "needs an input of rank 2, found \(call.type(x).message)")
    }
    let width = try call.fixed(x, axis: -1)
    guard let columns = checkedProduct([features, units]) else {
      throw KilnError(.badInput, "\(features) features of \(units) units")
    }
    if let stored = layerWeight(call), stored.shape == [features, width, units] {
      call.layer.stored["W"] = LegacyWeights.rearranged(stored, [1, 0, 2])
    }
    let kernel = try call.weight("W", [width, features, units]) { $0.reshaped([width, columns]) }
    let bias = usesBias ? [try call.weight("b", [features, units]) { $0.reshaped([columns]) }] : []
    let product = try call.add(MatMul(epilogue: Epilogue(bias: usesBias)), [x, kernel] + bias, "matmul")
    let split = try call.reshape(product, [batch, Dim(features), Dim(units)])
    return [KerasTensor(try call.add(Reduce(.max, axes: [1]), [split], "max"))]
  }

  private func layerWeight(_ call: LayerCall) -> StoredWeight? {
    call.layer.constants["W"] == nil ? call.layer.stored["W"] : nil
  }
}

/// Keras 1 `SReLU`: straight lines of learnt slopes outside two learnt thresholds, x between them.
struct SReLU: KerasLayerReader {
  init(_ config: LayerConfig) { config.ignore("shared_axes") }

  var weights: [WeightSlot] { ["t_left", "a_left", "t_right", "a_right"].map { WeightSlot($0) } }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    func part(_ slot: String) throws -> ValueID { try call.weight(slot, try call.storedShape(slot, x)) }
    let (left, leftSlope) = (try part("t_left"), try part("a_left"))
    let (increment, rightSlope) = (try part("t_right"), try part("a_right"))
    let right = try call.binary(.add, left, try call.unary(.abs, increment))
    func line(_ threshold: ValueID, _ slope: ValueID) throws -> ValueID {
      try call.binary(.add, threshold, try call.binary(.mul, slope, try call.binary(.sub, x, threshold)))
    }
    let below = try call.binary(.less, x, left)
    let above = try call.binary(.greater, x, right)
    let low = try call.add(Elementwise(.select), [below, try line(left, leftSlope), x], "left")
    return [
      KerasTensor(try call.add(Elementwise(.select), [above, try line(right, rightSlope), low], "right"))
    ]
  }
}

/// Keras 1 `ParametricSoftplus`: alpha · softplus(beta · x).
struct ParametricSoftplus: KerasLayerReader {
  init(_ config: LayerConfig) { config.ignore("shared_axes") }

  var weights: [WeightSlot] { [WeightSlot("alphas"), WeightSlot("betas")] }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let beta = try call.weight("betas", try call.storedShape("betas", x))
    let alpha = try call.weight("alphas", try call.storedShape("alphas", x))
    return [KerasTensor(try call.binary(.mul, alpha, try call.unary(.softplus, try call.binary(.mul, beta, x))))]
  }
}

extension LayerCall {
  /// The shape of a weight for each position of `x`, as the file has it: Keras 1 does not write which axes share one.
  ///
  /// - Throws: `KilnError` (`badInput`) when a length is neither 1 nor the input's.
  func storedShape(_ slot: String, _ x: ValueID) throws -> Shape {
    let rank = type(x).rank
    guard let shape = layer.stored[slot]?.shape, shape.count == rank - 1 else {
      throw KilnError(.badInput, "weight \(KilnError.quoted(slot)) must have \(max(rank - 1, 0)) axes")
    }
    return try shape.enumerated().map { $1 == 1 ? 1 : try fixed(x, axis: $0 + 1) }
  }
}

import GraphModule
import TensorModule

/// Rules that fold numbers around a product or convolution into its weights and bias.
enum WeightFoldingRules {
  static let all = [scaleAfter, addAfter, batchNormAfter, batchNormBefore, scaleBefore, addBefore]

  /// A factor and an offset for each channel.
  struct ChannelAffine {
    var factors: [Double]
    var offsets: [Double]

    /// gamma / √(variance + epsilon), and beta − mean times that; nil unless all operands are constants.
    init?(_ op: BatchNorm?, _ operands: [ValueID], _ constant: (ValueID) -> Tensor?) {
      guard let op, operands.count == op.operands.variance + 1, let mean = constant(operands[op.operands.mean])?.doubles,
        let variance = constant(operands[op.operands.variance])?.doubles
      else { return nil }
      var gamma = [Double](repeating: 1, count: mean.count)
      var beta = [Double](repeating: 0, count: mean.count)
      if let index = op.operands.gamma {
        guard let tensor = constant(operands[index]) else { return nil }
        gamma = tensor.doubles
      }
      if let index = op.operands.beta {
        guard let tensor = constant(operands[index]) else { return nil }
        beta = tensor.doubles
      }
      guard mean.count == variance.count, gamma.count == mean.count, beta.count == mean.count else { return nil }
      factors = mean.indices.map { gamma[$0] / (variance[$0] + op.epsilon).squareRoot() }
      offsets = [Double](repeating: 0, count: mean.count)
      for channel in mean.indices { offsets[channel] = beta[channel] - mean[channel] * factors[channel] }
      guard (factors + offsets).allSatisfy({ $0.isFinite && $0.magnitude < 1e30 }) else { return nil }
    }
  }

  /// The linear op with its result scaled and shifted channel by channel.
  private static func applyAfter(
    _ m: Match, _ draft: inout Draft, factors: [Double]?, offsets: [Double]?
  ) throws -> ValueID? {
    guard var linear = LinearOp(m.anyOp("linear")), !linear.epilogue.residual, let w = m.tensor("w") else { return nil }
    let operands = m.operands("linear")
    var bias: [Double]?
    if let index = linear.epilogue.biasIndex() {
      guard let tensor = draft.constantValue(operands[index]) else { return nil }
      bias = tensor.doubles
    }
    var weights = try m.value("w")
    if let factors {
      guard let axis = linear.channelAxis(w.shape.count), axis < w.shape.count, w.shape[axis] == factors.count else { return nil }
      let scaled = try Weights.scaled(w, axis: axis, by: factors)
      weights = draft.constant(scaled, like: weights)
      bias = bias.map { zip($0, factors).map(*) }
    }
    if let offsets { bias = bias.map { zip($0, offsets).map(+) } ?? offsets }
    var biasValue: ValueID?
    if let bias {
      guard bias.allSatisfy({ $0.magnitude < 1e37 }) else { return nil }
      let tensor = try Tensor(converting: bias, to: w.dtype, shape: [bias.count])
      biasValue = draft.constant(tensor, like: linear.epilogue.biasIndex().map { operands[$0] })
      linear.epilogue.bias = true
    }
    return try draft.add(linear.op, linear.operands(try m.value("x"), weights, bias: biasValue, residual: nil))
  }

  private static let constantLinear = Pattern.linear(as: "linear", "x", .constant("w"))

  /// A linear op of every kind, for witnesses.
  private static func linear(_ w: inout WitnessBuilder, bias: Bool, activation: Activation = .identity) throws -> ValueID {
    let epilogue = Epilogue(bias: bias, activation: activation)
    let b = bias ? [try w.weights([4])] : []
    switch w.size(0...4) {
    case 0:
      let (x, k) = (try w.input([1, 5, 4, 6]), try w.weights([3, 2, 3, 4]))
      return try w.addMany(Conv(strides: [1, 2], padding: .same, groups: 2, epilogue: epilogue), [x, k] + b)[0]
    case 1:
      let (x, k) = (try w.input([1, 5, 4, 2]), try w.weights([3, 2, 1, 4]))
      return try w.addMany(Conv(strides: [2, 1], groups: 2, epilogue: epilogue), [x, k] + b)[0]
    case 2:
      let (x, k) = (try w.input([2, 3, 2]), try w.weights([3, 4, 2]))
      return try w.addMany(ConvTranspose(strides: [2], epilogue: epilogue), [x, k] + b)[0]
    case 3:
      let (x, k) = (try w.input([3, 5]), try w.weights([4, 5]))
      return try w.addMany(MatMul(transposeB: true, epilogue: epilogue), [x, k] + b)[0]
    default:
      let (x, k) = (try w.input([2, 3, 5]), try w.weights([5, 4]))
      return try w.addMany(MatMul(epilogue: epilogue), [x, k] + b)[0]
    }
  }

  private static func coin(_ w: inout WitnessBuilder) -> Bool { w.size(0...1) == 0 }

  private static func channelValues(_ m: Match) -> [Double]? {
    guard let c = m.tensor("c"), let channels = m.result.dims.last?.fixed else { return nil }
    return ChannelConstant.values(c, channels: channels, rank: m.result.rank)
  }

  private static let scaleAfter = Rule(
    "scale-into-weights", "(x ∗ w + b) · c → x ∗ (w · c) + b · c, c one number or one for each channel",
    find: .mul(constantLinear, .constant("c")),
    rewrite: { m, draft in
      guard let c = channelValues(m), c.allSatisfy({ $0.magnitude < 1e18 }) else { return nil }
      return try applyAfter(m, &draft, factors: c, offsets: nil)
    }, exactness: .folded, mayDiffer: [.nan], phase: .foldConstants,
    witness: { w in
      let y = try linear(&w, bias: coin(&w))
      return try w.add(.mul, y, coin(&w) ? try w.weights([4]) : try w.scalar(0.5))
    },
    refusals: [
      { w in try w.add(.mul, try linear(&w, bias: true, activation: Activation(.tanh)), try w.weights([4])) },
      { w in try w.add(.mul, try w.add(MatMul(), try w.input([3, 5]), try w.weights([5, 4])), try w.weights([3, 1])) },
      { w in try w.add(.mul, try w.add(MatMul(), try w.input([3, 5]), try w.input([5, 4])), try w.weights([4])) },
    ])

  private static let addAfter = Rule(
    "add-into-bias", "(x ∗ w + b) + c → x ∗ w + (b + c), c one number or one for each channel",
    find: .add(.linear(as: "linear"), .constant("c")),
    rewrite: { m, draft in
      guard let c = channelValues(m), var op = LinearOp(m.anyOp("linear")) else { return nil }
      let operands = m.operands("linear")
      var bias = c
      if let index = op.epilogue.biasIndex() {
        guard let old = draft.constantValue(operands[index])?.doubles else { return nil }
        bias = zip(old, c).map(+)
      }
      let residual = op.epilogue.residualIndex().map { operands[$0] }
      let value = draft.constant(try Tensor(converting: bias, to: m.result.dtype, shape: [bias.count]), like: try m.value("c"))
      op.epilogue.bias = true
      return try draft.add(op.op, op.operands(try m.value("x"), try m.value("w"), bias: value, residual: residual))
    }, exactness: .folded, phase: .foldConstants,
    witness: { w in
      let y = try linear(&w, bias: coin(&w))
      return try w.add(.add, y, coin(&w) ? try w.weights([4]) : try w.scalar(0.5))
    },
    refusals: [
      { w in try w.add(.add, try linear(&w, bias: true, activation: Activation(.tanh)), try w.weights([4])) },
      { w in try w.add(.add, try w.add(MatMul(), try w.input([3, 5]), try w.weights([5, 4])), try w.weights([3, 1])) },
    ])

  private static let batchNormAfter = Rule(
    "batch-norm-into-weights", "batch_norm(x ∗ w + b) → x ∗ (w · s) + (b − mean) · s + beta, s = gamma / √(variance + ε)",
    find: .op(BatchNorm.self, as: "norm", .first([constantLinear])),
    rewrite: { m, draft in
      let constants = draft
      guard let affine = ChannelAffine(m.op("norm"), m.operands("norm"), { constants.constantValue($0) }) else { return nil }
      return try applyAfter(m, &draft, factors: affine.factors, offsets: affine.offsets)
    }, exactness: .folded, mayDiffer: [.nan], phase: .foldConstants,
    witness: { w in
      let y = try linear(&w, bias: coin(&w))
      return try batchNorm(&w, y, channels: 4)
    },
    refusals: [
      { w in
        let y = try linear(&w, bias: true, activation: Activation(.relu))
        return try batchNorm(&w, y, channels: 4)
      },
      { w in
        let y = try linear(&w, bias: true)
        return try w.addMany(
          BatchNorm(epsilon: 1e-3, scale: false, offset: false), [y, try w.weights([4]), try w.input([4])])[0]
      },
    ])

  static func batchNorm(_ w: inout WitnessBuilder, _ x: ValueID, channels: Int) throws -> ValueID {
    let op = BatchNorm(epsilon: 1e-3, scale: coin(&w), offset: coin(&w))
    var operands = [x]
    if op.scale { operands.append(try w.weights([channels])) }
    if op.offset { operands.append(try w.weights([channels])) }
    operands += [try w.weights([channels]), try w.weights([channels], positive: true)]
    return try w.addMany(op, operands)[0]
  }

  // MARK: Before

  /// The linear op with its input's channels scaled and shifted: the shift only where no padding is read.
  private static func applyBefore(
    _ m: Match, _ draft: inout Draft, factors: [Double]?, offsets: [Double]?
  ) throws -> ValueID? {
    guard var linear = LinearOp(m.anyOp("linear")), let w = m.tensor("w") else { return nil }
    let operands = m.operands("linear")
    guard let groups = inputGroups(linear), offsets == nil || readsNoPadding(linear, w) else { return nil }
    var weights = try m.value("w")
    var bias = linear.epilogue.biasIndex().map { operands[$0] }
    if let offsets {
      var sums = try Weights.weightedSums(w, groups: groups, offsets)
      if let old = bias {
        guard let tensor = draft.constantValue(old) else { return nil }
        sums = zip(sums, tensor.doubles).map(+)
      }
      guard sums.allSatisfy({ $0.magnitude < 1e37 }) else { return nil }
      bias = draft.constant(try Tensor(converting: sums, to: w.dtype, shape: [sums.count]), like: bias)
    }
    if let factors { weights = draft.constant(try Weights.scaledInputs(w, groups: groups, by: factors), like: weights) }
    let residual = linear.epilogue.residualIndex().map { operands[$0] }
    linear.epilogue.bias = bias != nil
    return try draft.add(linear.op, linear.operands(try m.value("x"), weights, bias: bias, residual: residual))
  }

  /// The groups of a kernel `[..., in / groups, out]`, or nil for other layouts.
  private static func inputGroups(_ linear: LinearOp) -> Int? {
    switch linear.op {
    case let op as Conv: op.groups
    case let op as MatMul where !op.transposeA && !op.transposeB: 1
    default: nil
    }
  }

  private static func readsNoPadding(_ linear: LinearOp, _ w: Tensor) -> Bool {
    guard let conv = linear.op as? Conv else { return true }
    switch conv.padding {
    case .valid: return true
    case .same: return w.shape.dropLast(2).allSatisfy { $0 == 1 }
    case .explicit(let amounts): return amounts.allSatisfy { $0.low == 0 && $0.high == 0 }
    }
  }

  private static func inputValues(_ m: Match) -> [Double]? {
    guard let c = m.tensor("c"), let channels = m["x"].dims.last?.fixed else { return nil }
    guard m["c"].rank <= m["x"].rank else { return nil }
    return ChannelConstant.values(c, channels: channels, rank: m["x"].rank)
  }

  private static func before(_ node: Pattern) -> Pattern { .linear(as: "linear", node, .constant("w")) { _ in true } }

  /// A linear op that reads a value of 6 channels, for witnesses.
  private static func reader(_ w: inout WitnessBuilder, _ x: ValueID, padded: Bool) throws -> ValueID {
    let epilogue = Epilogue(bias: coin(&w), activation: coin(&w) ? .identity : Activation(.tanh))
    let b = epilogue.bias ? [try w.weights([4])] : []
    switch w.size(0...(padded ? 1 : 2)) {
    case 0:
      let k = try w.weights([3, 2, 3, 4])
      return try w.addMany(
        Conv(strides: [1, 2], padding: padded ? .same : .valid, groups: 2, epilogue: epilogue), [x, k] + b)[0]
    case 1:
      let k = try w.weights([3, 3, 6, 4])
      return try w.addMany(Conv(strides: [1, 1], padding: padded ? .same : .valid, epilogue: epilogue), [x, k] + b)[0]
    default: return try w.addMany(MatMul(epilogue: epilogue), [x, try w.weights([6, 4])] + b)[0]
    }
  }

  private static let batchNormBefore = Rule(
    "batch-norm-before-into-weights", "batch_norm(x) ∗ w → x ∗ (w · s) + (beta − mean · s) ∗ w, where no padding is read",
    find: before(.op(BatchNorm.self, as: "norm", .first(["x"]))),
    rewrite: { m, draft in
      let constants = draft
      guard let affine = ChannelAffine(m.op("norm"), m.operands("norm"), { constants.constantValue($0) }) else { return nil }
      return try applyBefore(m, &draft, factors: affine.factors, offsets: affine.offsets)
    }, exactness: .folded, mayDiffer: [.nan], phase: .foldConstants,
    witness: { w in
      let x = try batchNorm(&w, try w.input([1, 5, 4, 6]), channels: 6)
      return try reader(&w, x, padded: false)
    },
    refusals: [
      { w in
        let x = try batchNorm(&w, try w.input([1, 5, 4, 6]), channels: 6)
        return try reader(&w, x, padded: true)
      }
    ])

  private static let scaleBefore = Rule(
    "scale-before-into-weights", "(x · c) ∗ w → x ∗ (w · c), c one number or one for each channel",
    find: before(.mul("x", .constant("c"))),
    rewrite: { m, draft in
      guard let c = inputValues(m), c.allSatisfy({ $0.magnitude < 1e18 }) else { return nil }
      return try applyBefore(m, &draft, factors: c, offsets: nil)
    }, exactness: .folded, mayDiffer: [.nan], phase: .foldConstants,
    witness: { w in
      let c = coin(&w) ? try w.weights([6]) : try w.scalar(0.125)
      let x = try w.add(.mul, try w.input([1, 5, 4, 6]), c)
      return try reader(&w, x, padded: coin(&w))
    },
    refusals: [
      { w in try reader(&w, try w.add(.mul, try w.input([1, 5, 4, 6]), try w.weights([4, 1])), padded: false) },
      { w in
        let x = try w.add(.mul, try w.input([5, 6]), try w.weights([6]))
        return try w.add(MatMul(transposeA: true), x, try w.weights([5, 4]))
      },
    ])

  private static let addBefore = Rule(
    "add-before-into-bias", "(x + c) ∗ w → x ∗ w + c ∗ w, where no padding is read",
    find: before(.add("x", .constant("c"))),
    rewrite: { m, draft in
      guard let c = inputValues(m) else { return nil }
      return try applyBefore(m, &draft, factors: nil, offsets: c)
    }, exactness: .folded, mayDiffer: [.nan], phase: .foldConstants,
    witness: { w in
      let c = coin(&w) ? try w.weights([6]) : try w.scalar(0.125)
      return try reader(&w, try w.add(.add, try w.input([1, 5, 4, 6]), c), padded: false)
    },
    refusals: [
      { w in try reader(&w, try w.add(.add, try w.input([1, 5, 4, 6]), try w.weights([6])), padded: true) }
    ])
}

import GraphModule
import TensorModule

/// Rules that fuse what follows a product or convolution into its epilogue: activation(result + bias + residual).
enum EpilogueRules {
  static let all = [bias, residual, activation, scale, activationThroughPool, batchNormToAffine]

  /// A product or convolution of every kind with a result of 4 channels, for witnesses.
  private static func linear(_ w: inout WitnessBuilder, _ epilogue: Epilogue = .none) throws -> ValueID {
    let b = epilogue.bias ? [try w.weights([4])] : []
    switch w.size(0...3) {
    case 0:
      let (x, k) = (try w.input([1, 5, 4, 6]), try w.weights([3, 2, 3, 4]))
      return try w.addMany(Conv(strides: [1, 2], padding: .same, groups: 2, epilogue: epilogue), [x, k] + b)[0]
    case 1:
      let (x, k) = (try w.input([2, 3, 2]), try w.weights([3, 4, 2]))
      return try w.addMany(ConvTranspose(strides: [2], epilogue: epilogue), [x, k] + b)[0]
    case 2:
      let (x, k) = (try w.input([2, 3, 5]), try w.input([2, 5, 4]))
      return try w.addMany(MatMul(epilogue: epilogue), [x, k] + b)[0]
    default:
      let (x, k) = (try w.input([2, 3, 5]), try w.weights([5, 4]))
      return try w.addMany(MatMul(epilogue: epilogue), [x, k] + b)[0]
    }
  }

  private static let bias = Rule(
    "bias-into-epilogue", "x ∗ w + b → x ∗ w with the bias b, b one number for each channel that is computed",
    find: .add(.linear(as: "linear") { $0.isLinear && !$0.epilogue.bias }, "b"),
    rewrite: { m, draft in
      guard var op = LinearOp(m.anyOp("linear")) else { return nil }
      let residual = op.epilogue.residualIndex().map { m.operands("linear")[$0] }
      op.epilogue.bias = true
      return try draft.add(
        op.op, op.operands(try m.value("x"), try m.value("w"), bias: try m.value("b"), residual: residual))
    },
    when: { m in m["b"].rank == 1 && m["b"].dims.first == m.result.dims.last && m.result.rank > 1 },
    exactness: .folded, phase: .fuse,
    witness: { w in try w.add(.add, try linear(&w), try w.input([4])) },
    refusals: [
      { w in try w.add(.add, try linear(&w, Epilogue(activation: Activation(.relu))), try w.input([4])) },
      { w in try w.add(.add, try linear(&w), try w.input([1])) },
    ])

  private static let residual = Rule(
    "residual-into-epilogue", "x ∗ w + r → x ∗ w with the residual r, of the later of two products",
    find: .add(.linear(as: "linear") { $0.isLinear && !$0.epilogue.residual }, "r"),
    rewrite: { m, draft in
      guard var op = LinearOp(m.anyOp("linear")) else { return nil }
      let bias = op.epilogue.biasIndex().map { m.operands("linear")[$0] }
      op.epilogue.residual = true
      return try draft.add(
        op.op, op.operands(try m.value("x"), try m.value("w"), bias: bias, residual: try m.value("r")))
    },
    when: { m in m["r"] == m.result && !isBetterHost(m) }, exactness: .folded, phase: .fuse,
    witness: { w in
      let y = try linear(&w, Epilogue(bias: w.size(0...1) == 0))
      let r = try w.input(w.graph.type(of: y).dims)
      return w.size(0...1) == 0 ? try w.add(.add, y, r) : try w.add(.add, r, y)
    },
    refusals: [
      { w in
        let y = try linear(&w, Epilogue(activation: Activation(.relu)))
        return try w.add(.add, y, try w.input(w.graph.type(of: y).dims))
      },
      { w in
        let y = try linear(&w)
        return try w.add(.add, y, try w.input([1] + w.graph.type(of: y).dims.dropFirst().map { _ in 1 }))
      },
    ])

  /// Whether the other operand is a product too that could take this one in, and comes later.
  private static func isBetterHost(_ m: Match) -> Bool {
    guard let id = m.values["r"], let node = m.producer(of: id), let op = LinearOp(node.op), op.isLinear,
      !op.epilogue.residual, m.isPrivate(id)
    else { return false }
    return m.comes("linear", before: id)
  }

  private static let activation = Rule(
    "activation-into-epilogue", "f(x ∗ w + b + r) → x ∗ w with bias, residual and activation f",
    find: .elementwise(as: "f", .exactly([.linear(as: "linear")])) {
      $0.function.arity == 1 && !$0.function.isPredicate && !$0.function.isSpecial && $0.function != .identity
    },
    rewrite: { m, draft in
      guard var op = LinearOp(m.anyOp("linear")), let f: Elementwise = m.op("f") else { return nil }
      op.epilogue.activation = Activation(f.function, f.parameters)
      return try draft.add(op.op, m.operands("linear"))
    }, phase: .fuse,
    witness: { w in
      let y = try linear(&w, Epilogue(bias: w.size(0...1) == 0))
      let f = [Elementwise(.relu), Elementwise(.clip, [0, 6]), Elementwise(.sigmoid), Elementwise(.leakyRelu, [0.25])]
      return try w.add(f[w.size(0...3)], y)
    },
    refusals: [{ w in try w.add(.relu, try linear(&w, Epilogue(activation: Activation(.sigmoid)))) }])

  private static let scale = Rule(
    "scale-into-epilogue", "(x ∗ w + b) · c → x ∗ w with the activation affine(c, 0), c one number",
    find: .mul(.linear(as: "linear") { $0.isLinear }, .splat("c")),
    rewrite: { m, draft in
      guard var op = LinearOp(m.anyOp("linear")), let c = m.number("c") else { return nil }
      op.epilogue.activation = Activation(.affine, [c, 0])
      return try draft.add(op.op, m.operands("linear"))
    }, when: { m in m["c"].rank <= m.result.rank && m.number("c")?.isFinite == true }, mayDiffer: .signedZero, phase: .fuse,
    witness: { w in
      let (x, k) = (try w.input([2, 3, 5]), try w.input([2, 5, 4]))
      return try w.add(.mul, try w.add(MatMul(), x, k), try w.scalar(0.125))
    },
    refusals: [
      { w in try w.add(.mul, try w.add(MatMul(), try w.input([2, 3, 5]), try w.input([2, 5, 4])), try w.input([4])) },
      { w in
        let y = try w.add(MatMul(epilogue: Epilogue(activation: Activation(.relu))), try w.input([3, 5]), try w.input([5, 4]))
        return try w.add(.mul, y, try w.scalar(0.125))
      },
    ])

  /// Functions that keep the order of numbers and cost nothing in an epilogue.
  private static func isMonotone(_ op: Elementwise) -> Bool {
    switch op.function {
    case .relu: true
    case .clip: op.parameters.count == 2 && op.parameters[0] <= op.parameters[1]
    case .leakyRelu: op.parameters.first.map { $0 >= 0 && $0.isFinite } ?? false
    default: false
    }
  }

  private static let activationThroughPool = Rule(
    "activation-through-pool", "f(max_pool(x ∗ w + b)) → max_pool(f(x ∗ w + b)) for relu, clip and leaky_relu",
    find: .elementwise(as: "f", .exactly([.op(Pool.self, as: "pool", .exactly([.linear(as: "linear")])) { $0.kind == .max }])) {
      isMonotone($0)
    },
    rewrite: { m, draft in
      guard var op = LinearOp(m.anyOp("linear")), let f: Elementwise = m.op("f"), let pool: Pool = m.op("pool") else { return nil }
      op.epilogue.activation = Activation(f.function, f.parameters)
      return try draft.add(pool, [try draft.add(op.op, m.operands("linear"))])
    }, mayDiffer: [.nan, .signedZero], phase: .fuse,
    witness: { w in
      let y = try w.add(Conv(strides: [1, 1], padding: .same), try w.input([1, 6, 6, 3]), try w.weights([3, 3, 3, 4]))
      let pooled = try w.add(Pool(.max, window: [2, 2], strides: [2, 2]), y)
      return try w.add([Elementwise(.relu), Elementwise(.clip, [0, 6]), Elementwise(.leakyRelu, [0.25])][w.size(0...2)], pooled)
    },
    refusals: [
      { w in
        let y = try w.add(Conv(strides: [1, 1], padding: .same), try w.input([1, 6, 6, 3]), try w.weights([3, 3, 3, 4]))
        return try w.add(.relu, try w.add(Pool(.average, window: [2, 2], strides: [2, 2]), y))
      },
      { w in
        let y = try w.add(Conv(strides: [1, 1], padding: .same), try w.input([1, 6, 6, 3]), try w.weights([3, 3, 3, 4]))
        return try w.add(Elementwise(.leakyRelu, [-0.25]), try w.add(Pool(.max, window: [2, 2], strides: [2, 2]), y))
      },
    ])

  private static let batchNormToAffine = Rule(
    "batch-norm-to-affine", "batch_norm(x) → x · s + (beta − mean · s), s = gamma / √(variance + ε)",
    find: .op(BatchNorm.self, as: "norm", .first(["x"])),
    rewrite: { m, draft in
      let constants = draft
      guard
        let affine = WeightFoldingRules.ChannelAffine(m.op("norm"), m.operands("norm"), { constants.constantValue($0) })
      else { return nil }
      let (count, dtype) = (affine.factors.count, m["x"].dtype)
      let parameters = m.operands("norm")
      let factors = draft.constant(
        try Tensor(converting: affine.factors, to: dtype, shape: [count]), like: parameters.last)
      let offsets = draft.constant(
        try Tensor(converting: affine.offsets, to: dtype, shape: [count]), like: parameters.dropLast().last)
      return try draft.add(.add, [], [try draft.add(.mul, [], [try m.value("x"), factors]), offsets])
    }, exactness: .folded, phase: .fuse,
    witness: { w in try WeightFoldingRules.batchNorm(&w, try w.input([2, 3, 5]), channels: 5) },
    refusals: [
      { w in
        try w.addMany(
          BatchNorm(epsilon: 1e-3, scale: false, offset: false),
          [try w.input([2, 4]), try w.weights([4]), try w.input([4])])[0]
      }
    ])
}

import GraphModule
import TensorModule

/// Rules that move a pad into the window op that reads it.
enum PaddingRules {
  static let all = [intoConv, intoAverage, intoMaximum]

  /// The pad's amounts for each spatial axis of a channels-last tensor, when it pads nothing else.
  private static func spatial(_ pad: Pad?) -> [Padding.Amount]? {
    guard let pad, pad.mode == .constant, pad.low.count >= 3, let last = pad.low.indices.last,
      pad.low[0] == 0, pad.high[0] == 0, pad.low[last] == 0, pad.high[last] == 0
    else { return nil }
    return (1..<last).map { Padding.Amount(pad.low[$0], pad.high[$0]) }
  }

  /// What a window op's padding and the pad before it add up to; nil for `same`, whose amounts depend on the length.
  private static func sum(_ padding: Padding, _ amounts: [Padding.Amount]?) -> Padding? {
    guard let amounts else { return nil }
    switch padding {
    case .valid: return .explicit(amounts)
    case .explicit(let own) where own.count == amounts.count:
      return .explicit(zip(own, amounts).map { Padding.Amount($0.low + $1.low, $0.high + $1.high) })
    default: return nil
    }
  }

  private static let pad = Pattern.op(Pad.self, as: "pad", .exactly(["x"]))

  private static let intoConv = Rule(
    "pad-into-conv", "conv(pad(x, 0)) → conv(x) with explicit padding",
    find: .op(Conv.self, as: "conv", .first([pad])),
    rewrite: { m, draft in
      guard var conv: Conv = m.op("conv"), let padding = sum(conv.padding, spatial(m.op("pad"))) else { return nil }
      conv.padding = padding
      return try draft.add(conv, [try m.value("x")] + m.operands("conv").dropFirst())
    },
    when: { m in (m.op("pad") as Pad?)?.value == 0 }, exactness: .folded, phase: .simplify,
    witness: { w in
      let x = try w.add(Pad(.constant, low: [0, 1, 0, 0], high: [0, 2, 1, 0]), try w.input([1, 4, 5, 3]))
      let padding: Padding = w.size(0...1) == 0 ? .valid : .explicit([.init(1, 0), .init(0, 1)])
      return try w.add(Conv(strides: [2, 1], padding: padding), x, try w.weights([3, 2, 3, 4]))
    },
    refusals: [
      { w in
        let x = try w.add(Pad(.constant, low: [0, 1, 0, 0], high: [0, 2, 1, 0], value: 1), try w.input([1, 4, 5, 3]))
        return try w.add(Conv(strides: [1, 1]), x, try w.weights([3, 2, 3, 4]))
      },
      { w in
        let x = try w.add(Pad(.constant, low: [0, 0, 0, 1], high: [0, 0, 0, 0]), try w.input([1, 4, 5, 3]))
        return try w.add(Conv(strides: [1, 1]), x, try w.weights([3, 2, 4, 4]))
      },
      { w in
        let x = try w.add(Pad(.reflect, low: [0, 1, 1, 0], high: [0, 0, 0, 0]), try w.input([1, 4, 5, 3]))
        return try w.add(Conv(strides: [1, 1]), x, try w.weights([3, 2, 3, 4]))
      },
      { w in
        let x = try w.add(Pad(.constant, low: [0, 1, 0, 0], high: [0, 2, 1, 0]), try w.input([1, 4, 5, 3]))
        return try w.add(Conv(strides: [2, 2], padding: .same), x, try w.weights([3, 2, 3, 4]))
      },
    ])

  private static let intoAverage = Rule(
    "pad-into-average-pool", "average_pool(pad(x, 0)) → average_pool(x) that counts its padding",
    find: .op(Pool.self, as: "pool", .exactly([pad])) { $0.kind == .average },
    rewrite: { m, draft in
      guard var pool: Pool = m.op("pool"), let padding = sum(pool.padding, spatial(m.op("pad"))) else { return nil }
      pool.padding = padding
      pool.countsPadding = true
      return try draft.add(pool, [try m.value("x")])
    },
    when: { m in
      guard let pad: Pad = m.op("pad"), let pool: Pool = m.op("pool") else { return false }
      return pad.value == 0 && (pool.padding == .valid || pool.countsPadding)
    }, exactness: .folded, phase: .simplify,
    witness: { w in
      let x = try w.add(Pad(.constant, low: [0, 1, 0, 0], high: [0, 1, 1, 0]), try w.input([1, 4, 5, 3]))
      return try w.add(Pool(.average, window: [2, 3], strides: [1, 2]), x)
    },
    refusals: [
      { w in
        let x = try w.add(Pad(.constant, low: [0, 1, 0, 0], high: [0, 1, 1, 0]), try w.input([1, 4, 5, 3]))
        return try w.add(Pool(.average, window: [2, 3], strides: [1, 2], padding: .explicit([.init(0, 1), .init(1, 0)])), x)
      },
      { w in
        let x = try w.add(Pad(.constant, low: [0, 3, 0, 0], high: [0, 1, 1, 0]), try w.input([1, 4, 5, 3]))
        return try w.add(Pool(.average, window: [2, 3], strides: [1, 2]), x)
      },
    ])

  private static let intoMaximum = Rule(
    "pad-into-max-pool", "max_pool(pad(x, v)) → max_pool(x) with padding, for v = −∞, or v = 0 and x ≥ 0",
    find: .op(Pool.self, as: "pool", .exactly([pad])) { $0.kind == .max },
    rewrite: { m, draft in
      guard var pool: Pool = m.op("pool"), let padding = sum(pool.padding, spatial(m.op("pad"))) else { return nil }
      pool.padding = padding
      return try draft.add(pool, [try m.value("x")])
    },
    when: { m in
      guard let pad: Pad = m.op("pad"), let pool: Pool = m.op("pool") else { return false }
      if pad.value == -.infinity { return true }
      // Padding of the pool's own counts as −∞, so a window of nothing but padding would tell them apart.
      guard pad.value == 0, pool.padding == .valid, m["x"].dtype.isFloat else { return false }
      return m.values["x"].map { isNonNegative($0, m, depth: 0) } ?? false
    }, mayDiffer: .signedZero, phase: .simplify,
    witness: { w in
      let x = try w.add(.relu, try w.input([1, 4, 5, 3]))
      let padded = try w.add(Pad(.constant, low: [0, 1, 1, 0], high: [0, 1, 1, 0]), x)
      return try w.add(Pool(.max, window: [3, 3], strides: [2, 2]), padded)
    },
    refusals: [
      { w in
        let padded = try w.add(Pad(.constant, low: [0, 1, 1, 0], high: [0, 1, 1, 0]), try w.input([1, 4, 5, 3]))
        return try w.add(Pool(.max, window: [3, 3], strides: [2, 2]), padded)
      },
      { w in
        let x = try w.add(.relu, try w.input([1, 4, 5, 3]))
        let padded = try w.add(Pad(.constant, low: [0, 3, 1, 0], high: [0, 1, 1, 0]), x)
        return try w.add(Pool(.max, window: [3, 3], strides: [2, 2]), padded)
      },
    ])

  /// Whether no element of a value can be below zero.
  private static func isNonNegative(_ id: ValueID, _ match: Match, depth: Int) -> Bool {
    guard depth < 8, let node = match.producer(of: id) else { return false }
    func isNonNegative(_ activation: Activation) -> Bool {
      switch activation.function {
      case .relu, .sigmoid, .abs, .square, .softplus, .exp, .hardSigmoid: return true
      case .clip: return activation.parameters.first.map { $0 >= 0 } ?? false
      default: return false
      }
    }
    switch node.op {
    case let op as Elementwise where op.function.arity == 1: return isNonNegative(Activation(op.function, op.parameters))
    case let op as Pool where op.kind == .max:
      return node.inputs.allSatisfy { self.isNonNegative($0, match, depth: depth + 1) }
    case is Concat: return node.inputs.allSatisfy { self.isNonNegative($0, match, depth: depth + 1) }
    case let op: return LinearOp(op).map { isNonNegative($0.epilogue.activation) } ?? false
    }
  }
}

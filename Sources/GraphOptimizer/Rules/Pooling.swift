import GraphModule
import TensorModule

/// Rules that exchange an average with a convolution of one tap, which commute: whichever comes second has less to do.
enum PoolingRules {
  static let all = [averageFirst, averageLast]

  /// Whether the convolution computes each position from that position alone, and the average of a sum with its bias is the sum
  /// of the average with it.
  private static func commute(_ m: Match) -> Bool {
    guard let conv: Conv = m.op("conv"), let pool: Pool = m.op("pool"), !conv.epilogue.residual, conv.epilogue.activation == .identity,
      m["w"].dims.dropLast(2).allSatisfy({ $0 == 1 }), conv.strides.allSatisfy({ $0 == 1 })
    else { return false }
    if case .explicit(let amounts) = conv.padding, !amounts.allSatisfy({ $0.low == 0 && $0.high == 0 }) { return false }
    if !conv.epilogue.bias { return true }
    // A window of nothing but padding, over an axis that may be empty, is 0 and not the average of the bias.
    if case .explicit(let amounts) = pool.padding, amounts.contains(where: { $0.low > 0 || $0.high > 0 }) {
      guard m["x"].dims.dropFirst().dropLast().allSatisfy({ ($0.fixed ?? 0) > 0 }) else { return false }
    }
    return !pool.countsPadding && pool.dilations.allSatisfy { $0 == 1 }
  }

  /// The channels that the convolution reads and makes.
  private static func channels(_ m: Match) -> (read: Int, made: Int)? {
    guard let w = m["w"].shape, let made = w.last, let read = (m.op("conv") as Conv?).map({ $0.groups * w[w.count - 2] }) else { return nil }
    return (read, made)
  }

  private static func pooling(
    _ w: inout WitnessBuilder, _ pool: Pool, channels: Int, made: Int, epilogue: Epilogue = Epilogue(bias: true), window: Int = 1,
    first: Bool = false
  ) throws -> ValueID {
    let x = try w.input([1, 5, 6, Dim(channels)])
    let parameters = [try w.weights([window, window, channels, made])] + (epilogue.bias ? [try w.weights([made])] : [])
    let conv = Conv(strides: [1, 1], padding: .same, epilogue: epilogue)
    if first { return try w.addMany(conv, [try w.add(pool, x)] + parameters)[0] }
    return try w.add(pool, try w.addMany(conv, [x] + parameters)[0])
  }

  private static let halving = Pool(.average, window: [2, 2], strides: [2, 2])
  private static let smoothing = Pool(.average, window: [3, 3], strides: [1, 1], padding: .same)

  private static let averageFirst = Rule(
    "average-pool-first", "average_pool(x ∗ w + b) → average_pool(x) ∗ w + b for w of one tap and an average with strides",
    find: .op(Pool.self, as: "pool", .exactly([.op(Conv.self, as: "conv", .first(["x", .constant("w")]))])) {
      $0.kind == .average && $0.strides.contains { $0 > 1 }
    },
    rewrite: { m, draft in
      guard let conv: Conv = m.op("conv"), let pool: Pool = m.op("pool") else { return nil }
      return try draft.add(conv, [try draft.add(pool, [try m.value("x")])] + m.operands("conv").dropFirst())
    },
    when: { m in
      guard commute(m), let (read, made) = channels(m), let pool: Pool = m.op("pool") else { return false }
      // An element that the average reads takes the time of about four products.
      func product(_ lengths: [Int]) -> Double { lengths.reduce(1) { $0 * Double($1) } }
      let (taps, saved) = (product(pool.window), product(pool.strides) - 1)
      return saved * Double(read) * Double(made) >= 4 * taps * Double(read - made)
    }, exactness: .folded, phase: .fuse,
    witness: { w in
      let pools = [
        halving, Pool(.average, window: [3, 2], strides: [2, 1], padding: .same),
        Pool(.average, window: [3, 3], strides: [2, 2], padding: .explicit([.init(1, 1), .init(0, 2)])),
      ]
      return try pooling(&w, pools[w.size(0...2)], channels: w.size(1...5), made: 5, epilogue: Epilogue(bias: w.size(0...1) == 0))
    },
    refusals: [
      { w in try pooling(&w, smoothing, channels: 3, made: 4) },
      { w in try pooling(&w, Pool(.max, window: [2, 2], strides: [2, 2]), channels: 3, made: 4) },
      { w in try pooling(&w, halving, channels: 3, made: 4, window: 3) },
      { w in try pooling(&w, halving, channels: 3, made: 4, epilogue: Epilogue(activation: Activation(.relu))) },
      { w in try pooling(&w, halving, channels: 40, made: 1) },
      { w in
        let x = try w.input([1, .symbol("n"), 6, 3])
        let conv = Conv(strides: [1, 1], epilogue: Epilogue(bias: true))
        let y = try w.addMany(conv, [x, try w.weights([1, 1, 3, 4]), try w.weights([4])])[0]
        return try w.add(Pool(.average, window: [2, 2], strides: [2, 2], padding: .explicit([.init(1, 1), .init(0, 0)])), y)
      },
      { w in
        try pooling(&w, Pool(.average, window: [3, 3], strides: [2, 2], padding: .same, countsPadding: true), channels: 3, made: 4)
      },
    ])

  private static let averageLast = Rule(
    "average-pool-last",
    "average_pool(x) ∗ w + b → average_pool(x ∗ w + b) for w of one tap that makes fewer channels and an average without strides",
    find: .op(
      Conv.self, as: "conv",
      .first([
        .op(Pool.self, as: "pool", .exactly(["x"])) { $0.kind == .average && $0.padding == .same && $0.strides.allSatisfy { $0 == 1 } },
        .constant("w"),
      ])),
    rewrite: { m, draft in
      guard let conv: Conv = m.op("conv"), let pool: Pool = m.op("pool") else { return nil }
      return try draft.add(pool, [try draft.add(conv, [try m.value("x")] + m.operands("conv").dropFirst())])
    },
    when: { m in
      guard commute(m), let (read, made) = channels(m), let conv: Conv = m.op("conv") else { return false }
      return made < read && (conv.epilogue.biasIndex().map { m.isConstant(m.operands("conv")[$0]) } ?? true)
    }, exactness: .folded, phase: .fuse,
    witness: { w in
      let epilogue = Epilogue(bias: w.size(0...1) == 0)
      return try pooling(&w, smoothing, channels: w.size(4...6), made: w.size(1...3), epilogue: epilogue, first: true)
    },
    refusals: [
      { w in try pooling(&w, smoothing, channels: 3, made: 3, first: true) },
      { w in try pooling(&w, halving, channels: 5, made: 3, first: true) },
      { w in try pooling(&w, smoothing, channels: 5, made: 3, window: 3, first: true) },
      { w in try pooling(&w, smoothing, channels: 5, made: 3, epilogue: Epilogue(activation: Activation(.relu)), first: true) },
      { w in
        try pooling(
          &w, Pool(.average, window: [3, 3], strides: [1, 1], padding: .same, countsPadding: true), channels: 5, made: 3, first: true)
      },
      { w in try pooling(&w, Pool(.max, window: [3, 3], strides: [1, 1], padding: .same), channels: 5, made: 3, first: true) },
    ])
}

import GraphModule
import TensorModule

/// Rules that bring bounds on both sides into one `clip`, and bounds at zero into `relu`.
enum ClippingRules {
  static let all: [Rule] = [
    Rule(
      "maximum-with-zero", "max(x, 0) → relu(x)", find: .max("x", 0.0), replace: .unary(.relu, "x"),
      when: { $0["x"].dtype.isFloat }, mayDiffer: .signedZero, phase: .canonicalise,
      witness: { w in try w.add(.max, try w.input(w.matrix()), try w.scalar(0)) },
      refusals: [
        { w in try w.add(.max, try w.input(w.matrix()), try w.scalar(0.5)) },
        { w in try w.add(.max, try w.input([3], .int32), try w.scalar(0, .int32)) },
      ]),
    Rule(
      "clip-from-zero", "clip(x, 0, ∞) → relu(x)", find: .elementwise(as: "clip", .exactly(["x"])) { $0.function == .clip },
      replace: .unary(.relu, "x"),
      when: { $0["x"].dtype.isFloat && bounds($0, "clip").map { $0 == 0 && $1 == .infinity } ?? false },
      mayDiffer: .signedZero, phase: .canonicalise,
      witness: { w in try w.add(Elementwise(.clip, [0, .infinity]), try w.input(w.matrix())) },
      refusals: [{ w in try w.add(Elementwise(.clip, [0, 6]), try w.input(w.matrix())) }]),
    generalRelu(
      "general-relu-to-relu", "general_relu(x, 0, 0, ∞) → relu(x)", [0, 0, .infinity], { $0 == [0, 0, .infinity] },
      { _ in Elementwise(.relu) }),
    generalRelu(
      "general-relu-to-clip", "general_relu(x, 0, 0, m) → clip(x, 0, m)", [0, 0, 6],
      { $0[0] == 0 && $0[1] == 0 && $0[2].isFinite && $0[2] >= 0 }, { Elementwise(.clip, [0, $0[2]]) }),
    generalRelu(
      "general-relu-to-leaky", "general_relu(x, a, 0, ∞) → leaky_relu(x, a)", [0.25, 0, .infinity],
      { $0[0] != 0 && $0[1] == 0 && $0[2] == .infinity }, { Elementwise(.leakyRelu, [$0[0]]) }),
    combine(
      "minimum-of-relu", "min(relu(x), c) → clip(x, 0, c)", .min(.unary(.relu, "x"), .splat("c")),
      { m in m.number("c").map { (0, $0) } }, { w in try w.add(.min, try w.add(.relu, try w.input(w.matrix())), try w.scalar(6)) },
      { w in try w.add(.min, try w.add(.relu, try w.input(w.matrix())), try w.scalar(-1)) }),
    combine(
      "relu-of-minimum", "relu(min(x, c)) → clip(x, 0, c)", .unary(.relu, .min("x", .splat("c"))),
      { m in m.number("c").map { (0, $0) } }, { w in try w.add(.relu, try w.add(.min, try w.input(w.matrix()), try w.scalar(6))) },
      { w in try w.add(.relu, try w.add(.min, try w.input(w.matrix()), try w.scalar(-1))) }),
    combine(
      "minimum-of-maximum", "min(max(x, a), b) → clip(x, a, b)", .min(.max("x", .splat("a")), .splat("b")),
      { m in pair(m.number("a"), m.number("b")) },
      { w in try w.add(.min, try w.add(.max, try w.input(w.matrix()), try w.scalar(-0.5)), try w.scalar(0.75)) },
      { w in try w.add(.min, try w.add(.max, try w.input(w.matrix()), try w.scalar(2)), try w.scalar(1)) }),
    combine(
      "maximum-of-minimum", "max(min(x, b), a) → clip(x, a, b)", .max(.min("x", .splat("b")), .splat("a")),
      { m in pair(m.number("a"), m.number("b")) },
      { w in try w.add(.max, try w.add(.min, try w.input(w.matrix()), try w.scalar(0.75)), try w.scalar(-0.5)) },
      { w in try w.add(.max, try w.add(.min, try w.input(w.matrix()), try w.scalar(1)), try w.scalar(2)) }),
    combine(
      "clip-of-relu", "clip(relu(x), a, b) → clip(x, max(a, 0), b)", clip("outer", .unary(.relu, "x")),
      { m in bounds(m, "outer").map { (Swift.max($0, 0), $1) } },
      { w in try w.add(Elementwise(.clip, [-1, 0.5]), try w.add(.relu, try w.input(w.matrix()))) },
      { w in try w.add(Elementwise(.clip, [-2, -1]), try w.add(.relu, try w.input(w.matrix()))) }),
    combine(
      "relu-of-clip", "relu(clip(x, a, b)) → clip(x, max(a, 0), b)", .unary(.relu, clip("inner", "x")),
      { m in bounds(m, "inner").map { (Swift.max($0, 0), $1) } },
      { w in try w.add(.relu, try w.add(Elementwise(.clip, [-1, 0.5]), try w.input(w.matrix()))) },
      { w in try w.add(.relu, try w.add(Elementwise(.clip, [-2, -1]), try w.input(w.matrix()))) }),
    combine(
      "clip-of-clip", "clip(clip(x, a, b), c, d) → clip(x, max(a, c), min(b, d))", clip("outer", clip("inner", "x")),
      { m in
        guard let (a, b) = bounds(m, "inner"), let (c, d) = bounds(m, "outer") else { return nil }
        return (Swift.max(a, c), Swift.min(b, d))
      },
      { w in try w.add(Elementwise(.clip, [-1, 0.5]), try w.add(Elementwise(.clip, [-0.5, 2]), try w.input(w.matrix()))) },
      { w in try w.add(Elementwise(.clip, [-1, 0]), try w.add(Elementwise(.clip, [1, 2]), try w.input(w.matrix()))) }),
  ]

  private static func clip(_ name: String, _ x: Pattern) -> Pattern { .function(.clip, nil, as: name, [x]) }

  private static func bounds(_ match: Match, _ name: String) -> (Double, Double)? {
    guard let op: Elementwise = match.op(name), op.parameters.count == 2 else { return nil }
    return (op.parameters[0], op.parameters[1])
  }

  private static func pair(_ a: Double?, _ b: Double?) -> (Double, Double)? {
    guard let a, let b else { return nil }
    return (a, b)
  }

  private static func combine(
    _ name: String, _ summary: String, _ find: Pattern, _ range: @escaping @Sendable (Match) -> (Double, Double)?,
    _ witness: @escaping Rule.Witness, _ refusal: @escaping Rule.Witness
  ) -> Rule {
    Rule(
      name, summary, find: find,
      rewrite: { m, draft in
        guard let (low, high) = range(m) else { return nil }
        return try draft.add(.clip, [low, high], [try m.value("x")])
      },
      when: { m in m["x"].dtype.isFloat && range(m).map { $0 <= $1 } ?? false }, mayDiffer: .signedZero, phase: .simplify,
      witness: witness, refusals: [refusal])
  }

  private static func generalRelu(
    _ name: String, _ summary: String, _ example: [Double], _ test: @escaping @Sendable ([Double]) -> Bool,
    _ replacement: @escaping @Sendable ([Double]) -> Elementwise
  ) -> Rule {
    Rule(
      name, summary, find: .function(.generalRelu, nil, as: "relu", ["x"]),
      rewrite: { m, draft in
        guard let op: Elementwise = m.op("relu") else { return nil }
        return try draft.add(replacement(op.parameters), [try m.value("x")])
      },
      when: { m in (m.op("relu") as Elementwise?).map { $0.parameters.count == 3 && test($0.parameters) } ?? false },
      mayDiffer: [.signedZero, .nan], phase: .canonicalise,
      witness: { w in try w.add(Elementwise(.generalRelu, example), try w.input(w.matrix())) },
      refusals: [{ w in try w.add(Elementwise(.generalRelu, [0.25, 0.5, 3]), try w.input(w.matrix())) }])
  }
}

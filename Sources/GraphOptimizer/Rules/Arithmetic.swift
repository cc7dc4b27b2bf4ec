import GraphModule
import TensorModule

/// Rules about sums, products and powers.
enum ArithmeticRules {
  static let all: [Rule] =
    [
      Rule(
        "identity", "identity(x) → x", find: .unary(.identity, "x"), replace: "x", phase: .canonicalise,
        witness: { w in try w.add(.identity, try w.input(w.matrix())) }),
      Rule(
        "double-negation", "−(−x) → x", find: .unary(.neg, Pattern.unary(.neg, "x").shared), replace: "x",
        phase: .canonicalise, witness: { w in try w.add(.neg, try w.add(.neg, try w.input(w.matrix()))) }),
      Rule(
        "multiply-by-one", "x · 1 → x", find: .mul("x", 1.0), replace: "x", phase: .canonicalise,
        witness: { w in try w.add(.mul, try w.input(w.matrix()), try w.scalar(1)) },
        refusals: [
          { w in try w.add(.mul, try w.input(w.matrix()), try w.scalar(1.5)) },
          { w in try w.add(.mul, try w.input([3]), try w.constant([1, 1], [2, 1])) },
        ]),
      Rule(
        "divide-by-one", "x / 1 → x", find: .div("x", 1.0), replace: "x", phase: .canonicalise,
        witness: { w in try w.add(.div, try w.input(w.matrix()), try w.scalar(1)) },
        refusals: [{ w in try w.add(.div, try w.scalar(1), try w.input(w.matrix())) }]),
      Rule(
        "add-zero", "x + 0 → x", find: .add("x", 0.0), replace: "x", mayDiffer: .signedZero, phase: .canonicalise,
        witness: { w in try w.add(.add, try w.input(w.matrix()), try w.scalar(0)) },
        refusals: [{ w in try w.add(.add, try w.input(w.matrix()), try w.scalar(1e-30)) }]),
      Rule(
        "subtract-zero", "x − 0 → x", find: .sub("x", 0.0), replace: "x", mayDiffer: .signedZero, phase: .canonicalise,
        witness: { w in try w.add(.sub, try w.input(w.matrix()), try w.scalar(0)) },
        refusals: [{ w in try w.add(.sub, try w.scalar(0), try w.input(w.matrix())) }]),
      Rule(
        "multiply-by-minus-one", "x · −1 → −x", find: .mul("x", .number(-1)), replace: .unary(.neg, "x"),
        phase: .canonicalise, witness: { w in try w.add(.mul, try w.input(w.matrix()), try w.scalar(-1)) },
        refusals: [{ w in try w.add(.mul, try w.input(w.matrix()), try w.scalar(1.25)) }]),
      Rule(
        "add-negation", "x + (−y) → x − y", find: .add("x", .unary(.neg, "y")), replace: .sub("x", "y"),
        phase: .simplify,
        witness: { w in try w.add(.add, try w.input([3, 4]), try w.add(.neg, try w.input([4]))) }),
      Rule(
        "subtract-negation", "x − (−y) → x + y", find: .sub("x", .unary(.neg, "y")), replace: .add("x", "y"),
        phase: .simplify,
        witness: { w in try w.add(.sub, try w.input([3, 4]), try w.add(.neg, try w.input([4]))) },
        refusals: [{ w in try w.add(.sub, try w.add(.neg, try w.input([4])), try w.input([3, 4])) }]),
      Rule(
        "add-negated-product", "x + (−a) · b → x − a · b", find: .add("x", .mul(.unary(.neg, "a"), "b")),
        replace: .sub("x", .mul("a", "b")), phase: .simplify,
        witness: { w in
          let product = try w.add(.mul, try w.add(.neg, try w.input([3, 1])), try w.input([4]))
          return try w.add(.add, product, try w.input([3, 4]))
        }),
      Rule(
        "square-of", "x · x → x²", find: .mul("x", "x"), replace: .unary(.square, "x"), phase: .canonicalise,
        witness: { w in
          let x = try w.input(w.matrix())
          return try w.add(.mul, x, x)
        },
        refusals: [{ w in try w.add(.mul, try w.input([2, 3]), try w.input([2, 3])) }]),
      idempotent, subtractConstant, divideByConstant, mergeAdd, mergeMul,
      Rule(
        "reciprocal-of", "1 / x → reciprocal(x)", find: .div(1.0, "x"), replace: .unary(.reciprocal, "x"),
        phase: .canonicalise, witness: { w in try w.add(.div, try w.scalar(1), try w.input(w.matrix())) },
        refusals: [{ w in try w.add(.div, try w.scalar(2), try w.input(w.matrix())) }]),
      Rule(
        "reciprocal-of-sqrt", "1 / √x → rsqrt(x)", find: .unary(.reciprocal, .unary(.sqrt, "x")),
        replace: .unary(.rsqrt, "x"), phase: .simplify,
        witness: { w in try w.add(.reciprocal, try w.add(.sqrt, try w.input(w.matrix()))) }),
      Rule(
        "divide-by-sqrt", "x / √y → x · rsqrt(y)", find: .div("x", .unary(.sqrt, "y")),
        replace: .mul("x", .unary(.rsqrt, "y")), exactness: .ulps(2), mayDiffer: [.nan, .infinity], phase: .simplify,
        witness: { w in try w.add(.div, try w.input([3, 5]), try w.add(.sqrt, try w.input([3, 1]))) }),
      Rule(
        "multiply-by-reciprocal", "x · (1 / y) → x / y", find: .mul("x", .unary(.reciprocal, "y")),
        replace: .div("x", "y"), exactness: .ulps(2), mayDiffer: [.nan, .infinity], phase: .simplify,
        witness: { w in try w.add(.mul, try w.input([3, 5]), try w.add(.reciprocal, try w.input([3, 1]))) }),
      Rule(
        "multiply-then-add", "x · a + b → affine(x), for numbers a and b", find: .add(.mul("x", .splat("a")), .splat("b")),
        rewrite: { m, draft in
          guard let a = m.number("a"), let b = m.number("b"), a.isFinite, b.isFinite else { return nil }
          return try draft.add(.affine, [a, b], [try m.value("x")])
        },
        when: { $0["x"].dtype.isFloat }, mayDiffer: .signedZero, phase: .fuse,
        witness: { w in
          try w.add(.add, try w.add(.mul, try w.input(w.matrix()), try w.scalar(1.5)), try w.scalar(-0.25))
        },
        refusals: [
          { w in try w.add(.add, try w.add(.mul, try w.input([2, 3], .int32), try w.scalar(2, .int32)), try w.scalar(1, .int32)) }
        ]),
    ] + powers

  private static let powers: [Rule] = [
    power("power-one", "x¹ → x", 1, nil, .exact, []),
    power("power-two", "x^2 → x²", 2, .square, .ulps(1), []),
    power("power-half", "x^½ → √x", 0.5, .sqrt, .ulps(1), [.nan, .infinity, .signedZero]),
    power("power-minus-one", "x^−1 → 1 / x", -1, .reciprocal, .ulps(1), []),
    power("power-minus-half", "x^−½ → rsqrt(x)", -0.5, .rsqrt, .ulps(2), [.nan, .infinity, .signedZero]),
  ]

  private static func power(
    _ name: String, _ summary: String, _ exponent: Double, _ function: ScalarFunction?, _ exactness: Exactness,
    _ mayDiffer: SpecialValues
  ) -> Rule {
    Rule(
      name, summary, find: .pow("x", .number(exponent)), replace: function.map { .unary($0, "x") } ?? "x",
      exactness: exactness, mayDiffer: mayDiffer, phase: .canonicalise,
      witness: { w in try w.add(.pow, try w.input(w.matrix()), try w.scalar(exponent)) },
      refusals: [
        { w in try w.add(.pow, try w.scalar(exponent), try w.input(w.matrix())) },
        { w in try w.add(.pow, try w.input(w.matrix()), try w.scalar(exponent + 0.125)) },
      ])
  }

  private static let idempotent = Rule(
    "repeated-function", "f(f(x)) → f(x) for relu, abs, floor, ceil, round, trunc, sign",
    find: .elementwise(as: "outer", .exactly([Pattern.elementwise(as: "inner", .exactly(["x"])).shared])) { repeats($0) },
    rewrite: { m, _ in m.operands("outer").first },
    when: { m in
      guard let a: Elementwise = m.op("outer"), let b: Elementwise = m.op("inner") else { return false }
      return a.isEqual(to: b)
    }, phase: .simplify,
    witness: { w in
      let function = [ScalarFunction.relu, .abs, .floor, .ceil, .round, .trunc, .sign][w.size(0...6)]
      return try w.add(function, try w.add(function, try w.input(w.matrix())))
    },
    refusals: [
      { w in try w.add(.relu, try w.add(.abs, try w.input(w.matrix()))) },
      { w in try w.add(.sin, try w.add(.sin, try w.input(w.matrix()))) },
    ])

  private static func repeats(_ op: Elementwise) -> Bool {
    [.relu, .abs, .floor, .ceil, .round, .trunc, .sign].contains(op.function)
  }

  private static let subtractConstant = Rule(
    "subtract-constant", "x − c → x + (−c)", find: .sub("x", .constant("c")),
    rewrite: { m, draft in
      guard let c = m.tensor("c") else { return nil }
      let negated = try Tensor(converting: c.doubles.map { -$0 }, to: c.dtype, shape: c.shape)
      return try draft.add(.add, [try m.value("x"), draft.constant(negated, like: try m.value("c"))])
    },
    when: { $0["x"].dtype.isFloat }, phase: .canonicalise,
    witness: { w in try w.add(.sub, try w.input([3, 5]), try w.weights([5])) },
    refusals: [
      { w in try w.add(.sub, try w.input([3], .int32), try w.scalar(2, .int32)) },
      { w in try w.add(.sub, try w.weights([5]), try w.input([3, 5])) },
    ])

  private static let divideByConstant = Rule(
    "divide-by-constant", "x / c → x · (1 / c)", find: .div("x", .constant("c")),
    rewrite: { m, draft in
      guard let c = m.tensor("c") else { return nil }
      let inverse = c.doubles.map { 1 / $0 }
      guard inverse.allSatisfy({ $0.isNormal && $0.magnitude > 1e-37 && $0.magnitude < 1e37 }) else { return nil }
      let constant = draft.constant(try Tensor(converting: inverse, to: c.dtype, shape: c.shape), like: try m.value("c"))
      return try draft.add(.mul, [try m.value("x"), constant])
    },
    when: { $0["x"].dtype == .float32 || $0["x"].dtype == .float64 }, exactness: .ulps(2), phase: .canonicalise,
    witness: { w in try w.add(.div, try w.input([3, 5]), try w.weights([5], positive: true)) },
    refusals: [
      { w in try w.add(.div, try w.input([3]), try w.scalar(0)) },
      { w in try w.add(.div, try w.input([3]), try w.scalar(1e-44)) },
      { w in try w.add(.div, try w.weights([5], positive: true), try w.input([3, 5])) },
    ])

  /// (x f c1) f c2 → x f (c1 f c2).
  private static func merge(
    _ name: String, _ summary: String, _ function: ScalarFunction, _ exactness: Exactness
  ) -> Rule {
    Rule(
      name, summary, find: .function(function, [.function(function, ["x", .constant("c1")]), .constant("c2")]),
      rewrite: { m, draft in
        guard let a = m.tensor("c1"), let b = m.tensor("c2") else { return nil }
        let op = Elementwise(function)
        let type = try op.infer([m["c1"], m["c2"]])
        guard let shape = type[0].shape, shape.elementCount <= Swift.max(a.count, b.count) else { return nil }
        let merged = try op.reference([ReferenceTensor(a), ReferenceTensor(b)], type)[0]
        // A product that leaves the normal range would not give what the two steps give.
        let zero = a.doubles.contains(0) || b.doubles.contains(0)
        guard merged.numbers.allSatisfy({ $0.isFinite && $0.magnitude < 1e37 && (zero || $0.magnitude > 1e-37 || function == .add) })
        else { return nil }
        return try draft.add(function, [], [try m.value("x"), draft.constant(try merged.tensor(), like: try m.value("c2"))])
      },
      when: { $0["x"].dtype.isFloat }, exactness: exactness, phase: .simplify,
      witness: { w in
        try w.add(function, try w.weights([5]), try w.add(function, try w.input([3, 5]), try w.scalar(w.random.normal())))
      },
      refusals: [
        { w in
          try w.add(function, try w.add(function, try w.input([3, 5]), try w.weights([5])), try w.weights([3, 1]))
        },
        { w in
          let two = try w.scalar(2, .int32)
          return try w.add(function, try w.add(function, try w.input([3], .int32), two), two)
        },
      ])
  }

  private static let mergeAdd = merge("merge-additions", "(x + a) + b → x + (a + b) for constants a, b", .add, .folded)
  private static let mergeMul = merge("merge-products", "(x · a) · b → x · (a · b) for constants a, b", .mul, .ulps(4))
}

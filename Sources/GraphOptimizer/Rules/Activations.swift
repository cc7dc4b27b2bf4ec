import GraphModule
import TensorModule

/// Rules that find activation functions in their parts.
enum ActivationRules {
  private typealias P = Pattern

  /// 1e-6 next to results of size 1.
  private static let close = Exactness.tolerance(Tolerance(absolute: 2e-6, relative: 1e-5))

  static let all: [Rule] =
    [
      Rule(
        "sigmoid-from-parts", "1 / (1 + e^−x) → sigmoid(x)",
        find: .unary(.reciprocal, .add(1.0, .unary(.exp, .unary(.neg, "x")))), replace: .unary(.sigmoid, "x"),
        exactness: .ulps(4), phase: .simplify,
        witness: { w in
          try w.add(.reciprocal, try w.add(.add, try w.add(.exp, try w.add(.neg, try w.input(w.matrix()))), try w.scalar(1)))
        },
        refusals: [
          { w in
            try w.add(.reciprocal, try w.add(.add, try w.add(.exp, try w.add(.neg, try w.input(w.matrix()))), try w.scalar(1.5)))
          }
        ]),
      Rule(
        "silu-from-parts", "x · σ(x) → silu(x)", find: .mul("x", .unary(.sigmoid, "x")), replace: .unary(.silu, "x"),
        when: { $0["x"].dtype.isFloat }, exactness: .ulps(4), mayDiffer: .nan, phase: .simplify,
        witness: { w in
          let x = try w.input(w.matrix())
          return try w.add(.mul, x, try w.add(.sigmoid, x))
        },
        refusals: [{ w in try w.add(.mul, try w.input([3, 2]), try w.add(.sigmoid, try w.input([3, 2]))) }]),
      Rule(
        "softplus-from-parts", "log(1 + eˣ) → softplus(x)",
        find: .oneOf([.unary(.log, .add(1.0, .unary(.exp, "x"))), .unary(.log1p, .unary(.exp, "x"))]),
        replace: .unary(.softplus, "x"), exactness: close, mayDiffer: .infinity, phase: .simplify,
        witness: { w in
          let e = try w.add(.exp, try w.input(w.matrix()))
          return w.size(0...1) == 0 ? try w.add(.log1p, e) : try w.add(.log, try w.add(.add, try w.scalar(1), e))
        },
        refusals: [{ w in try w.add(.log, try w.add(.add, try w.add(.exp, try w.input(w.matrix())), try w.scalar(2))) }]),
      Rule(
        "log-sigmoid-from-parts", "log(σ(x)) or −softplus(−x) → log_sigmoid(x)",
        find: .oneOf([.unary(.log, .unary(.sigmoid, "x")), .unary(.neg, .unary(.softplus, .unary(.neg, "x")))]),
        replace: .unary(.logSigmoid, "x"), exactness: close, mayDiffer: [.infinity, .signedZero], phase: .simplify,
        witness: { w in
          let x = try w.input(w.matrix())
          return w.size(0...1) == 0
            ? try w.add(.log, try w.add(.sigmoid, x)) : try w.add(.neg, try w.add(.softplus, try w.add(.neg, x)))
        }),
      Rule(
        "mish-from-parts", "x · tanh(softplus(x)) → mish(x)", find: .mul("x", .unary(.tanh, .unary(.softplus, "x"))),
        replace: .unary(.mish, "x"), exactness: .ulps(2), mayDiffer: .nan, phase: .simplify,
        witness: { w in
          let x = try w.input(w.matrix())
          return try w.add(.mul, try w.add(.tanh, try w.add(.softplus, x)), x)
        },
        refusals: [{ w in try w.add(.mul, try w.input([3]), try w.add(.tanh, try w.add(.softplus, try w.input([3])))) }]),
      Rule(
        "tanh-shrink-from-parts", "x − tanh(x) → tanh_shrink(x)", find: .sub("x", .unary(.tanh, "x")),
        replace: .unary(.tanhShrink, "x"), phase: .simplify,
        witness: { w in
          let x = try w.input(w.matrix())
          return try w.add(.sub, x, try w.add(.tanh, x))
        },
        refusals: [
          { w in
            let x = try w.input(w.matrix())
            return try w.add(.sub, try w.add(.tanh, x), x)
          }
        ]),
      Rule(
        "softsign-from-parts", "x / (1 + |x|) → softsign(x)", find: .div("x", .add(1.0, .unary(.abs, "x"))),
        replace: .unary(.softsign, "x"), mayDiffer: .nan, phase: .simplify,
        witness: { w in
          let x = try w.input(w.matrix())
          return try w.add(.div, x, try w.add(.add, try w.scalar(1), try w.add(.abs, x)))
        },
        refusals: [
          { w in
            let x = try w.input(w.matrix())
            return try w.add(.div, try w.add(.add, try w.scalar(1), try w.add(.abs, x)), x)
          }
        ]),
      Rule(
        "expm1-from-parts", "eˣ − 1 → expm1(x)", find: .add(.unary(.exp, "x"), .number(-1)),
        replace: .unary(.expm1, "x"), exactness: close, phase: .simplify,
        witness: { w in try w.add(.add, try w.add(.exp, try w.input(w.matrix())), try w.scalar(-1)) },
        refusals: [{ w in try w.add(.add, try w.add(.exp, try w.input(w.matrix())), try w.scalar(1)) }]),
      Rule(
        "hard-sigmoid-from-clip", "clip(a · x + b, 0, 1) → hard_sigmoid(x, a, b)",
        find: .function(
          .clip, [0, 1], [.oneOf([.function(.affine, nil, as: "affine", ["x"]), .add(.mul("x", .splat("a")), .splat("b"))])]),
        rewrite: { m, draft in
          let parameters = (m.op("affine") as Elementwise?)?.parameters ?? [m.number("a"), m.number("b")].compactMap { $0 }
          guard parameters.count == 2, parameters.allSatisfy(\.isFinite) else { return nil }
          return try draft.add(.hardSigmoid, parameters, [try m.value("x")])
        },
        when: { $0["x"].dtype.isFloat }, mayDiffer: .signedZero, phase: .simplify,
        witness: { w in
          let x = try w.input(w.matrix())
          let inner =
            w.size(0...1) == 0
            ? try w.add(Elementwise(.affine, [0.2, 0.5]), x)
            : try w.add(.add, try w.add(.mul, x, try w.scalar(0.2)), try w.scalar(0.5))
          return try w.add(Elementwise(.clip, [0, 1]), inner)
        },
        refusals: [
          { w in try w.add(Elementwise(.clip, [0, 2]), try w.add(Elementwise(.affine, [0.2, 0.5]), try w.input(w.matrix()))) }
        ]),
      Rule(
        "hard-sigmoid-from-relu6", "clip(x + b, 0, h) · (1 / h) → hard_sigmoid(x, 1 / h, b / h)",
        find: .mul(.function(.clip, nil, as: "clip", [.add("x", .splat("b"))]), .splat("a")),
        rewrite: { m, draft in
          guard let a = m.number("a"), let b = m.number("b") else { return nil }
          return try draft.add(.hardSigmoid, [a, a * b], [try m.value("x")])
        },
        when: { m in
          guard let clip: Elementwise = m.op("clip"), let a = m.number("a"), let b = m.number("b") else { return false }
          return m["x"].dtype == .float32 && clip.parameters[0] == 0 && (clip.parameters[1] * a - 1).magnitude < 1e-6
            && a > 0 && b.isFinite
        }, exactness: close, mayDiffer: .signedZero, phase: .simplify,
        witness: { w in
          let shifted = try w.add(.add, try w.input(w.matrix()), try w.scalar(3))
          return try w.add(.mul, try w.add(Elementwise(.clip, [0, 6]), shifted), try w.scalar(1 / 6))
        },
        refusals: [
          { w in
            let shifted = try w.add(.add, try w.input(w.matrix()), try w.scalar(3))
            return try w.add(.mul, try w.add(Elementwise(.clip, [0, 6]), shifted), try w.scalar(0.2))
          }
        ]),
      hardSigmoidOfSum, hardSwish, leakyFromMaximum, preluFromSum, preluFromDifference, eluFromSelect, scaledELU,
      Rule(
        "log-softmax-from-parts", "log(softmax(x)) → log_softmax(x)",
        find: .unary(.log, .op(Softmax.self, as: "softmax", .exactly(["x"])) { !$0.log }),
        rewrite: { m, draft in
          guard let softmax: Softmax = m.op("softmax") else { return nil }
          return try draft.add(Softmax(axis: softmax.axis, log: true), [try m.value("x")])
        },
        exactness: close, mayDiffer: .infinity, phase: .simplify,
        witness: { w in try w.add(.log, try w.add(Softmax(axis: -1), try w.input(w.matrix()))) },
        refusals: [{ w in try w.add(.log, try w.add(Softmax(axis: -1, log: true), try w.input(w.matrix()))) }]),
    ] + GELURules.all

  /// The constant b as numbers, when the clip's bounds and the factor are those of a hard sigmoid.
  private static func offsets(_ m: Match) -> Tensor? {
    guard let clip: Elementwise = m.op("clip"), let a = m.number("a"), let b = m.tensor("b"), b.dtype == .float32, b.splat == nil,
      m["x"].dtype == .float32, clip.parameters[0] == 0, a > 0, (clip.parameters[1] * a - 1).magnitude < 1e-6
    else { return nil }
    return b
  }

  private static let hardSigmoidOfSum = Rule(
    "hard-sigmoid-of-sum", "clip(x + b, 0, h) · (1 / h) → hard_sigmoid(x + (b − h / 2), 1 / h, ½) for constants b that differ",
    find: .mul(.function(.clip, nil, as: "clip", [.add("x", .constant("b"))]), .splat("a")),
    rewrite: { m, draft in
      guard let a = m.number("a"), let b = offsets(m) else { return nil }
      let shifted = try Tensor(converting: b.doubles.map { $0 - 0.5 / a }, to: .float32, shape: b.shape)
      let sum = try draft.add(.add, [], [try m.value("x"), draft.constant(shifted, like: try m.value("b"))])
      return try draft.add(.hardSigmoid, [a, 0.5], [sum])
    }, when: { offsets($0) != nil }, exactness: .tolerance(Tolerance(absolute: 2e-5, relative: 1e-4)), mayDiffer: .signedZero, phase: .simplify,
    witness: { w in
      let shifted = try w.add(.add, try w.input([3, 4]), try w.weights([4]))
      return try w.add(.mul, try w.add(Elementwise(.clip, [0, 6]), shifted), try w.scalar(1 / 6))
    },
    refusals: [
      { w in
        let shifted = try w.add(.add, try w.input([3, 4]), try w.weights([4]))
        return try w.add(.mul, try w.add(Elementwise(.clip, [0, 6]), shifted), try w.scalar(0.2))
      }
    ])

  private static let hardSwish = Rule(
    "hard-swish-from-parts", "x · clip(x + 3, 0, 6) / 6 → hard_swish(x)",
    find: .oneOf([
      .mul("x", .function(.hardSigmoid, [1 / 6, 0.5], ["x"])),
      .mul(.mul("x", .function(.clip, [0, 6], [.add("x", 3.0)])), .number(1 / 6)),
    ]), replace: .unary(.hardSwish, "x"), when: { $0["x"].dtype.isFloat }, exactness: close, mayDiffer: [.nan, .signedZero],
    phase: .simplify,
    witness: { w in
      let x = try w.input(w.matrix())
      if w.size(0...1) == 0 { return try w.add(.mul, try w.add(Elementwise(.hardSigmoid, [1 / 6, 0.5]), x), x) }
      let clipped = try w.add(Elementwise(.clip, [0, 6]), try w.add(.add, x, try w.scalar(3)))
      return try w.add(.mul, try w.add(.mul, x, clipped), try w.scalar(1 / 6))
    },
    refusals: [
      { w in
        let x = try w.input(w.matrix())
        return try w.add(.mul, try w.add(Elementwise(.hardSigmoid, [0.2, 0.5]), x), x)
      }
    ])

  private static let leakyFromMaximum = Rule(
    "leaky-relu-from-maximum", "max(x, a · x) → leaky_relu(x, a) for 0 < a < 1", find: .max("x", .mul("x", .splat("a"))),
    rewrite: { m, draft in
      guard let a = m.number("a") else { return nil }
      return try draft.add(.leakyRelu, [a], [try m.value("x")])
    },
    when: { m in m["x"].dtype.isFloat && m.number("a").map { $0 > 0 && $0 < 1 } ?? false }, mayDiffer: .signedZero,
    phase: .simplify,
    witness: { w in
      let x = try w.input(w.matrix())
      return try w.add(.max, try w.add(.mul, x, try w.scalar(0.25)), x)
    },
    refusals: [
      { w in
        let x = try w.input(w.matrix())
        return try w.add(.max, try w.add(.mul, x, try w.scalar(1.5)), x)
      }
    ])

  /// relu(x) ± c · relu(−x): slope ∓c below zero.
  private static func prelu(_ name: String, _ summary: String, _ function: ScalarFunction, _ sign: Double) -> Rule {
    Rule(
      name, summary,
      find: .function(function, [.unary(.relu, "x"), .mul(.constant("c"), .unary(.relu, .unary(.neg, "x")))]),
      rewrite: { m, draft in
        guard let c = m.tensor("c") else { return nil }
        let slopes = c.doubles.map { $0 * sign }
        if let slope = c.splat { return try draft.add(.leakyRelu, [slope * sign], [try m.value("x")]) }
        let slope = draft.constant(try Tensor(converting: slopes, to: c.dtype, shape: c.shape), like: try m.value("c"))
        return try draft.add(.prelu, [], [try m.value("x"), slope])
      },
      when: { m in m["x"].dtype.isFloat && m.tensor("c")?.doubles.allSatisfy(\.isFinite) ?? false },
      mayDiffer: [.signedZero, .nan], phase: .simplify,
      witness: { w in
        let x = try w.input([3, 5])
        let slope = w.size(0...1) == 0 ? try w.weights([5]) : try w.scalar(0.25)
        return try w.add(function, try w.add(.relu, x), try w.add(.mul, slope, try w.add(.relu, try w.add(.neg, x))))
      },
      refusals: [
        { w in
          let x = try w.input([3, 5])
          return try w.add(function, try w.add(.relu, x), try w.add(.mul, try w.weights([5]), try w.add(.relu, x)))
        }
      ])
  }

  private static let preluFromSum = prelu("prelu-from-sum", "relu(x) + c · relu(−x) → prelu(x, −c)", .add, -1)
  private static let preluFromDifference = prelu("prelu-from-difference", "relu(x) − c · relu(−x) → prelu(x, c)", .sub, 1)

  private static let eluFromSelect = Rule(
    "elu-from-select", "x > 0 ? x : expm1(x) → elu(x, 1)",
    find: .function(.select, [.function(.greater, ["x", 0.0]), "x", .unary(.expm1, "x")]),
    replace: .function(.elu, [1], ["x"]), when: { $0["x"].dtype.isFloat }, phase: .simplify,
    witness: { w in
      let x = try w.input(w.matrix())
      return try w.add(.select, try w.add(.greater, x, try w.scalar(0)), x, try w.add(.expm1, x))
    },
    refusals: [
      { w in
        let x = try w.input(w.matrix())
        return try w.add(.select, try w.add(.greater, x, try w.scalar(1)), x, try w.add(.expm1, x))
      }
    ])

  private static let plainELU = Pattern.function(.elu, [1], ["x"])

  private static let scaledELU = Rule(
    "scaled-elu-from-select", "x > 0 ? elu(x) : a · elu(x) → elu(x, a)",
    find: .function(
      .select, [.function(.greater, ["x", 0.0]), .oneOf(["x", plainELU]), .mul(plainELU, .splat("a"))]),
    rewrite: { m, draft in
      guard let a = m.number("a") else { return nil }
      return try draft.add(.elu, [a], [try m.value("x")])
    }, when: { m in m["x"].dtype.isFloat && m["x"] == m.result && m.number("a").map { $0.isFinite && $0 > 0 } ?? false },
    exactness: .ulps(2), mayDiffer: .signedZero, phase: .simplify,
    witness: { w in
      let x = try w.input(w.matrix())
      let elu = try w.add(Elementwise(.elu, [1]), x)
      let scaled = try w.add(.mul, try w.scalar(0.75), elu)
      return try w.add(.select, try w.add(.greater, x, try w.scalar(0)), w.size(0...1) == 0 ? x : elu, scaled)
    },
    refusals: [
      { w in
        let x = try w.input(w.matrix())
        let elu = try w.add(Elementwise(.elu, [1]), x)
        let scaled = try w.add(.mul, try w.scalar(0.75), elu)
        return try w.add(.select, try w.add(.greater, x, try w.scalar(0.5)), elu, scaled)
      }
    ])
}

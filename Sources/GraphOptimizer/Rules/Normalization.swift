import GraphModule
import TensorModule

/// Rules that find softmax and normalizations in their parts.
enum NormalizationRules {
  static let all = [softmax, layerNorm, layerNormFromMoments, scaleLayerNorm, offsetLayerNorm, rmsNorm, scaleRMSNorm]

  private static func reduce(_ kind: Reduce.Kind, as name: String, _ x: Pattern) -> Pattern {
    .op(Reduce.self, as: name, .exactly([x])) { $0.kind == kind && $0.keepDims }
  }

  private static let shifted = Pattern.unary(.exp, .sub("x", reduce(.max, as: "max", "x"))).named("e")

  private static let softmax = Rule(
    "softmax-from-parts", "eˣ⁻ᵐ / Σ eˣ⁻ᵐ with m = max x → softmax(x)",
    find: .div(shifted, reduce(.sum, as: "sum", shifted)),
    rewrite: { m, draft in
      guard let sum: Reduce = m.op("sum"), let axis = sum.axes.first else { return nil }
      return try draft.add(Softmax(axis: axis), [try m.value("x")])
    },
    when: { m in
      guard let sum: Reduce = m.op("sum"), let max: Reduce = m.op("max") else { return false }
      return sum.axes.count == 1 && sum.axes == max.axes
    }, exactness: .ulps(4), mayDiffer: .nan, phase: .simplify,
    witness: { w in
      let x = try w.input([3, 5])
      let e = try w.add(.exp, try w.add(.sub, x, try w.add(Reduce(.max, axes: [1], keepDims: true), x)))
      return try w.add(.div, e, try w.add(Reduce(.sum, axes: [1], keepDims: true), e))
    },
    refusals: [
      { w in
        let x = try w.input([3, 3])
        let e = try w.add(.exp, try w.add(.sub, x, try w.add(Reduce(.max, axes: [0], keepDims: true), x)))
        return try w.add(.div, e, try w.add(Reduce(.sum, axes: [1], keepDims: true), e))
      },
      { w in
        let e = try w.add(.exp, try w.input([3, 3]))
        return try w.add(.div, e, try w.add(Reduce(.sum, axes: [1], keepDims: true), e))
      },
    ])

  // MARK: Layer normalization

  private static let mean = reduce(.mean, as: "mean", "x")
  private static let centred = Pattern.sub("x", mean).named("centred")
  private static let variance = Pattern.oneOf([
    reduce(.mean, as: "variance", .unary(.square, centred)),
    reduce(.mean, as: "variance", .function(.squaredDifference, ["x", mean])),
    reduce(.mean, as: "variance", .pow(centred, 2.0)),
  ])
  private static let inverse = Pattern.unary(.rsqrt, .add(variance, .splat("epsilon")))

  /// The axes, when both reductions are over the same last axes.
  private static func lastAxes(_ m: Match, _ names: [String]) -> Int? {
    let reductions = names.compactMap { m.op($0) as Reduce? }
    guard reductions.count == names.count, let axes = reductions.first?.axes, let first = axes.first,
      reductions.allSatisfy({ $0.axes == axes }), axes == Array(first..<m["x"].rank), m["x"].dtype.isFloat,
      let epsilon = m.number("epsilon"), epsilon >= 0, epsilon.isFinite
    else { return nil }
    return first
  }

  private static let layerNorm = Rule(
    "layer-norm-from-parts", "(x − mean x) · rsqrt(var x + ε) → layer_norm(x)",
    find: .oneOf([.mul(centred, inverse), .mul(.sub("x", mean), inverse)]),
    rewrite: { m, draft in
      guard let axis = lastAxes(m, ["mean", "variance"]), let epsilon = m.number("epsilon") else { return nil }
      return try draft.add(LayerNorm(axis: axis, epsilon: epsilon, scale: false, offset: false), [try m.value("x")])
    },
    when: { lastAxes($0, ["mean", "variance"]) != nil }, exactness: .folded, mayDiffer: [.nan, .infinity], phase: .simplify,
    witness: { w in
      let x = try w.input([3, 5])
      let mean = try w.add(Reduce(.mean, axes: [1], keepDims: true), x)
      let centred = try w.add(.sub, x, mean)
      let squares = w.size(0...1) == 0 ? try w.add(.square, centred) : try w.add(.squaredDifference, x, mean)
      let variance = try w.add(Reduce(.mean, axes: [1], keepDims: true), squares)
      return try w.add(.mul, centred, try w.add(.rsqrt, try w.add(.add, variance, try w.scalar(1e-3))))
    },
    refusals: [
      { w in
        let x = try w.input([3, 3])
        let centred = try w.add(.sub, x, try w.add(Reduce(.mean, axes: [0], keepDims: true), x))
        let variance = try w.add(Reduce(.mean, axes: [0], keepDims: true), try w.add(.square, centred))
        return try w.add(.mul, centred, try w.add(.rsqrt, try w.add(.add, variance, try w.scalar(1e-3))))
      }
    ])

  /// rsqrt(var + ε), times gamma where there is one.
  private static let factor = Pattern.oneOf([
    Pattern.mul(inverse.named("inverse"), "gamma").named("factor"), inverse.named("factor"),
  ])

  private static let layerNormFromMoments = Rule(
    "layer-norm-from-moments", "x · s + (beta − mean x · s), s = rsqrt(var x + ε) · gamma → layer_norm(x, gamma, beta)",
    find: .add(.mul("x", factor), .sub("beta", .mul(mean, factor))),
    rewrite: { m, draft in
      guard let axis = lastAxes(m, ["mean", "variance"]), let epsilon = m.number("epsilon") else { return nil }
      let dims = Array(m["x"].dims[axis...])
      var operands = [try m.value("x")]
      let scale = m.values["gamma"] != nil
      for name in scale ? ["gamma", "beta"] : ["beta"] {
        guard let parameter = try parameter(try m.value(name), dims, m, &draft) else { return nil }
        operands.append(parameter)
      }
      return try draft.add(LayerNorm(axis: axis, epsilon: epsilon, scale: scale, offset: true), operands)
    },
    when: { lastAxes($0, ["mean", "variance"]) != nil }, exactness: .folded, mayDiffer: [.nan, .infinity], phase: .simplify,
    witness: { w in
      let x = try w.input([3, 5])
      let mean = try w.add(Reduce(.mean, axes: [1], keepDims: true), x)
      let squares = try w.add(.squaredDifference, x, mean)
      let variance = try w.add(Reduce(.mean, axes: [1], keepDims: true), squares)
      var factor = try w.add(.rsqrt, try w.add(.add, variance, try w.scalar(1e-3)))
      if w.size(0...1) == 0 { factor = try w.add(.mul, factor, try w.weights([5])) }
      let offset = try w.add(.sub, try w.weights([5]), try w.add(.mul, mean, factor))
      return try w.add(.add, try w.add(.mul, x, factor), offset)
    },
    refusals: [
      { w in
        let x = try w.input([3, 5])
        let mean = try w.add(Reduce(.mean, axes: [1], keepDims: true), x)
        let variance = try w.add(Reduce(.mean, axes: [1], keepDims: true), try w.add(.squaredDifference, x, mean))
        let factor = try w.add(.rsqrt, try w.add(.add, variance, try w.scalar(-1e-3)))
        let offset = try w.add(.sub, try w.weights([5]), try w.add(.mul, mean, factor))
        return try w.add(.add, try w.add(.mul, x, factor), offset)
      }
    ])

  /// A value as a parameter with these dims: itself, or a constant reshaped or spread to them.
  private static func parameter(_ id: ValueID, _ dims: [Dim], _ m: Match, _ draft: inout Draft) throws -> ValueID? {
    if m.type(of: id).dims == dims { return id }
    guard let tensor = draft.constantValue(id), let shape = TensorType(tensor.dtype, dims).shape else { return nil }
    if let number = tensor.splat, tensor.count == 1 {
      let values = [Double](repeating: number, count: shape.elementCount)
      return draft.constant(try Tensor(converting: values, to: tensor.dtype, shape: shape), like: id)
    }
    guard tensor.shape.drop(while: { $0 == 1 }) == shape.drop(while: { $0 == 1 }) else { return nil }
    return draft.constant(tensor.reshaped(shape), like: id)
  }

  private static func firstAxis(_ axis: Int, _ m: Match) -> Int { axis < 0 ? axis + m.result.rank : axis }

  private static let scaleLayerNorm = Rule(
    "scale-into-layer-norm", "layer_norm(x) · gamma → layer_norm(x, gamma)",
    find: .mul(.op(LayerNorm.self, as: "norm", .exactly(["x"])) { !$0.scale && !$0.offset }, "gamma"),
    rewrite: { m, draft in
      guard var norm: LayerNorm = m.op("norm") else { return nil }
      let dims = Array(m["x"].dims[firstAxis(norm.axis, m)...])
      guard let gamma = try parameter(try m.value("gamma"), dims, m, &draft) else { return nil }
      norm.scale = true
      return try draft.add(norm, [try m.value("x"), gamma])
    }, when: { $0["x"] == $0.result }, exactness: .ulps(2), mayDiffer: .signedZero, phase: .simplify,
    witness: { w in
      let norm = try w.add(LayerNorm(axis: -1, epsilon: 1e-3, scale: false, offset: false), try w.input([3, 5]))
      return try w.add(.mul, norm, w.size(0...1) == 0 ? try w.weights([5]) : try w.weights([1, 5]))
    },
    refusals: [
      { w in
        let norm = try w.add(LayerNorm(axis: -1, epsilon: 1e-3, scale: false, offset: false), try w.input([3, 5]))
        return try w.add(.mul, norm, try w.weights([3, 1]))
      }
    ])

  private static let offsetLayerNorm = Rule(
    "offset-into-layer-norm", "layer_norm(x, gamma) + beta → layer_norm(x, gamma, beta)",
    find: .add(.op(LayerNorm.self, as: "norm", .first(["x"])) { !$0.offset }, "beta"),
    rewrite: { m, draft in
      guard var norm: LayerNorm = m.op("norm") else { return nil }
      let dims = Array(m["x"].dims[firstAxis(norm.axis, m)...])
      guard let beta = try parameter(try m.value("beta"), dims, m, &draft) else { return nil }
      norm.offset = true
      return try draft.add(norm, m.operands("norm") + [beta])
    }, when: { $0["x"] == $0.result }, exactness: .folded, mayDiffer: .signedZero, phase: .simplify,
    witness: { w in
      let scale = w.size(0...1) == 0
      let x = try w.input([3, 5])
      let norm = try w.addMany(
        LayerNorm(axis: -1, epsilon: 1e-3, scale: scale, offset: false), scale ? [x, try w.weights([5])] : [x])[0]
      return try w.add(.add, norm, try w.weights([5]))
    },
    refusals: [
      { w in
        let norm = try w.add(LayerNorm(axis: -1, epsilon: 1e-3, scale: false, offset: false), try w.input([3, 5]))
        return try w.add(.add, norm, try w.weights([3, 1]))
      }
    ])

  // MARK: RMS normalization

  private static let rmsNorm = Rule(
    "rms-norm-from-parts", "x · rsqrt(mean x² + ε) → rms_norm(x)",
    find: .mul("x", .unary(.rsqrt, .add(reduce(.mean, as: "mean", .unary(.square, "x")), .splat("epsilon")))),
    rewrite: { m, draft in
      guard let axis = lastAxes(m, ["mean"]), let epsilon = m.number("epsilon") else { return nil }
      return try draft.add(RMSNorm(axis: axis, epsilon: epsilon, scale: false), [try m.value("x")])
    }, when: { lastAxes($0, ["mean"]) != nil }, exactness: .ulps(4), mayDiffer: [.nan, .infinity], phase: .simplify,
    witness: { w in
      let x = try w.input([3, 5])
      let mean = try w.add(Reduce(.mean, axes: [1], keepDims: true), try w.add(.square, x))
      return try w.add(.mul, x, try w.add(.rsqrt, try w.add(.add, mean, try w.scalar(1e-3))))
    },
    refusals: [
      { w in
        let x = try w.input([3, 3])
        let mean = try w.add(Reduce(.mean, axes: [0], keepDims: true), try w.add(.square, x))
        return try w.add(.mul, x, try w.add(.rsqrt, try w.add(.add, mean, try w.scalar(1e-3))))
      }
    ])

  private static let scaleRMSNorm = Rule(
    "scale-into-rms-norm", "rms_norm(x) · gamma → rms_norm(x, gamma)",
    find: .mul(.op(RMSNorm.self, as: "norm", .exactly(["x"])) { !$0.scale }, "gamma"),
    rewrite: { m, draft in
      guard var norm: RMSNorm = m.op("norm") else { return nil }
      let dims = Array(m["x"].dims[firstAxis(norm.axis, m)...])
      guard let gamma = try parameter(try m.value("gamma"), dims, m, &draft) else { return nil }
      norm.scale = true
      return try draft.add(norm, [try m.value("x"), gamma])
    }, when: { $0["x"] == $0.result }, exactness: .ulps(2), mayDiffer: [.signedZero, .nan, .infinity], phase: .simplify,
    witness: { w in
      let norm = try w.add(RMSNorm(axis: -1, epsilon: 1e-3, scale: false), try w.input([3, 5]))
      return try w.add(.mul, norm, try w.weights([5]))
    },
    refusals: [
      { w in
        let norm = try w.add(RMSNorm(axis: -1, epsilon: 1e-3, scale: false), try w.input([3, 5]))
        return try w.add(.mul, norm, try w.weights([3, 1]))
      }
    ])
}

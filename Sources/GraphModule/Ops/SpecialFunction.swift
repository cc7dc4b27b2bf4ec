import TensorModule

/// A function of mathematical physics or statistics applied to each element of its operands, which broadcast as in NumPy.
package struct SpecialFunction: OpDefinition {
  package static let name = "special"
  package static let summary =
    "function(x), function(x, y) or function(x, y, z) for each element of float operands, which broadcast and have one dtype: Bessel functions, error integrals, incomplete gamma and beta functions, zeta, the next number"

  /// The functions. Outside the domain they are NaN, the second kinds ∓∞ from 0 down.
  package enum Function: String, Sendable, CaseIterable {
    /// The modified Bessel functions of the first kind, the scaled ones times e^−|x|.
    case besselI0e = "bessel_i0e"
    case besselI1 = "bessel_i1"
    case besselI1e = "bessel_i1e"
    /// The Bessel functions of the first and second kind.
    case besselJ0 = "bessel_j0"
    case besselJ1 = "bessel_j1"
    case besselY0 = "bessel_y0"
    case besselY1 = "bessel_y1"
    /// The modified Bessel functions of the second kind, the scaled ones times e^x.
    case besselK0 = "bessel_k0"
    case besselK0e = "bessel_k0e"
    case besselK1 = "bessel_k1"
    case besselK1e = "bessel_k1e"
    /// e^(−x²) ∫₀ˣ e^(t²) dt.
    case dawson
    /// Ei(x) for positive x.
    case expIntegral = "exp_integral"
    /// ∫₀ˣ cos(π t² / 2) dt and ∫₀ˣ sin(π t² / 2) dt.
    case fresnelCos = "fresnel_cos"
    case fresnelSin = "fresnel_sin"
    /// −∫₁ˣ log t / (t − 1) dt.
    case spence
    /// The inverse of the normal distribution.
    case ndtri
    /// The regularised incomplete gamma functions P(a, x) and Q(a, x).
    case igamma, igammac
    /// Σ (q + k)^−x from k = 0: operands x, q.
    case zeta
    /// The n-th derivative of digamma at x: operands n, x.
    case polygamma
    /// The number of the dtype after x in the direction of y.
    case nextAfter = "next_after"
    /// The regularised incomplete beta function: operands a, b, x.
    case betainc

    package var arity: Int {
      switch self {
      case .igamma, .igammac, .zeta, .polygamma, .nextAfter: 2
      case .betainc: 3
      default: 1
      }
    }
  }

  package var function: Function

  package init(_ function: Function) { self.function = function }

  package var attributes: Attributes { [("function", .word(function.rawValue))] }

  package init(from reader: inout AttributeReader) throws { function = try reader.choice("function") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, function.arity...function.arity, function.rawValue)
    try Expect.float(inputs[0], function.rawValue, "the operand")
    try Expect.that(
      inputs.allSatisfy { $0.dtype == inputs[0].dtype }, function.rawValue,
      "operands must have one dtype, found \(inputs.map(\.dtype.name).joined(separator: " and "))")
    return [TensorType(inputs[0].dtype, try Broadcast.dims(inputs.map(\.dims), function.rawValue))]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let operands = inputs.map { $0.broadcast(to: shape).numbers }
    let dtype = outputs[0].dtype
    let values = (0..<shape.elementCount).map { index in
      evaluate(operands[0][index], operands.count > 1 ? operands[1][index] : 0, operands.count > 2 ? operands[2][index] : 0, dtype)
    }
    return [ReferenceTensor(dtype, shape, .floats(values))]
  }

  /// The value in Double.
  private func evaluate(_ x: Double, _ y: Double, _ z: Double, _ dtype: DType) -> Double {
    switch function {
    case .besselI0e: Bessel.i(0, x, scaled: true)
    case .besselI1: Bessel.i(1, x, scaled: false)
    case .besselI1e: Bessel.i(1, x, scaled: true)
    case .besselJ0: x.isInfinite ? .nan : C.j0(x)
    case .besselJ1: x.isInfinite ? .nan : C.j1(x)
    case .besselY0: x <= 0 ? -.infinity : x.isInfinite ? .nan : C.y0(x)
    case .besselY1: x <= 0 ? -.infinity : x.isInfinite ? .nan : C.y1(x)
    case .besselK0: Bessel.k(0, x, scaled: false)
    case .besselK0e: Bessel.k(0, x, scaled: true)
    case .besselK1: Bessel.k(1, x, scaled: false)
    case .besselK1e: Bessel.k(1, x, scaled: true)
    case .dawson: ErrorIntegrals.dawson(x)
    case .expIntegral: ErrorIntegrals.exponential(x)
    case .fresnelCos: ErrorIntegrals.fresnel(x).cos
    case .fresnelSin: ErrorIntegrals.fresnel(x).sin
    case .spence: ErrorIntegrals.spence(x)
    case .ndtri: ErrorIntegrals.ndtri(x)
    case .igamma: GammaFunctions.lower(x, y)
    case .igammac: GammaFunctions.upper(x, y)
    case .zeta: GammaFunctions.zeta(x, y)
    case .polygamma: GammaFunctions.polygamma(x, y)
    case .betainc: GammaFunctions.beta(x, y, z)
    case .nextAfter: Self.next(x, y, dtype)
    }
  }

  private static func next(_ x: Double, _ y: Double, _ dtype: DType) -> Double {
    if x.isNaN || y.isNaN { return .nan }
    if x == y { return y }
    let up = y > x
    switch dtype {
    case .float64: return up ? x.nextUp : x.nextDown
    case .float16, .bfloat16:
      // The pattern of bits after a positive number's is the next larger number.
      func bits(_ value: Double) -> UInt16 {
        dtype == .float16 ? HalfPrecision.float16Bits(value) : HalfPrecision.bfloat16Bits(Float(value))
      }
      func value(_ bits: UInt16) -> Double {
        dtype == .float16 ? HalfPrecision.double(float16Bits: bits) : Double(HalfPrecision.float(bfloat16Bits: bits))
      }
      if x == 0 { return up ? value(1) : value(0x8001) }
      return value(up == (x > 0) ? bits(x) &+ 1 : bits(x) &- 1)
    default:
      let narrow = Float(x)
      return Double(up ? narrow.nextUp : narrow.nextDown)
    }
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let (product, overflow) = (outputs[0].elementCount.fixed ?? 0).multipliedReportingOverflow(by: 50)
    return overflow ? .max : product
  }

  package static var examples: [OpExample] {
    Function.allCases.flatMap { function -> [OpExample] in
      let range: ClosedRange<Double> =
        switch function {
        case .ndtri, .betainc: 0.05...0.95
        case .zeta: 1.5...6
        case .besselJ0, .besselJ1, .dawson, .fresnelCos, .fresnelSin, .besselI1, .besselI0e, .besselI1e, .nextAfter: -4...4
        default: 0.1...5
        }
      let shapes: [[Dim]] = [[7], [], [0, 3], [2, 3, 5]]
      var list = shapes.map { dims in
        OpExample(
          SpecialFunction(function), [TensorType](repeating: TensorType(.float32, dims), count: function.arity), range: range,
          fixed: function == .polygamma ? [0: [Double](repeating: 2, count: dims.reduce(1) { $0 * ($1.fixed ?? 1) })] : [:])
      }
      if function.arity == 2 {
        list.append(
          OpExample(
            SpecialFunction(function), [TensorType(.float32, [3]), TensorType(.float32, [2, 1])], range: range,
            fixed: function == .polygamma ? [0: [0, 1, 3]] : [:]))
      }
      return list
    }
  }
}

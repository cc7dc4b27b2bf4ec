import TensorModule


extension ScalarFunction {
  /// The value for floats, in Double. Predicates give 1 or 0.
  package func evaluate(_ x: Double, _ y: Double = 0, _ z: Double = 0, _ p: [Double] = []) -> Double {
    switch self {
    case .identity: x
    case .abs: x.magnitude
    case .neg: -x
    case .exp: C.exp(x)
    case .exp2: C.exp2(x)
    case .expm1: C.expm1(x)
    case .log: C.log(x)
    case .log2: C.log2(x)
    case .log10: C.log10(x)
    case .log1p: C.log1p(x)
    case .sqrt: x.squareRoot()
    case .rsqrt: 1 / x.squareRoot()
    case .square: x * x
    case .reciprocal: 1 / x
    case .sign: x.isNaN ? x : x > 0 ? 1 : x < 0 ? -1 : 0
    case .floor: x.rounded(.down)
    case .ceil: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .trunc: x.rounded(.towardZero)
    case .sin: C.sin(x)
    case .cos: C.cos(x)
    case .tan: C.tan(x)
    case .asin: C.asin(x)
    case .acos: C.acos(x)
    case .atan: C.atan(x)
    case .sinh: C.sinh(x)
    case .cosh: C.cosh(x)
    case .tanh: C.tanh(x)
    case .asinh: C.asinh(x)
    case .acosh: C.acosh(x)
    case .atanh: C.atanh(x)
    case .erf: C.erf(x)
    case .erfc: C.erfc(x)
    case .not: x == 0 ? 1 : 0
    case .isnan: x.isNaN ? 1 : 0
    case .isinf: x.isInfinite ? 1 : 0
    case .isfinite: x.isFinite ? 1 : 0
    case .relu: x < 0 ? 0 : x
    case .sigmoid: Self.sigmoid(x)
    case .softplus: Self.softplus(x)
    case .softsign: x.isInfinite ? (x < 0 ? -1 : 1) : x / (1 + x.magnitude)
    case .silu: x == -.infinity ? -0.0 : x * Self.sigmoid(x)
    case .gelu: x == -.infinity ? -0.0 : 0.5 * x * C.erfc(-x * 0.5.squareRoot())
    case .geluTanh: x == -.infinity ? -0.0 : 0.5 * x * (1 + C.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .mish: x == -.infinity ? -0.0 : x * C.tanh(Self.softplus(x))
    case .logSigmoid: -Self.softplus(-x)
    case .selu: x > 0 ? 1.0507009873554805 * x : x.isNaN ? x : 1.0507009873554805 * 1.6732632423543772 * C.expm1(x)
    case .hardSwish: x == -.infinity ? -0.0 : x * Self.clip(x + 3, 0, 6) / 6
    case .tanhShrink: x - C.tanh(x)
    case .sparsePlus: x <= -1 ? 0 : x < 1 ? (x + 1) * (x + 1) / 4 : x
    case .sparseSigmoid: x <= -1 ? 0 : x < 1 ? 0.5 * (x + 1) : x.isNaN ? x : 1
    case .clip: Self.clip(x, p[0], p[1])
    case .leakyRelu: x < 0 ? p[0] * x : x
    case .elu: x < 0 ? p[0] * C.expm1(x) : x
    case .celu: x < 0 ? p[0] * C.expm1(x / p[0]) : x
    case .hardSigmoid: Self.clip(p[0] * x + p[1], 0, 1)
    case .softShrink: x > p[0] ? x - p[0] : x < -p[0] ? x + p[0] : x.isNaN ? x : 0
    case .hardShrink: x.magnitude > p[0] || x.isNaN ? x : 0
    case .squareplus: (x + (x * x + p[0]).squareRoot()) / 2
    case .threshold: x.isNaN || x > p[0] ? x : p[1]
    case .generalRelu: x >= p[2] ? p[2] : x >= p[1] || x.isNaN ? x : p[0] * (x - p[1])
    case .affine: p[0] * x + p[1]
    case .add: x + y
    case .sub: x - y
    case .mul: x * y
    case .div: x / y
    case .floorDiv: (x / y).rounded(.down)
    case .mod: Self.mod(x, y)
    case .pow: C.pow(x, y)
    case .max: x.isNaN || x > y ? x : y
    case .min: x.isNaN || x < y ? x : y
    case .atan2: C.atan2(x, y)
    case .squaredDifference: (x - y) * (x - y)
    case .prelu: x < 0 ? y * x : x
    case .equal: x == y ? 1 : 0
    case .notEqual: x != y ? 1 : 0
    case .less: x < y ? 1 : 0
    case .lessEqual: x <= y ? 1 : 0
    case .greater: x > y ? 1 : 0
    case .greaterEqual: x >= y ? 1 : 0
    case .and: x != 0 && y != 0 ? 1 : 0
    case .or: x != 0 || y != 0 ? 1 : 0
    case .xor: (x != 0) != (y != 0) ? 1 : 0
    case .rem: C.fmod(x, y)
    case .erfinv: Self.erfinv(x)
    case .lgamma: C.lgamma(x)
    case .digamma: Self.digamma(x)
    case .besselI0: Self.besselI0(x)
    case .select: x != 0 ? y : z
    case .gcd, .bitAnd, .bitOr, .bitXor, .bitNot, .shiftLeft, .shiftRight: .nan
    }
  }

  /// The value for integers and bool, in Int64 with wrapping arithmetic; nil where only floats are meaningful.
  package func evaluate(_ x: Int64, _ y: Int64 = 0, _ z: Int64 = 0, _ p: [Double] = []) -> Int64? {
    switch self {
    case .identity, .floor, .ceil, .round, .trunc: x
    case .abs: x < 0 ? 0 &- x : x
    case .neg: 0 &- x
    case .square: x &* x
    case .sign: x.signum()
    case .not: x == 0 ? 1 : 0
    case .relu: Swift.max(x, 0)
    case .clip, .affine, .threshold: DType.int64.clamping(evaluate(Double(x), 0, 0, p))
    case .add: x &+ y
    case .sub: x &- y
    case .mul: x &* y
    case .floorDiv: y == 0 ? 0 : Self.floorDivide(x, y)
    case .mod: y == 0 ? 0 : x &- Self.floorDivide(x, y) &* y
    case .pow: Self.power(x, y)
    case .max: Swift.max(x, y)
    case .min: Swift.min(x, y)
    case .squaredDifference: (x &- y) &* (x &- y)
    case .equal: x == y ? 1 : 0
    case .notEqual: x != y ? 1 : 0
    case .less: x < y ? 1 : 0
    case .lessEqual: x <= y ? 1 : 0
    case .greater: x > y ? 1 : 0
    case .greaterEqual: x >= y ? 1 : 0
    case .and: x != 0 && y != 0 ? 1 : 0
    case .or: x != 0 || y != 0 ? 1 : 0
    case .xor: (x != 0) != (y != 0) ? 1 : 0
    case .select: x != 0 ? y : z
    case .rem: y == 0 || y == -1 ? 0 : x % y
    case .gcd: Self.gcd(x, y)
    case .bitAnd: x & y
    case .bitOr: x | y
    case .bitXor: x ^ y
    case .bitNot: ~x
    case .shiftLeft: x << Swift.min(Swift.max(y, 0), 64)
    case .shiftRight: x >> Swift.min(Swift.max(y, 0), 64)
    default: nil
    }
  }

  private static func sigmoid(_ x: Double) -> Double {
    if x >= 0 { return 1 / (1 + C.exp(-x)) }
    let e = C.exp(x)
    return e / (1 + e)
  }

  private static func softplus(_ x: Double) -> Double {
    x > 0 ? x + C.log1p(C.exp(-x)) : C.log1p(C.exp(x))
  }

  private static func clip(_ x: Double, _ low: Double, _ high: Double) -> Double {
    x.isNaN ? x : Swift.min(Swift.max(x, low), high)
  }

  private static func mod(_ x: Double, _ y: Double) -> Double {
    let r = C.fmod(x, y)
    return r != 0 && (r < 0) != (y < 0) ? r + y : r
  }

  private static func floorDivide(_ x: Int64, _ y: Int64) -> Int64 {
    if y == -1 { return 0 &- x }
    let quotient = x / y
    return x % y != 0 && (x < 0) != (y < 0) ? quotient - 1 : quotient
  }

  private static func power(_ base: Int64, _ exponent: Int64) -> Int64 {
    if exponent < 0 { return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0 }
    var (result, factor, rest): (Int64, Int64, Int64) = (1, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result = result &* factor }
      factor = factor &* factor
      rest >>= 1
    }
    return result
  }

  private static func gcd(_ x: Int64, _ y: Int64) -> Int64 {
    var (a, b) = (x.magnitude, y.magnitude)
    while b != 0 { (a, b) = (b, a % b) }
    return Int64(truncatingIfNeeded: a)
  }

  /// Giles's approximation, made exact by Newton's method.
  private static func erfinv(_ x: Double) -> Double {
    if x.magnitude >= 1 || x.isNaN { return x.magnitude == 1 ? x * .infinity : .nan }
    if x == 0 { return x }
    let w = C.log((1 - x) * (1 + x))
    let a = 2 / (Double.pi * 0.147) + w / 2
    var y = ((a * a - w / 0.147).squareRoot() - a).squareRoot()
    if x < 0 { y = -y }
    for _ in 0..<4 {
      // Near 1 the difference of erfc keeps its digits.
      let error = x > 0 ? C.erfc(y) - (1 - x) : (1 + x) - C.erfc(-y)
      y += error * (Double.pi.squareRoot() / 2) * C.exp(y * y)
    }
    return y
  }

  /// The recurrence up to 10, then the asymptotic series; the reflection below 0.
  private static func digamma(_ x: Double) -> Double {
    if x.isNaN || x == -.infinity || (x <= 0 && x == x.rounded()) { return .nan }
    if x < 0 { return digamma(1 - x) - Double.pi / C.tan(Double.pi * x) }
    var (value, sum) = (x, 0.0)
    while value < 10 {
      sum -= 1 / value
      value += 1
    }
    let t = 1 / (value * value)
    let series = t * (1.0 / 12 - t * (1.0 / 120 - t * (1.0 / 252 - t * (1.0 / 240 - t * (1.0 / 132)))))
    return sum + C.log(value) - 0.5 / value - series
  }

  /// The power series, which has positive terms only; the asymptotic one from 50.
  private static func besselI0(_ x: Double) -> Double {
    let size = x.magnitude
    if size > 50 {
      var (term, sum) = (1.0, 1.0)
      for k in 1...12 {
        let odd = Double(2 * k - 1)
        term *= odd * odd / (8 * Double(k) * size)
        sum += term
      }
      return C.exp(size) / (2 * Double.pi * size).squareRoot() * sum
    }
    var (term, sum, k) = (1.0, 1.0, 1.0)
    while term > sum * 1e-17 {
      term *= (size / 2 / k) * (size / 2 / k)
      sum += term
      k += 1
    }
    return x.isNaN ? x : sum
  }
}

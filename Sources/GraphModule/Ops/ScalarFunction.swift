import TensorModule

/// The functions of one element of each operand. Raw values are the names of the text form and of the C kernels.
///
/// p0, p1, p2 are the parameters. Floats follow IEEE 754 (NaN wins in `max` and `min`); integers are 64 bits inside and
/// wrap to their dtype; integer division by zero gives 0.
package enum ScalarFunction: String, Sendable, CaseIterable {
  case identity, abs, neg, exp, exp2, expm1, log, log2, log10, log1p, sqrt, rsqrt, square, reciprocal, sign, floor, ceil
  /// Half to even.
  case round
  case trunc, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, erf, erfc, not, isnan, isinf,
    isfinite
  case relu, sigmoid, softplus, softsign, silu
  /// x · Φ(x), with erf.
  case gelu
  case geluTanh = "gelu_tanh"
  case mish
  case logSigmoid = "log_sigmoid"
  case selu
  /// x · clip(x + 3, 0, 6) / 6.
  case hardSwish = "hard_swish"
  case tanhShrink = "tanh_shrink"
  case sparsePlus = "sparse_plus"
  case sparseSigmoid = "sparse_sigmoid"
  /// min(max(x, p0), p1).
  case clip
  /// x < 0 ? p0 · x : x.
  case leakyRelu = "leaky_relu"
  /// x < 0 ? p0 · (eˣ − 1) : x.
  case elu
  /// max(x, 0) + min(0, p0 · (e^(x / p0) − 1)).
  case celu
  /// clip(p0 · x + p1, 0, 1).
  case hardSigmoid = "hard_sigmoid"
  case softShrink = "soft_shrink"
  case hardShrink = "hard_shrink"
  /// (x + √(x² + p0)) / 2.
  case squareplus
  /// x > p0 ? x : p1.
  case threshold
  /// Keras's ReLU with slope p0, threshold p1, maximum p2: x ≥ p2 ? p2 : x ≥ p1 ? x : p0 · (x − p1).
  case generalRelu = "general_relu"
  /// p0 · x + p1.
  case affine
  case add, sub, mul, div
  case floorDiv = "floor_div"
  /// The remainder with the sign of the divisor.
  case mod
  case pow, max, min, atan2
  case squaredDifference = "squared_difference"
  /// x ≥ 0 ? x : slope · x; operands x, slope.
  case prelu
  case equal
  case notEqual = "not_equal"
  case less
  case lessEqual = "less_equal"
  case greater
  case greaterEqual = "greater_equal"
  case and, or, xor
  /// The remainder with the sign of the dividend, as C's fmod.
  case rem
  /// The greatest common divisor, not negative.
  case gcd
  /// The bits of integers.
  case bitAnd = "bit_and"
  case bitOr = "bit_or"
  case bitXor = "bit_xor"
  case bitNot = "bit_not"
  case shiftLeft = "shift_left"
  /// Keeps the sign.
  case shiftRight = "shift_right"
  /// The inverse of erf.
  case erfinv
  /// log |Γ(x)|.
  case lgamma
  /// The derivative of log Γ.
  case digamma
  /// The modified Bessel function of the first kind, order 0.
  case besselI0 = "bessel_i0"
  /// condition ? a : b.
  case select

  package var arity: Int {
    switch self {
    case .add, .sub, .mul, .div, .floorDiv, .mod, .pow, .max, .min, .atan2, .squaredDifference, .prelu, .equal,
      .notEqual,
      .less, .lessEqual, .greater, .greaterEqual, .and, .or, .xor, .rem, .gcd, .bitAnd, .bitOr, .bitXor, .shiftLeft,
      .shiftRight:
      2
    case .select: 3
    default: 1
    }
  }

  package var parameterCount: Int {
    switch self {
    case .leakyRelu, .elu, .celu, .softShrink, .hardShrink, .squareplus: 1
    case .clip, .hardSigmoid, .threshold, .affine: 2
    case .generalRelu: 3
    default: 0
    }
  }

  /// Whether the result is bool.
  package var isPredicate: Bool {
    switch self {
    case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .and, .or, .xor, .not, .isnan, .isinf,
      .isfinite:
      true
    default: false
    }
  }

  /// Whether operands must be bool.
  package var isLogical: Bool { [.and, .or, .xor, .not].contains(self) }

  /// Whether only `elementwise` and `chain` apply it, never a product or a recurrent cell.
  package var isSpecial: Bool { isBitwise || [.rem, .erfinv, .lgamma, .digamma, .besselI0].contains(self) }

  /// Whether operands must be integers.
  package var isBitwise: Bool { [.gcd, .bitAnd, .bitOr, .bitXor, .bitNot, .shiftLeft, .shiftRight].contains(self) }

  /// Whether swapping the two operands changes nothing.
  package var isCommutative: Bool {
    [.add, .mul, .max, .min, .squaredDifference, .equal, .notEqual, .and, .or, .xor, .gcd, .bitAnd, .bitOr, .bitXor]
      .contains(self)
  }

  /// Whether integers (not bool) are meaningful operands.
  package var acceptsIntegers: Bool {
    switch self {
    case .identity, .abs, .neg, .square, .sign, .relu, .clip, .add, .sub, .mul, .floorDiv, .mod, .pow, .max, .min,
      .squaredDifference, .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .select, .affine, .floor,
      .ceil,
      .round, .trunc, .threshold, .rem, .gcd, .bitAnd, .bitOr, .bitXor, .bitNot, .shiftLeft, .shiftRight:
      true
    default: false
    }
  }
}

/// A unary function with its parameters, as it is fused behind a product or used in a recurrent cell.
package struct Activation: Hashable, Sendable {
  package var function: ScalarFunction
  package var parameters: [Double]

  package init(_ function: ScalarFunction, _ parameters: [Double] = []) {
    self.function = function
    self.parameters = parameters
  }

  package static let identity = Activation(.identity)

  /// Throws unless it takes one number to one number and has its parameters.
  func check(_ op: String) throws {
    try Expect.that(
      function.arity == 1 && !function.isPredicate && !function.isSpecial && parameters.count == function.parameterCount, op,
      "'\(function.rawValue)' with \(parameters.count) parameters is no activation")
  }

  /// `relu`, or `[leaky_relu, 0.3]` with parameters.
  var attribute: AttributeValue {
    parameters.isEmpty
      ? .word(function.rawValue) : .list([.word(function.rawValue)] + parameters.map { .float($0) })
  }

  init(attribute: AttributeValue, op: String) throws {
    let items: [AttributeValue] = if case .list(let items) = attribute { items } else { [attribute] }
    guard case .word(let name)? = items.first, let function = ScalarFunction(rawValue: name), function.arity == 1 else {
      throw KilnError(.badInput, "op '\(op)': unknown activation")
    }
    let parameters: [Double] = try items.dropFirst().map {
      switch $0 {
      case .float(let value): value
      case .int(let value): Double(value)
      default: throw KilnError(.badInput, "op '\(op)': an activation's parameter must be a number")
      }
    }
    guard parameters.count == function.parameterCount else {
      throw KilnError(.badInput, "op '\(op)': activation '\(name)' takes \(function.parameterCount) parameters")
    }
    self.init(function, parameters)
  }
}

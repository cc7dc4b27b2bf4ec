import TensorModule

extension Elementwise: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let dy = try call.cotangent()
    let y = call.outputs[0]
    func give(_ input: Int, _ make: () throws -> ValueID) throws {
      guard call.wants(input) else { return }
      try call.give(input, try call.sum(try make(), to: try call.shape(call.inputs[input])))
    }
    guard function.arity == 2 || function == .select else {
      let x = call.inputs[0]
      return try give(0) { try Activation(function, parameters).derivative(call, dy: dy, y: y) { x } }
    }
    let (a, b) = (call.inputs[0], call.inputs[1])
    switch function {
    case .add:
      try give(0) { dy }
      try give(1) { dy }
    case .sub:
      try give(0) { dy }
      try give(1) { try call.unary(.neg, dy) }
    case .mul:
      try give(0) { try call.mul(dy, b) }
      try give(1) { try call.mul(dy, a) }
    case .div:
      try give(0) { try call.binary(.div, dy, b) }
      try give(1) { try call.unary(.neg, try call.binary(.div, try call.mul(dy, y), b)) }
    case .max, .min:
      // Equal operands: the first takes all of it.
      let first = try call.binary(function == .max ? .greaterEqual : .lessEqual, a, b)
      try give(0) { try call.gate(first, dy) }
      try give(1) { try call.select(first, try call.scalar(0, like: dy), dy) }
    case .pow:
      try give(0) {
        let power = try call.binary(.pow, a, try call.affine(b, 1, -1))
        return try call.mul(dy, try call.mul(b, power))
      }
      try give(1) {
        // 0 where the base is 0, as the limit of aᵇ log a.
        let isPositive = try call.compare(.greater, a, 0)
        let safe = try call.select(isPositive, a, try call.scalar(1, like: a))
        return try call.mul(dy, try call.mul(y, try call.unary(.log, safe)))
      }
    case .atan2:
      let squares = try call.binary(.add, try call.unary(.square, a), try call.unary(.square, b))
      try give(0) { try call.mul(dy, try call.binary(.div, b, squares)) }
      try give(1) { try call.unary(.neg, try call.mul(dy, try call.binary(.div, a, squares))) }
    case .squaredDifference:
      let slope = try call.mul(dy, try call.affine(try call.binary(.sub, a, b), 2))
      try give(0) { slope }
      try give(1) { try call.unary(.neg, slope) }
    case .prelu:
      let isPositive = try call.compare(.greater, a, 0)
      try give(0) { try call.select(isPositive, dy, try call.mul(dy, b)) }
      try give(1) { try call.select(isPositive, try call.scalar(0, like: dy), try call.mul(dy, a)) }
    case .mod, .rem:
      try give(0) { dy }
      try give(1) {
        let quotient = try call.binary(.div, a, b)
        return try call.unary(.neg, try call.mul(dy, try call.unary(function == .mod ? .floor : .trunc, quotient)))
      }
    case .select:
      let zero = try call.scalar(0, like: dy)
      try give(1) { try call.select(a, dy, zero) }
      try give(2) { try call.select(a, zero, dy) }
    default: break
    }
  }
}

extension Activation {
  /// The cotangent of x for y = f(x).
  ///
  /// - Parameter x: makes the operand; asked for only where y alone does not tell the slope.
  func derivative(_ call: GradientCall, dy: ValueID, y: ValueID, x: () throws -> ValueID) throws -> ValueID {
    let p = parameters
    func by(_ slope: ValueID) throws -> ValueID { try call.mul(dy, slope) }
    func over(_ divisor: ValueID) throws -> ValueID { try call.binary(.div, dy, divisor) }
    /// 1 + sign · v².
    func onePlusSquare(_ v: ValueID, _ sign: Double) throws -> ValueID { try call.affine(try call.unary(.square, v), sign, 1) }
    func both(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.binary(.and, a, b) }
    switch function {
    case .identity: return dy
    case .abs: return try by(try call.unary(.sign, try x()))
    case .neg: return try call.unary(.neg, dy)
    case .exp: return try by(y)
    case .exp2: return try by(try call.affine(y, C.log(2)))
    case .expm1: return try by(try call.affine(y, 1, 1))
    case .log: return try over(try x())
    case .log2: return try over(try call.affine(try x(), C.log(2)))
    case .log10: return try over(try call.affine(try x(), C.log(10)))
    case .log1p: return try over(try call.affine(try x(), 1, 1))
    case .sqrt: return try over(try call.affine(y, 2))
    case .rsqrt: return try by(try call.affine(try call.mul(y, try call.unary(.square, y)), -0.5))
    case .square: return try by(try call.affine(try x(), 2))
    case .reciprocal: return try by(try call.affine(try call.unary(.square, y), -1))
    case .sign, .floor, .ceil, .round, .trunc: return try call.affine(dy, 0)
    case .sin: return try by(try call.unary(.cos, try x()))
    case .cos: return try by(try call.unary(.neg, try call.unary(.sin, try x())))
    case .tan: return try by(try onePlusSquare(y, 1))
    case .asin: return try by(try call.unary(.rsqrt, try onePlusSquare(try x(), -1)))
    case .acos: return try by(try call.unary(.neg, try call.unary(.rsqrt, try onePlusSquare(try x(), -1))))
    case .atan: return try over(try onePlusSquare(try x(), 1))
    case .sinh: return try by(try call.unary(.cosh, try x()))
    case .cosh: return try by(try call.unary(.sinh, try x()))
    case .tanh: return try by(try onePlusSquare(y, -1))
    case .asinh: return try by(try call.unary(.rsqrt, try onePlusSquare(try x(), 1)))
    case .acosh: return try by(try call.unary(.rsqrt, try call.affine(try call.unary(.square, try x()), 1, -1)))
    case .atanh: return try over(try onePlusSquare(try x(), -1))
    case .erf, .erfc:
      let bell = try call.unary(.exp, try call.unary(.neg, try call.unary(.square, try x())))
      return try by(try call.affine(bell, (function == .erf ? 2 : -2) / Double.pi.squareRoot()))
    case .erfinv:
      return try by(try call.affine(try call.unary(.exp, try call.unary(.square, y)), Double.pi.squareRoot() / 2))
    case .lgamma: return try by(try call.unary(.digamma, try x()))
    case .digamma: return try by(try call.add(SpecialFunction(.polygamma), [try call.fill(1, call.type(y)), try x()]))
    case .besselI0: return try by(try call.add(SpecialFunction(.besselI1), [try x()]))
    case .relu: return try call.gate(try call.compare(.greater, y, 0), dy)
    case .sigmoid: return try by(try call.mul(y, try call.affine(y, -1, 1)))
    case .softplus: return try by(try call.unary(.sigmoid, try x()))
    case .softsign: return try over(try call.unary(.square, try call.affine(try call.unary(.abs, try x()), 1, 1)))
    case .silu:
      let s = try call.unary(.sigmoid, try x())
      return try by(try call.binary(.add, s, try call.mul(y, try call.affine(s, -1, 1))))
    case .gelu:
      let x = try x()
      let share = try call.affine(try call.unary(.erf, try call.affine(x, 0.5.squareRoot())), 0.5, 0.5)
      let bell = try call.unary(.exp, try call.affine(try call.unary(.square, x), -0.5))
      return try by(try call.binary(.add, share, try call.affine(try call.mul(x, bell), 1 / (2 * Double.pi).squareRoot())))
    case .geluTanh:
      let (x, factor) = (try x(), (2 / Double.pi).squareRoot())
      let square = try call.unary(.square, x)
      let inner = try call.mul(x, try call.affine(square, factor * 0.044715, factor))
      let t = try call.unary(.tanh, inner)
      let slope = try call.mul(try onePlusSquare(t, -1), try call.affine(square, factor * 0.044715 * 3, factor))
      return try by(try call.binary(.add, try call.affine(t, 0.5, 0.5), try call.affine(try call.mul(x, slope), 0.5)))
    case .mish:
      let x = try x()
      let t = try call.unary(.tanh, try call.unary(.softplus, x))
      let second = try call.mul(try call.mul(x, try onePlusSquare(t, -1)), try call.unary(.sigmoid, x))
      return try by(try call.binary(.add, t, second))
    case .logSigmoid: return try by(try call.unary(.sigmoid, try call.unary(.neg, try x())))
    case .selu:
      let (alpha, scale) = (1.6732632423543772, 1.0507009873554805)
      let isPositive = try call.compare(.greater, y, 0)
      return try by(try call.select(isPositive, try call.scalar(scale, like: y), try call.affine(y, 1, scale * alpha)))
    case .hardSwish:
      let x = try x()
      let slope = try call.affine(x, 1 / 3.0, 0.5)
      let inner = try call.select(try call.compare(.greaterEqual, x, 3), try call.scalar(1, like: x), slope)
      return try call.gate(try call.compare(.greater, x, -3), try by(inner))
    case .tanhShrink: return try by(try call.unary(.square, try call.binary(.sub, try x(), y)))
    case .sparsePlus: return try by(try call.unary(.hardSigmoid, try x(), 0.5, 0.5))
    case .sparseSigmoid:
      return try call.gate(try call.compare(.less, try call.unary(.abs, try x()), 1), try call.affine(dy, 0.5))
    case .clip:
      // A ReLU with a maximum has no slope at its ends; a bound of plain numbers has.
      let isReLU = p[0] == 0
      let x = isReLU ? y : try x()
      let low = try call.compare(isReLU ? .greater : .greaterEqual, x, p[0])
      return try call.gate(try both(low, try call.compare(isReLU ? .less : .lessEqual, x, p[1])), dy)
    case .leakyRelu: return try call.select(try call.compare(.greater, try x(), 0), dy, try call.affine(dy, p[0]))
    case .elu: return try call.select(try call.compare(.greater, try x(), 0), dy, try by(try call.affine(y, 1, p[0])))
    case .celu:
      let x = try x()
      let falling = try by(try call.unary(.exp, try call.affine(try call.binary(.min, x, try call.scalar(0, like: x)), 1 / p[0])))
      return try call.select(try call.compare(.greater, x, 0), dy, falling)
    case .hardSigmoid:
      let inside = try both(try call.compare(.greater, y, 0), try call.compare(.less, y, 1))
      return try call.gate(inside, try call.affine(dy, p[0]))
    case .softShrink, .hardShrink:
      return try call.gate(try call.compare(.greater, try call.unary(.abs, try x()), p[0]), dy)
    case .squareplus:
      let x = try x()
      let root = try call.unary(.rsqrt, try call.affine(try call.unary(.square, x), 1, p[0]))
      return try by(try call.affine(try call.mul(x, root), 0.5, 0.5))
    case .threshold: return try call.gate(try call.compare(.greater, try x(), p[0]), dy)
    case .generalRelu:
      let x = try x()
      let above = try call.select(try call.compare(.greaterEqual, x, p[1]), dy, try call.affine(dy, p[0]))
      return try call.gate(try call.compare(.less, x, p[2]), above)
    case .affine: return try call.affine(dy, p[0])
    default: throw KilnError(.unsupportedModel, "'\(function.rawValue)' has no derivative")
    }
  }
}

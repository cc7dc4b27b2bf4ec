import TensorModule

extension SpecialFunction: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    // Only the last operand: by the others the derivatives are no functions of this list.
    let last = function.arity - 1
    guard function != .nextAfter, !(0..<last).contains(where: { call.wants($0) }) else {
      throw KilnError(.unsupportedModel, "'\(function.rawValue)' has no derivative")
    }
    let dy = try call.cotangent()
    let slope = try self.slope(call, call.inputs[last], call.outputs[0])
    try call.give(last, try call.sum(try call.mul(dy, slope), to: try call.shape(call.inputs[last])))
  }

  /// The derivative by the last operand.
  private func slope(_ call: GradientCall, _ x: ValueID, _ y: ValueID) throws -> ValueID {
    func other(_ other: Function) throws -> ValueID { try call.add(SpecialFunction(other), [x]) }
    func squared(_ factor: Double) throws -> ValueID { try call.affine(try call.unary(.square, x), factor) }
    func sub(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.binary(.sub, a, b) }
    /// y / x, and what it comes to at 0.
    func overX(_ y: ValueID, at zero: Double) throws -> ValueID {
      let isZero = try call.compare(.equal, x, 0)
      let quotient = try call.binary(.div, y, try call.select(isZero, try call.scalar(1, like: x), x))
      return try call.select(isZero, try call.scalar(zero, like: x), quotient)
    }
    /// (p − 1) log v.
    func power(_ p: ValueID, _ v: ValueID) throws -> ValueID { try call.mul(try call.affine(p, 1, -1), try call.unary(.log, v)) }
    switch function {
    case .besselJ0: return try call.unary(.neg, try other(.besselJ1))
    case .besselJ1: return try sub(try other(.besselJ0), try overX(y, at: 0.5))
    case .besselY0: return try call.unary(.neg, try other(.besselY1))
    case .besselY1: return try sub(try other(.besselY0), try call.binary(.div, y, x))
    case .besselK0: return try call.unary(.neg, try other(.besselK1))
    case .besselK0e: return try sub(y, try other(.besselK1e))
    case .besselK1: return try call.unary(.neg, try call.binary(.add, try other(.besselK0), try call.binary(.div, y, x)))
    case .besselK1e: return try sub(try sub(y, try call.binary(.div, y, x)), try other(.besselK0e))
    case .besselI0e: return try sub(try other(.besselI1e), try call.mul(try call.unary(.sign, x), y))
    case .besselI1: return try sub(try call.unary(.besselI0, x), try overX(y, at: 0.5))
    case .besselI1e:
      return try sub(try sub(try other(.besselI0e), try overX(y, at: 0.5)), try call.mul(try call.unary(.sign, x), y))
    case .dawson: return try call.affine(try call.mul(x, y), -2, 1)
    case .expIntegral: return try call.binary(.div, try call.unary(.exp, x), x)
    case .fresnelCos: return try call.unary(.cos, try squared(Double.pi / 2))
    case .fresnelSin: return try call.unary(.sin, try squared(Double.pi / 2))
    case .spence:
      let isOne = try call.compare(.equal, x, 1)
      let below = try call.select(isOne, try call.scalar(-1, like: x), try call.affine(x, -1, 1))
      return try call.select(isOne, try call.scalar(-1, like: x), try call.binary(.div, try call.unary(.log, x), below))
    case .ndtri: return try call.affine(try call.unary(.exp, try call.affine(try call.unary(.square, y), 0.5)), (2 * Double.pi).squareRoot())
    case .igamma, .igammac:
      // ±x^(a − 1) e^−x / Γ(a).
      let a = call.inputs[0]
      let density = try call.unary(.exp, try sub(try sub(try power(a, x), x), try call.unary(.lgamma, a)))
      return function == .igamma ? density : try call.unary(.neg, density)
    case .zeta:
      let s = call.inputs[0]
      return try call.unary(.neg, try call.mul(s, try call.add(SpecialFunction(.zeta), [try call.affine(s, 1, 1), x])))
    case .polygamma: return try call.add(SpecialFunction(.polygamma), [try call.affine(call.inputs[0], 1, 1), x])
    case .betainc:
      // x^(a − 1) (1 − x)^(b − 1) / B(a, b).
      let (a, b) = (call.inputs[0], call.inputs[1])
      let powers = try call.binary(.add, try power(a, x), try power(b, try call.affine(x, -1, 1)))
      let parts = try call.binary(.add, try call.unary(.lgamma, a), try call.unary(.lgamma, b))
      return try call.unary(.exp, try call.binary(.add, powers, try sub(try call.unary(.lgamma, try call.binary(.add, a, b)), parts)))
    case .nextAfter: return try call.fill(0, call.type(y))
    }
  }
}

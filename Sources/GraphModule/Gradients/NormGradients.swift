import TensorModule

extension LayerNorm: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let (x, dy) = (call.inputs[0], try call.cotangent())
    let shape = try call.shape(x)
    let first = axis < 0 ? axis + shape.count : axis
    let (rows, axes) = (Array(0..<first), Array(first..<shape.count))
    func mean(_ value: ValueID) throws -> ValueID { try call.add(Reduce(.mean, axes: axes, keepDims: true), [value]) }
    let centred = try call.binary(.sub, x, try mean(x))
    let inverse = try call.unary(.rsqrt, try call.affine(try mean(try call.unary(.square, centred)), 1, epsilon))
    let normal = try call.mul(centred, inverse)
    if call.wants(0) {
      // x̂ = (x − mean) · inverse: dx = inverse · (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)).
      let slope = scale ? try call.mul(dy, call.inputs[1]) : dy
      let along = try call.mul(normal, try mean(try call.mul(slope, normal)))
      let rest = try call.binary(.sub, try call.binary(.sub, slope, try mean(slope)), along)
      try call.give(0, try call.mul(rest, inverse))
    }
    if scale, call.wants(1) { try call.give(1, try call.sum(try call.mul(dy, normal), axes: rows)) }
    let beta = scale ? 2 : 1
    if offset, call.wants(beta) { try call.give(beta, try call.sum(dy, axes: rows)) }
  }
}

extension RMSNorm: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let (x, dy) = (call.inputs[0], try call.cotangent())
    let shape = try call.shape(x)
    let first = axis < 0 ? axis + shape.count : axis
    let axes = Array(first..<shape.count)
    func mean(_ value: ValueID) throws -> ValueID { try call.add(Reduce(.mean, axes: axes, keepDims: true), [value]) }
    let inverse = try call.unary(.rsqrt, try call.affine(try mean(try call.unary(.square, x)), 1, epsilon))
    let normal = try call.mul(x, inverse)
    if call.wants(0) {
      let slope = scale ? try call.mul(dy, call.inputs[1]) : dy
      let along = try call.mul(normal, try mean(try call.mul(slope, normal)))
      try call.give(0, try call.mul(try call.binary(.sub, slope, along), inverse))
    }
    if scale, call.wants(1) { try call.give(1, try call.sum(try call.mul(dy, normal), axes: Array(0..<first))) }
  }
}

extension BatchNorm: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let (x, dy) = (call.inputs[0], try call.cotangent())
    let rows = Array(0..<(try call.shape(x).count - 1))
    let (mean, variance) = (call.inputs[operands.mean], call.inputs[operands.variance])
    let inverse = try call.unary(.rsqrt, try call.affine(variance, 1, epsilon))
    let factor = try operands.gamma.map { try call.mul(call.inputs[$0], inverse) } ?? inverse
    if call.wants(0) { try call.give(0, try call.mul(dy, factor)) }
    let needsProduct = call.wants(operands.gamma) || call.wants(operands.variance)
    let total = call.wants(operands.beta) || call.wants(operands.mean) ? try call.sum(dy, axes: rows) : nil
    // Σ dy · (x − mean), per channel.
    let product = needsProduct ? try call.sum(try call.mul(dy, try call.binary(.sub, x, mean)), axes: rows) : nil
    if let gamma = operands.gamma, call.wants(gamma), let product { try call.give(gamma, try call.mul(product, inverse)) }
    if let beta = operands.beta, call.wants(beta), let total { try call.give(beta, total) }
    if call.wants(operands.mean), let total {
      try call.give(operands.mean, try call.unary(.neg, try call.mul(total, factor)))
    }
    if call.wants(operands.variance), let product {
      let slope = try call.mul(factor, try call.unary(.square, inverse))
      try call.give(operands.variance, try call.affine(try call.mul(product, slope), -0.5))
    }
  }
}

extension SpecialFunction: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    guard function.arity == 1, call.inputs.count == 1 else {
      throw KilnError(.unsupportedModel, "'\(function.rawValue)' has no derivative")
    }
    let (x, y, dy) = (call.inputs[0], call.outputs[0], try call.cotangent())
    func other(_ other: Function) throws -> ValueID { try call.add(SpecialFunction(other), [x]) }
    func squared(_ factor: Double) throws -> ValueID { try call.affine(try call.unary(.square, x), factor) }
    let slope: ValueID
    switch function {
    case .besselJ0: slope = try call.unary(.neg, try other(.besselJ1))
    case .besselJ1: slope = try call.binary(.sub, try other(.besselJ0), try call.binary(.div, y, x))
    case .besselY0: slope = try call.unary(.neg, try other(.besselY1))
    case .besselY1: slope = try call.binary(.sub, try other(.besselY0), try call.binary(.div, y, x))
    case .besselK0: slope = try call.unary(.neg, try other(.besselK1))
    case .besselI0e: slope = try call.binary(.sub, try other(.besselI1e), try call.mul(try call.unary(.sign, x), y))
    case .dawson: slope = try call.affine(try call.mul(x, y), -2, 1)
    case .expIntegral: slope = try call.binary(.div, try call.unary(.exp, x), x)
    case .fresnelCos: slope = try call.unary(.cos, try squared(Double.pi / 2))
    case .fresnelSin: slope = try call.unary(.sin, try squared(Double.pi / 2))
    case .ndtri: slope = try call.affine(try call.unary(.exp, try call.affine(try call.unary(.square, y), 0.5)), (2 * Double.pi).squareRoot())
    default: throw KilnError(.unsupportedModel, "'\(function.rawValue)' has no derivative")
    }
    try call.give(0, try call.mul(dy, slope))
  }
}

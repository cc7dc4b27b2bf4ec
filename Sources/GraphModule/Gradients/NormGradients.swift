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

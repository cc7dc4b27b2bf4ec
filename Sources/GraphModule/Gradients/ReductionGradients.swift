import TensorModule

extension Reduce: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let x = call.inputs[0]
    let shape = try call.shape(x)
    let kept = shape.enumerated().map { axes.contains($0) ? 1 : $1 }
    let dy = try call.reshape(try call.cotangent(), kept)
    let y = try call.reshape(call.outputs[0], kept)
    let count = axes.reduce(1) { $0 * shape[$1] }
    switch kind {
    case .sum: try call.give(0, try call.broadcast(dy, to: shape))
    case .mean: try call.give(0, try call.broadcast(try call.affine(dy, 1 / Double(max(count, 1))), to: shape))
    case .max, .min:
      // Equal extremes share alike.
      let isExtreme = try call.binary(.equal, x, y)
      let number = try call.sum(try call.add(Cast(call.type(x).dtype), [isExtreme]), axes: axes, keepDims: true)
      let share = try call.broadcast(try call.binary(.div, dy, number), to: shape)
      try call.give(0, try call.gate(isExtreme, share))
    case .prod:
      // The product of all others, right where one is 0.
      let order = shape.indices.filter { !axes.contains($0) } + axes
      let rows = shape.indices.filter { !axes.contains($0) }.reduce(1) { $0 * shape[$1] }
      let flat = try call.reshape(try call.transpose(x, order), [rows, count])
      let before = try call.add(Cumulative(.prod, axis: 1, exclusive: true), [flat])
      let after = try call.add(Cumulative(.prod, axis: 1, exclusive: true, reverse: true), [flat])
      var back = order
      for (place, axis) in order.enumerated() { back[axis] = place }
      let others = try call.transpose(try call.reshape(try call.mul(before, after), order.map { shape[$0] }), back)
      try call.give(0, try call.mul(others, dy))
    case .logsumexp: try call.give(0, try call.mul(try call.unary(.exp, try call.binary(.sub, x, y)), dy))
    case .any, .all: break
    }
  }
}

extension Cumulative: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let (x, y, dy) = (call.inputs[0], call.outputs[0], try call.cotangent())
    let back = Cumulative(.sum, axis: axis, exclusive: exclusive, reverse: !reverse)
    switch kind {
    case .sum: try call.give(0, try call.add(back, [dy]))
    case .prod: try call.give(0, try call.binary(.div, try call.add(back, [try call.mul(dy, y)]), x))
    case .logSumExp:
      guard !exclusive else { throw KilnError(.unsupportedModel, "an exclusive 'log_sum_exp' has no derivative") }
      let weighted = try call.mul(dy, try call.unary(.exp, try call.unary(.neg, y)))
      try call.give(0, try call.mul(try call.unary(.exp, x), try call.add(back, [weighted])))
    }
  }
}

extension Softmax: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let (y, dy) = (call.outputs[0], try call.cotangent())
    let shape = try call.shape(y)
    let axes = [axis < 0 ? axis + shape.count : axis]
    if log {
      let total = try call.sum(dy, axes: axes, keepDims: true)
      return try call.give(0, try call.binary(.sub, dy, try call.mul(try call.unary(.exp, y), total)))
    }
    let total = try call.sum(try call.mul(dy, y), axes: axes, keepDims: true)
    try call.give(0, try call.mul(y, try call.binary(.sub, dy, total)))
  }
}

extension Pool: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    try call.give(0, try call.add(PoolGradient(self), [call.inputs[0], try call.cotangent()]))
  }
}

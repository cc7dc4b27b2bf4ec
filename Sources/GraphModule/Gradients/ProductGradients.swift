import TensorModule

extension Epilogue {
  /// Hands over the cotangents of bias and residual.
  ///
  /// - Parameter product: makes the op without its activation, for slopes that the result does not tell.
  /// - Returns: the cotangent of the product before bias and residual.
  func gradient(_ call: GradientCall, product: (Epilogue) -> any OpDefinition) throws -> ValueID {
    var linear = self
    linear.activation = .identity
    let dz = try activation.derivative(call, dy: try call.cotangent(), y: call.outputs[0]) {
      try call.add(product(linear), call.inputs)
    }
    if let index = biasIndex(), call.wants(index) {
      let rank = call.type(dz).rank
      try call.give(index, try call.sum(dz, axes: Array(0..<rank - 1)))
    }
    if let index = residualIndex(), call.wants(index) { try call.give(index, dz) }
    return dz
  }
}

extension MatMul: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let dz = try epilogue.gradient(call) { MatMul(transposeA: transposeA, transposeB: transposeB, epilogue: $0) }
    var (a, b, dc) = (call.inputs[0], call.inputs[1], dz)
    let (shapeA, shapeB) = (try call.shape(a), try call.shape(b))
    // A matrix on the right: all rows of the left operand are one matrix.
    if shapeB.count == 2, shapeA.count > 2, !transposeA {
      a = try call.reshape(a, [shapeA.dropLast().reduce(1, *), shapeA[shapeA.count - 1]])
      let shape = try call.shape(dc)
      dc = try call.reshape(dc, [shape.dropLast().reduce(1, *), shape[shape.count - 1]])
    }
    func product(_ left: ValueID, _ right: ValueID, _ transposeLeft: Bool, _ transposeRight: Bool) throws -> ValueID {
      try call.add(MatMul(transposeA: transposeLeft, transposeB: transposeRight), [left, right])
    }
    if call.wants(0) {
      let da = transposeA ? try product(b, dc, transposeB, true) : try product(dc, b, false, !transposeB)
      let isFlat = try call.shape(a) != shapeA
      try call.give(0, isFlat ? try call.reshape(da, shapeA) : try call.sum(da, to: shapeA))
    }
    if call.wants(1) {
      let db = transposeB ? try product(dc, a, true, transposeA) : try product(a, dc, !transposeA, false)
      try call.give(1, try call.sum(db, to: shapeB))
    }
  }
}

extension Conv: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let dz = try epilogue.gradient(call) {
      Conv(strides: strides, dilations: dilations, padding: padding, groups: groups, epilogue: $0)
    }
    let (x, w) = (call.inputs[0], call.inputs[1])
    let (input, kernel, output) = (try call.shape(x), try call.shape(w), try call.shape(dz))
    let window = Array(kernel.dropLast(2))
    let low = window.indices.map {
      padding.amount(input[$0 + 1], size: window[$0], stride: strides[$0], dilation: dilations[$0], axis: $0).low
    }
    if call.wants(0) {
      try call.give(0, try inputGradient(call, dz, w, input, window, output, low))
    }
    if call.wants(1) {
      let op = ConvKernelGradient(window: window, strides: strides, dilations: dilations, low: low, groups: groups)
      try call.give(1, try call.add(op, [x, dz]))
    }
  }

  /// The transposed convolution. With strides of 1 it is a convolution with the kernel turned round, which has the faster
  /// kernels.
  private func inputGradient(
    _ call: GradientCall, _ dz: ValueID, _ w: ValueID, _ input: Shape, _ window: [Int], _ output: Shape, _ low: [Int]
  ) throws -> ValueID {
    let extents = zip(window, dilations).map { ($0 - 1) * $1 + 1 }
    var dz = dz
    var (strides, output) = (self.strides, output)
    let kernel = try call.shape(w)
    let isDepthwise = groups > 1 && kernel[kernel.count - 2] == 1 && kernel[kernel.count - 1] == groups
    if isDepthwise, strides.contains(where: { $0 > 1 }) {
      dz = try spread(call, dz, strides)
      output = try call.shape(dz)
      strides = strides.map { _ in 1 }
    }
    if strides.allSatisfy({ $0 == 1 }), groups == 1 || isDepthwise {
      let amounts = window.indices.map {
        Padding.Amount(extents[$0] - 1 - low[$0], input[$0 + 1] - output[$0 + 1] + low[$0])
      }
      if amounts.allSatisfy({ $0.low >= 0 && $0.high >= 0 }) {
        var turned = try call.reverse(w, axes: window.indices.filter { window[$0] > 1 })
        let rank = window.count
        if groups == 1 { turned = try call.transpose(turned, Array(0..<rank) + [rank + 1, rank]) }
        let op = Conv(strides: strides, dilations: dilations, padding: .explicit(amounts), groups: groups)
        return try call.add(op, [dz, turned])
      }
    }
    // Positions of the input behind the last window's end take nothing: output_padding.
    let rest = window.indices.map { input[$0 + 1] - ((output[$0 + 1] - 1) * strides[$0] + extents[$0] - low[$0]) }
    let cut = zip(low, rest).map { Padding.Amount($0, max(0, -$1)) }
    let op = ConvTranspose(
      strides: strides, dilations: dilations, padding: .explicit(cut), outputPadding: rest.map { max(0, $0) }, groups: groups)
    return try call.add(op, [dz, w])
  }

  /// x with strides − 1 zeros between its pixels.
  private func spread(_ call: GradientCall, _ x: ValueID, _ strides: [Int]) throws -> ValueID {
    let shape = try call.shape(x)
    let split = [shape[0]] + strides.indices.flatMap { [shape[$0 + 1], 1] } + [shape[shape.count - 1]]
    let high = [0] + strides.flatMap { [0, $0 - 1] } + [0]
    let padded = try call.add(Pad(low: high.map { _ in 0 }, high: high), [try call.reshape(x, split)])
    let joined = try call.reshape(padded, [shape[0]] + strides.indices.map { shape[$0 + 1] * strides[$0] } + [shape[shape.count - 1]])
    let ranges = [Slice.Range.all] + strides.indices.map { Slice.Range(end: (shape[$0 + 1] - 1) * strides[$0] + 1) } + [.all]
    return try call.add(Slice(ranges), [joined])
  }
}

extension ConvTranspose: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let dz = try epilogue.gradient(call) {
      ConvTranspose(
        strides: strides, dilations: dilations, padding: padding, outputPadding: outputPadding, groups: groups, epilogue: $0)
    }
    let (x, w) = (call.inputs[0], call.inputs[1])
    let (input, kernel, output) = (try call.shape(x), try call.shape(w), try call.shape(dz))
    let window = Array(kernel.dropLast(2))
    let low = window.indices.map { cut(input[$0 + 1], output: output[$0 + 1], size: window[$0], axis: $0) }
    if call.wants(0) {
      // The convolution that has the transposed one as its gradient. What the last window reaches behind the end is zeros;
      // what lies behind the last window is left out.
      let reach = window.indices.map { (input[$0 + 1] - 1) * strides[$0] + (window[$0] - 1) * dilations[$0] + 1 - low[$0] }
      var from = dz
      if window.indices.contains(where: { output[$0 + 1] > reach[$0] }) {
        let ranges = [Slice.Range.all] + window.indices.map { Slice.Range(end: max(0, min(reach[$0], output[$0 + 1]))) } + [.all]
        from = try call.add(Slice(ranges), [dz])
      }
      let amounts = window.indices.map { Padding.Amount(low[$0], max(0, reach[$0] - output[$0 + 1])) }
      let op = Conv(strides: strides, dilations: dilations, padding: .explicit(amounts), groups: groups)
      try call.give(0, try call.add(op, [from, w]))
    }
    if call.wants(1) {
      let op = ConvKernelGradient(window: window, strides: strides, dilations: dilations, low: low, groups: groups)
      try call.give(1, try call.add(op, [dz, x]))
    }
  }
}

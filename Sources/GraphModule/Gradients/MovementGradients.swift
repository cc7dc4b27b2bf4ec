import TensorModule

extension Reshape: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    try call.give(0, try call.reshape(try call.cotangent(), try call.shape(call.inputs[0])))
  }
}

extension Transpose: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    var back = permutation
    for (place, axis) in permutation.enumerated() { back[axis] = place }
    try call.give(0, try call.transpose(try call.cotangent(), back))
  }
}

extension BroadcastTo: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    try call.give(0, try call.sum(try call.cotangent(), to: try call.shape(call.inputs[0])))
  }
}

extension Cast: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    try call.give(0, try call.add(Cast(call.type(call.inputs[0]).dtype), [try call.cotangent()]))
  }
}

extension Reverse: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws { try call.give(0, try call.reverse(try call.cotangent(), axes: axes)) }
}

extension Concat: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let dy = try call.cotangent()
    var start = 0
    for (index, input) in call.inputs.enumerated() {
      let shape = try call.shape(input)
      if call.wants(index) {
        var ranges = [Slice.Range](repeating: .all, count: shape.count)
        ranges[axis] = Slice.Range(start: start, end: start + shape[axis])
        try call.give(index, call.inputs.count == 1 ? dy : try call.add(Slice(ranges), [dy]))
      }
      start += shape[axis]
    }
  }
}

extension Slice: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let shape = try call.shape(call.inputs[0])
    var dy = try call.cotangent()
    let resolved = zip(ranges, shape).map { $0.resolved($1) }
    dy = try call.reverse(dy, axes: ranges.indices.filter { ranges[$0].step < 0 && resolved[$0].count > 1 })
    var (low, high) = ([Int](repeating: 0, count: shape.count), [Int](repeating: 0, count: shape.count))
    for (axis, range) in ranges.enumerated() {
      let (count, step) = (resolved[axis].count, Swift.abs(range.step))
      let first = range.step > 0 ? resolved[axis].start : resolved[axis].start - (count - 1) * step
      if count == 0 { return try call.give(0, try call.fill(0, call.type(call.inputs[0]))) }
      var length = count
      if step > 1, count > 1 {
        // Zeros between the positions that were taken.
        let own = try call.shape(dy)
        var split = own
        split.insert(1, at: axis + 1)
        var amounts = [Int](repeating: 0, count: split.count)
        amounts[axis + 1] = step - 1
        let padded = try call.add(Pad(low: amounts.map { _ in 0 }, high: amounts), [try call.reshape(dy, split)])
        var joined = own
        joined[axis] = count * step
        var ends = [Slice.Range](repeating: .all, count: own.count)
        length = (count - 1) * step + 1
        ends[axis] = Slice.Range(end: length)
        dy = try call.add(Slice(ends), [try call.reshape(padded, joined)])
      }
      (low[axis], high[axis]) = (first, shape[axis] - first - length)
    }
    let isWhole = (low + high).allSatisfy { $0 == 0 }
    try call.give(0, isWhole ? dy : try call.add(Pad(low: low, high: high), [dy]))
  }
}

extension Pad: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let shape = try call.shape(call.inputs[0])
    var dy = try call.cotangent()
    if mode == .constant {
      let ranges = shape.indices.map { Slice.Range(start: low[$0], end: low[$0] + shape[$0]) }
      return try call.give(0, try call.add(Slice(ranges), [dy]))
    }
    for axis in shape.indices where low[axis] + high[axis] > 0 {
      let sources = (0..<(low[axis] + shape[axis] + high[axis])).map { position -> [(source: Int, weight: Double)] in
        let source = source(position - low[axis], shape[axis])
        return source < 0 ? [] : [(source, 1)]
      }
      dy = try call.transposedMap(dy, axis: axis, length: shape[axis], sources)
    }
    try call.give(0, dy)
  }
}

extension Resize: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let shape = try call.shape(call.inputs[0])
    var dy = try call.cotangent()
    let to = try call.shape(dy)
    if shape.contains(0) || to.contains(0) { return try call.give(0, try call.fill(0, call.type(call.inputs[0]))) }
    for axis in 1..<(shape.count - 1) {
      let sources = (0..<to[axis]).map { position -> [(source: Int, weight: Double)] in
        if mode == .nearest { return [(nearestSource(position, input: shape[axis], output: to[axis]), 1)] }
        let (low, high, weight) = linearSource(position, input: shape[axis], output: to[axis])
        return weight == 0 ? [(low, 1)] : [(low, 1 - weight), (high, weight)]
      }
      dy = try call.transposedMap(dy, axis: axis, length: shape[axis], sources)
    }
    try call.give(0, dy)
  }
}

extension Gather: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    guard call.wants(0) else { return }
    let (data, indices) = (try call.shape(call.inputs[0]), try call.shape(call.inputs[1]))
    let batch = data.prefix(batchDims).reduce(1, *)
    let before = data[batchDims..<axis].reduce(1, *)
    let (length, after) = (data[axis], data[(axis + 1)...].reduce(1, *))
    let picks = indices[batchDims...].reduce(1, *)
    // The picks before the other axes: rows that are added up by index.
    let dy = try call.reshape(try call.cotangent(), [batch, before, picks, after])
    let rows = try call.reshape(
      before == 1 ? dy : try call.transpose(dy, [0, 2, 1, 3]), [batch * picks, before * after])
    let flat = try call.offset(
      try call.reshape(call.inputs[1], [batch, picks]), by: (0..<batch).map { $0 * length }, [batch, 1])
    let sums = try call.scatterAdd(rows, try call.reshape(flat, [batch * picks]), count: batch * length)
    let split = try call.reshape(sums, [batch, length, before, after])
    try call.give(0, try call.reshape(before == 1 ? split : try call.transpose(split, [0, 2, 1, 3]), data))
  }
}

extension TopK: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let shape = try call.shape(call.inputs[0])
    try call.give(0, try call.scatterLast(try call.cotangent(), call.outputs[1], length: shape[shape.count - 1]))
  }
}

extension Sort: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let shape = try call.shape(call.inputs[0])
    let forth = shape.indices.filter { $0 != axis } + [axis]
    let back = shape.indices.map { $0 < axis ? $0 : $0 == axis ? shape.count - 1 : $0 - 1 }
    let (dy, places) = (try call.transpose(try call.cotangent(), forth), try call.transpose(call.outputs[1], forth))
    try call.give(0, try call.transpose(try call.scatterLast(dy, places, length: shape[axis]), back))
  }
}

extension Noise: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws { try call.give(0, try call.cotangent()) }
}

import TensorModule

/// The derivative of `pool` by its operand.
package struct PoolGradient: OpDefinition {
  package static let name = "pool_gradient"
  package static let summary =
    "the cotangent of pool's operand: operands x [batch, spatial..., channels] and the result's cotangent; the first of equal maxima of a window takes all of it"

  /// The op whose derivative it is.
  package var pool: Pool

  package init(_ pool: Pool) { self.pool = pool }

  package var attributes: Attributes { pool.attributes }

  package init(from reader: inout AttributeReader) throws { pool = try Pool(from: &reader) }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    let (x, dy) = (inputs[0], inputs[1])
    try Expect.float(x, Self.name, "the input")
    let result = try pool.infer([x])[0]
    try Expect.that(
      dy.dtype == result.dtype && dy.rank == result.rank, Self.name, "the cotangent must be \(result.message), found \(dy.message)")
    for (a, b) in zip(result.dims, dy.dims) {
      try Expect.equal(a, b, Self.name, "the dims of the result \(result.message) and of its cotangent \(dy.message)")
    }
    return [x]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let (x, dy) = (inputs[0], inputs[1])
    let (shape, result) = (x.shape, dy.shape)
    let channels = shape[shape.count - 1]
    let low = pool.window.indices.map {
      pool.padding.amount(shape[$0 + 1], size: pool.window[$0], stride: pool.strides[$0], dilation: pool.dilations[$0], axis: $0).low
    }
    let geometry = WindowGeometry(
      input: shape, output: result, window: pool.window, strides: pool.strides, dilations: pool.dilations, low: low)
    let (values, slopes) = (x.numbers, dy.numbers)
    var gradient = [Double](repeating: 0, count: values.count)
    switch pool.kind {
    case .max:
      var places = [Int](repeating: -1, count: slopes.count)
      geometry.forEach { pixel, source, _ in
        for channel in 0..<channels {
          let (at, from) = (pixel * channels + channel, source * channels + channel)
          let isNaN = values[from].isNaN
          if places[at] < 0 || values[from] > values[places[at]] || isNaN && !values[places[at]].isNaN { places[at] = from }
        }
      }
      for (place, slope) in zip(places, slopes) where place >= 0 { gradient[place] += slope }
    case .average:
      var counts = [Int](repeating: 0, count: result.dropLast().reduce(1, *))
      geometry.forEach { pixel, _, _ in counts[pixel] += 1 }
      geometry.forEach { pixel, source, _ in
        let count = Double(pool.countsPadding ? pool.window.elementCount : counts[pixel])
        for channel in 0..<channels { gradient[source * channels + channel] += slopes[pixel * channels + channel] / count }
      }
    }
    return [ReferenceTensor(outputs[0].dtype, shape, .floats(gradient))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (pool.window.reduce(inputs[1].elementCount) { $0 * Dim($1) }).fixed ?? 0
  }

  package static var examples: [OpExample] {
    Pool.examples.filter { $0.inputs[0].dtype.isFloat && $0.fixed.isEmpty }.compactMap { example in
      guard let pool = example.op as? Pool, let result = try? pool.infer(example.inputs) else { return nil }
      return OpExample(PoolGradient(pool), example.inputs + result)
    }
  }
}

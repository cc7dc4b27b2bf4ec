import TensorModule

/// Batch normalisation with given statistics (inference), over the last axis as channels.
package struct BatchNorm: OpDefinition {
  package static let name = "batch_norm"
  package static let summary =
    "(x − mean) / √(variance + epsilon) · gamma + beta; operands x [..., channels], then gamma, beta (each when asked for), mean and variance [channels]"

  package var epsilon: Double
  package var scale: Bool
  package var offset: Bool

  package init(epsilon: Double, scale: Bool, offset: Bool) {
    self.epsilon = epsilon
    self.scale = scale
    self.offset = offset
  }

  /// The operand indices of gamma and beta, when there are any, mean and variance.
  package var operands: (gamma: Int?, beta: Int?, mean: Int, variance: Int) {
    let mean = 1 + (scale ? 1 : 0) + (offset ? 1 : 0)
    return (scale ? 1 : nil, offset ? (scale ? 2 : 1) : nil, mean, mean + 1)
  }

  package var attributes: Attributes {
    [("epsilon", .float(epsilon)), ("scale", .bool(scale)), ("offset", .bool(offset))]
  }

  package init(from reader: inout AttributeReader) throws {
    epsilon = try reader.float("epsilon")
    scale = try reader.bool("scale")
    offset = try reader.bool("offset")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    let count = operands.variance + 1
    try Expect.count(inputs, count...count, Self.name)
    return [try LayerNorm.check(inputs, axis: -1, epsilon: epsilon, Self.name)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    var values = x.numbers
    let channels = x.shape[x.shape.count - 1]
    let gamma = operands.gamma.map { inputs[$0].numbers }
    let beta = operands.beta.map { inputs[$0].numbers }
    let (mean, variance) = (inputs[operands.mean].numbers, inputs[operands.variance].numbers)
    let factors = (0..<channels).map { (gamma?[$0] ?? 1) / (variance[$0] + epsilon).squareRoot() }
    for index in values.indices {
      let channel = index % channels
      values[index] = (values[index] - mean[channel]) * factors[channel] + (beta?[channel] ?? 0)
    }
    return [ReferenceTensor(x.dtype, x.shape, .floats(values))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (outputs[0].elementCount * 2).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    func example(_ scale: Bool, _ offset: Bool, _ dims: [Dim], epsilon: Double = 1e-3) -> OpExample {
      let channels = dims.suffix(1)
      let op = BatchNorm(epsilon: epsilon, scale: scale, offset: offset)
      let count = op.operands.variance
      let length = channels.first?.fixed ?? 0
      return OpExample(
        op, [f(dims)] + [TensorType](repeating: f(Array(channels)), count: count),
        fixed: [count: (0..<length).map { 0.25 + 0.5 * Double($0) }])
    }
    return [
      example(true, true, [2, 5, 3, 17]), example(true, false, [3, 7]), example(false, true, [4, 1]),
      example(false, false, [2, 3, 5], epsilon: 1e-5), example(true, true, [0, 4]), example(true, true, [9]),
      example(true, true, [3, 0]),
    ]
  }
}

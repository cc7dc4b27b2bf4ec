import TensorModule

/// Layer normalisation over the last axes, as in Keras's `LayerNormalization`.
package struct LayerNorm: OpDefinition {
  package static let name = "layer_norm"
  package static let summary =
    "(x − mean) / √(variance + epsilon) · gamma + beta over axes axis… of x, with the biased variance; gamma and beta have the dims of these axes"

  /// The first normalised axis, counted from the end when negative.
  package var axis: Int
  package var epsilon: Double
  package var scale: Bool
  package var offset: Bool

  package init(axis: Int = -1, epsilon: Double, scale: Bool, offset: Bool) {
    self.axis = axis
    self.epsilon = epsilon
    self.scale = scale
    self.offset = offset
  }

  package var attributes: Attributes {
    [("axis", .int(axis)), ("epsilon", .float(epsilon)), ("scale", .bool(scale)), ("offset", .bool(offset))]
  }

  package init(from reader: inout AttributeReader) throws {
    axis = try reader.int("axis")
    epsilon = try reader.float("epsilon")
    scale = try reader.bool("scale")
    offset = try reader.bool("offset")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    let count = 1 + (scale ? 1 : 0) + (offset ? 1 : 0)
    try Expect.count(inputs, count...count, Self.name)
    return [try Self.check(inputs, axis: axis, epsilon: epsilon, Self.name)]
  }

  /// The checks that all normalisations over the last axes share: parameters have the dims of these axes.
  static func check(_ inputs: [TensorType], axis: Int, epsilon: Double, _ op: String) throws -> TensorType {
    let x = inputs[0]
    try Expect.float(x, op, "the operand")
    try Expect.epsilon(epsilon, op)
    let axis = try Expect.axis(axis, of: x, op)
    for parameter in inputs.dropFirst() {
      try Expect.that(
        parameter.dtype == x.dtype && parameter.rank == x.rank - axis, op,
        "a parameter of \(x.message) from axis \(axis) must have its dtype and last dims, found \(parameter.message)")
      for (a, b) in zip(parameter.dims, x.dims[axis...]) {
        try Expect.equal(a, b, op, "the dims of the parameter \(parameter.message) and the last dims of \(x.message)")
      }
    }
    return x
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    var values = x.numbers
    let first = axis < 0 ? axis + x.shape.count : axis
    let length = x.shape[first...].reduce(1, *)
    let gamma = scale ? inputs[1].numbers : nil
    let beta = offset ? inputs[scale ? 2 : 1].numbers : nil
    for row in 0..<x.shape[..<first].reduce(1, *) {
      let start = row * length
      var mean = 0.0
      for index in 0..<length { mean += values[start + index] }
      mean /= Double(length)
      var variance = 0.0
      for index in 0..<length { variance += (values[start + index] - mean) * (values[start + index] - mean) }
      let factor = 1 / (variance / Double(length) + epsilon).squareRoot()
      for index in 0..<length {
        values[start + index] = (values[start + index] - mean) * factor * (gamma?[index] ?? 1) + (beta?[index] ?? 0)
      }
    }
    return [ReferenceTensor(x.dtype, x.shape, .floats(values))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (outputs[0].elementCount * 8).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(LayerNorm(epsilon: 1e-3, scale: true, offset: true), [f([3, 17]), f([17]), f([17])]),
      OpExample(LayerNorm(axis: 1, epsilon: 1e-5, scale: true, offset: false), [f([2, 3, 5]), f([3, 5])]),
      OpExample(LayerNorm(axis: 2, epsilon: 1e-3, scale: false, offset: true), [f([2, 4, 33]), f([33])]),
      OpExample(LayerNorm(axis: 0, epsilon: 1e-12, scale: false, offset: false), [f([7])]),
      OpExample(LayerNorm(epsilon: 1e-3, scale: true, offset: true), [f([2, 1]), f([1]), f([1])]),
      OpExample(LayerNorm(epsilon: 1e-3, scale: true, offset: true), [f([0, 4]), f([4]), f([4])]),
    ]
  }
}

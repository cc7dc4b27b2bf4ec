import TensorModule

/// Root-mean-square normalisation over the last axes.
package struct RMSNorm: OpDefinition {
  package static let name = "rms_norm"
  package static let summary =
    "x / √(mean(x²) + epsilon) · gamma over axes axis… of x; gamma has the dims of these axes"

  /// The first normalised axis, counted from the end when negative.
  package var axis: Int
  package var epsilon: Double
  package var scale: Bool

  package init(axis: Int = -1, epsilon: Double, scale: Bool) {
    self.axis = axis
    self.epsilon = epsilon
    self.scale = scale
  }

  package var attributes: Attributes {
    [("axis", .int(axis)), ("epsilon", .float(epsilon)), ("scale", .bool(scale))]
  }

  package init(from reader: inout AttributeReader) throws {
    axis = try reader.int("axis")
    epsilon = try reader.float("epsilon")
    scale = try reader.bool("scale")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, (scale ? 2 : 1)...(scale ? 2 : 1), Self.name)
    return [try LayerNorm.check(inputs, axis: axis, epsilon: epsilon, Self.name)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    var values = x.numbers
    let first = axis < 0 ? axis + x.shape.count : axis
    let length = x.shape[first...].reduce(1, *)
    let gamma = scale ? inputs[1].numbers : nil
    for row in 0..<x.shape[..<first].reduce(1, *) {
      var squares = 0.0
      for index in 0..<length { squares += values[row * length + index] * values[row * length + index] }
      let factor = 1 / (squares / Double(length) + epsilon).squareRoot()
      for index in 0..<length { values[row * length + index] *= factor * (gamma?[index] ?? 1) }
    }
    return [ReferenceTensor(x.dtype, x.shape, .floats(values))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (outputs[0].elementCount * 4).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(RMSNorm(epsilon: 1e-6, scale: true), [f([3, 17]), f([17])]),
      OpExample(RMSNorm(axis: 1, epsilon: 1e-5, scale: true), [f([2, 3, 5]), f([3, 5])]),
      OpExample(RMSNorm(axis: 1, epsilon: 1e-6, scale: false), [f([4, 33])]),
      OpExample(RMSNorm(epsilon: 0, scale: false), [f([1])]),
      OpExample(RMSNorm(epsilon: 1e-6, scale: true), [f([0, 4]), f([4])]),
    ]
  }
}

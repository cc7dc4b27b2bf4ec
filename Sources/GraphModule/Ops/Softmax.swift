import TensorModule

/// exp(x) over its sum along an axis.
package struct Softmax: OpDefinition {
  package static let name = "softmax"
  package static let summary = "exp(x) / Σ exp(x) along the axis, or its logarithm; computed from x − max(x)"

  /// Counted from the end when negative.
  package var axis: Int
  package var log: Bool

  package init(axis: Int = -1, log: Bool = false) {
    self.axis = axis
    self.log = log
  }

  package var attributes: Attributes { [("axis", .int(axis)), ("log", .bool(log))] }

  package init(from reader: inout AttributeReader) throws {
    axis = try reader.int("axis")
    log = try reader.bool("log")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.float(inputs[0], Self.name, "the operand")
    _ = try Expect.axis(axis, of: inputs[0], Self.name)
    return inputs
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    var values = x.numbers
    let (outer, length, inner) = Axes.split(x.shape, at: axis < 0 ? axis + x.shape.count : axis)
    for row in 0..<outer {
      for column in 0..<inner {
        let first = row * length * inner + column
        var highest = -Double.infinity
        for index in 0..<length { highest = Swift.max(highest, values[first + index * inner]) }
        var sum = 0.0
        for index in 0..<length { sum += C.exp(values[first + index * inner] - highest) }
        for index in 0..<length {
          let shifted = values[first + index * inner] - highest
          values[first + index * inner] = log ? shifted - C.log(sum) : C.exp(shifted) / sum
        }
      }
    }
    return [ReferenceTensor(x.dtype, x.shape, .floats(values))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (outputs[0].elementCount * 5).fixed ?? 0
  }

  package static var examples: [OpExample] {
    [false, true].flatMap { log in
      [
        OpExample(Softmax(axis: -1, log: log), [TensorType(.float32, [3, 10])]),
        OpExample(Softmax(axis: 1, log: log), [TensorType(.float32, [2, 5, 3])]),
        OpExample(Softmax(axis: 0, log: log), [TensorType(.float32, [33])], range: -200...200),
        OpExample(Softmax(axis: -1, log: log), [TensorType(.float64, [2, 1])]),
        OpExample(Softmax(axis: -1, log: log), [TensorType(.float32, [0, 4])]),
        OpExample(Softmax(axis: -1, log: log), [TensorType(.float32, [4, 0])]),
        OpExample(Softmax(axis: -1, log: log), [TensorType(.float32, [4])], fixed: [0: [1, -.infinity, 3, 2]]),
        OpExample(Softmax(axis: -1, log: log), [TensorType(.float32, [3])], fixed: [0: [1, .nan, 3]]),
      ]
    }
  }
}

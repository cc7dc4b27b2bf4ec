import TensorModule

/// The elements in reverse order along some axes.
package struct Reverse: OpDefinition {
  package static let name = "reverse"
  package static let summary = "x with the order of its elements reversed along the axes (ascending)"

  package var axes: [Int]

  package init(axes: [Int]) { self.axes = axes }

  package var attributes: Attributes { [("axes", .ints(axes))] }

  package init(from reader: inout AttributeReader) throws { axes = try reader.ints("axes") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Axes.check(axes, of: inputs[0], Self.name)
    return inputs
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = inputs[0].shape
    let strides = shape.rowMajorStrides
    return [
      inputs[0].arranged(
        shape,
        shape.indices.map { axis in
          (0..<shape[axis]).map { (axes.contains(axis) ? shape[axis] - 1 - $0 : $0) * strides[axis] }
        })
    ]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    [
      OpExample(Reverse(axes: [0]), [TensorType(.float32, [7])]),
      OpExample(Reverse(axes: [1]), [TensorType(.float32, [2, 5, 3])]),
      OpExample(Reverse(axes: [0, 2]), [TensorType(.int32, [2, 1, 17])], range: -9...9),
      OpExample(Reverse(axes: []), [TensorType(.float32, [3])]),
      OpExample(Reverse(axes: [0]), [TensorType(.string, [3, 2])]),
      OpExample(Reverse(axes: [1]), [TensorType(.float32, [2, 0])]),
    ]
  }
}

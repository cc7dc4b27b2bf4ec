import TensorModule

/// A broadcast whose dims are an operand: `tf.broadcast_to`, `tf.fill`, ONNX Expand and ConstantOfShape.
package struct DynamicBroadcastTo: DeclaredShapeOp {
  package static let name = "dynamic_broadcast_to"
  package static let summary =
    "x broadcast to the shape that the second operand holds (an integer vector), as in NumPy; `dims` declares the result as for dynamic_reshape"

  package var dims: [Dim]

  package init(_ dims: [Dim]) { self.dims = dims }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try SizeOperand.vector(inputs[1], dims.count, Self.name, "the shape")
    try SizeOperand.declared(dims, Self.name)
    return try BroadcastTo(dims).infer([inputs[0]])
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let (x, shape) = (inputs[0], try SizeOperand.shape(inputs[1].integers, Self.name))
    guard x.shape.count <= shape.count, zip(x.shape, shape.suffix(x.shape.count)).allSatisfy({ $0 == 1 || $0 == $1 }) else {
      throw KilnError(.badInput, "op 'dynamic_broadcast_to': \(x.shape.shapeText) does not broadcast to \(shape.shapeText)")
    }
    return [x.broadcast(to: shape)]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(DynamicBroadcastTo([3, 5]), [f([5]), TensorType(.int64, [2])], fixed: [1: [3, 5]]),
      OpExample(DynamicBroadcastTo([4]), [f([]), TensorType(.int32, [1])], fixed: [1: [4]]),
      OpExample(DynamicBroadcastTo([0, 3]), [f([1, 3]), TensorType(.int32, [2])], fixed: [1: [0, 3]]),
      OpExample(DynamicBroadcastTo([]), [f([]), TensorType(.int32, [0])], fixed: [1: []]),
      OpExample(DynamicBroadcastTo([2, 0]), [f([0]), TensorType(.int64, [2])], fixed: [1: [2, 0]]),
    ]
  }
}

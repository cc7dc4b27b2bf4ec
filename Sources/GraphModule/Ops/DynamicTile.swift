import TensorModule

/// A tensor repeated as often as an operand says: `tf.tile`, ONNX Tile.
package struct DynamicTile: DeclaredShapeOp {
  package static let name = "dynamic_tile"
  package static let summary =
    "x repeated along each axis as often as the second operand says (an integer vector of x's rank); `dims` declares the result as for dynamic_reshape"

  package var dims: [Dim]

  package init(_ dims: [Dim]) { self.dims = dims }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try SizeOperand.vector(inputs[1], inputs[0].rank, Self.name, "the repeats")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == inputs[0].rank, Self.name, "\(dims.count) dims for \(inputs[0].message)")
    for (from, to) in zip(inputs[0].dims, dims) {
      guard let a = from.fixed, let b = to.fixed else { continue }
      try Expect.that(a == 0 ? b == 0 : b % a == 0, Self.name, "\(b) is no multiple of \(a)")
    }
    return [TensorType(inputs[0].dtype, dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    let repeats = inputs[1].integers
    var sizes: [Int64] = []
    for (length, times) in zip(x.shape, repeats) {
      let (product, overflow) = Int64(length).multipliedReportingOverflow(by: times)
      guard !overflow, times >= 0 else { throw KilnError(.badInput, "op 'dynamic_tile': \(times) repeats") }
      sizes.append(product)
    }
    let shape = try SizeOperand.shape(sizes, Self.name)
    let strides = x.shape.rowMajorStrides
    return [x.arranged(shape, shape.indices.map { axis in (0..<shape[axis]).map { $0 % x.shape[axis] * strides[axis] } })]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(DynamicTile([6, 2]), [f([3, 2]), TensorType(.int64, [2])], fixed: [1: [2, 1]]),
      OpExample(DynamicTile([4]), [f([1]), TensorType(.int32, [1])], fixed: [1: [4]]),
      OpExample(DynamicTile([0, 2]), [f([3, 2]), TensorType(.int32, [2])], fixed: [1: [0, 1]]),
      OpExample(DynamicTile([]), [f([]), TensorType(.int32, [0])], fixed: [1: []]),
    ]
  }
}

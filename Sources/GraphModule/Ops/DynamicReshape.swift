import TensorModule

/// A reshape whose dims are an operand: `tf.reshape` with a computed shape, ONNX Reshape.
package struct DynamicReshape: DeclaredShapeOp {
  package static let name = "dynamic_reshape"
  package static let summary =
    "x under the shape that the second operand holds (an integer vector; one −1 takes what is left). `dims` declares the result: numbers, known symbols, or new symbols that the data bind"

  package var dims: [Dim]

  package init(_ dims: [Dim]) { self.dims = dims }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try SizeOperand.vector(inputs[1], dims.count, Self.name, "the shape")
    try SizeOperand.declared(dims, Self.name)
    let result = TensorType(inputs[0].dtype, dims)
    try Expect.equal(
      inputs[0].elementCount, result.elementCount, Self.name,
      "the element counts of \(inputs[0].message) and \(result.message)")
    return [result]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    [inputs[0].reshaped(try Self.resolved(inputs[1].integers, count: inputs[0].count))]
  }

  /// The shape with its −1 replaced.
  static func resolved(_ sizes: [Int64], count: Int) throws -> Shape {
    var sizes = sizes
    if let open = sizes.firstIndex(of: -1) {
      sizes[open] = 1
      let rest = try SizeOperand.shape(sizes, Self.name, most: 1 << 43).elementCount
      guard rest > 0, count % rest == 0 else {
        throw KilnError(.badInput, "op 'dynamic_reshape': \(count) elements do not fill \(sizes.map { Int($0) }.shapeText)")
      }
      sizes[open] = Int64(count / rest)
    }
    let shape = try SizeOperand.shape(sizes, Self.name, most: 1 << 43)
    guard shape.elementCount == count else {
      throw KilnError(.badInput, "op 'dynamic_reshape': \(count) elements do not fill \(shape.shapeText)")
    }
    return shape
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(DynamicReshape([6, 4]), [f([2, 3, 4]), TensorType(.int64, [2])], fixed: [1: [6, 4]]),
      OpExample(DynamicReshape([2, 12]), [f([2, 3, 4]), TensorType(.int32, [2])], fixed: [1: [2, -1]]),
      OpExample(DynamicReshape([0, 5]), [f([5, 0]), TensorType(.int64, [2])], fixed: [1: [0, 5]]),
      OpExample(DynamicReshape([]), [f([1, 1]), TensorType(.int64, [0])], fixed: [1: []]),
      OpExample(DynamicReshape([3]), [TensorType(.string, [3, 1]), TensorType(.int32, [1])], fixed: [1: [-1]]),
    ]
  }
}

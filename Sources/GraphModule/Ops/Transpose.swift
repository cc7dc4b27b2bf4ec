import TensorModule

/// The axes in another order.
package struct Transpose: OpDefinition {
  package static let name = "transpose"
  package static let summary = "x with its axes in another order: axis i of the result is axis permutation[i] of x"

  package var permutation: [Int]

  package init(_ permutation: [Int]) { self.permutation = permutation }

  package var attributes: Attributes { [("permutation", .ints(permutation))] }

  package init(from reader: inout AttributeReader) throws { permutation = try reader.ints("permutation") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.that(
      permutation.sorted() == Array(0..<x.rank), Self.name,
      "the permutation \(permutation.shapeText) does not fit \(x.message)")
    return [TensorType(x.dtype, permutation.map { x.dims[$0] })]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let strides = inputs[0].shape.rowMajorStrides
    return [
      inputs[0].arranged(
        shape, permutation.indices.map { axis in (0..<shape[axis]).map { $0 * strides[permutation[axis]] } })
    ]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    [
      OpExample(Transpose([1, 0]), [TensorType(.float32, [5, 7])]),
      OpExample(Transpose([0, 3, 1, 2]), [TensorType(.float32, [2, 5, 3, 17])]),
      OpExample(Transpose([0, 2, 3, 1]), [TensorType(.float32, [1, 3, 33, 4])]),
      OpExample(Transpose([2, 0, 1]), [TensorType(.int64, [3, 1, 4])], range: -9...9),
      OpExample(Transpose([1, 0]), [TensorType(.string, [2, 3])]),
      OpExample(Transpose([1, 0, 2]), [TensorType(.bool, [2, 3, 2])], range: 0...1),
      OpExample(Transpose([1, 0]), [TensorType(.float16, [0, 3])]),
      OpExample(Transpose([]), [TensorType(.float64, [])]),
    ]
  }
}

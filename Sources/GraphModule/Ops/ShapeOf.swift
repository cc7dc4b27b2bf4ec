import TensorModule

/// The lengths of a tensor's axes: `tf.shape`, ONNX Shape.
package struct ShapeOf: OpDefinition {
  package static let name = "shape_of"
  package static let summary = "the dims of x as an int64 vector; a constant as soon as they are known"

  package init() {}

  package var attributes: Attributes { [] }

  package init(from reader: inout AttributeReader) throws {}

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    return [TensorType(.int64, [Dim(inputs[0].rank)])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    [ReferenceTensor(.int64, [inputs[0].shape.count], .integers(inputs[0].shape.map(Int64.init)))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    [
      OpExample(ShapeOf(), [TensorType(.float32, [2, 3, 4])]),
      OpExample(ShapeOf(), [TensorType(.string, [3, 1])]),
      OpExample(ShapeOf(), [TensorType(.int64, [0, 5])]),
      OpExample(ShapeOf(), [TensorType(.float32, [])]),
    ]
  }
}

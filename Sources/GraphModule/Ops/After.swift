import TensorModule

/// A value that may not be used before another one is there.
///
/// The derivative reads values that are computed a second time behind it: so they are not computed early, and are not taken
/// for the first ones.
package struct After: OpDefinition {
  package static let name = "after"
  package static let summary = "the first operand as it is, once the second one has been computed"

  package init() {}

  package var attributes: Attributes { [] }

  package init(from reader: inout AttributeReader) throws {}

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    return [inputs[0]]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] { [inputs[0]] }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    [
      OpExample(After(), [TensorType(.float32, [3, 17]), TensorType(.float32, [2])]),
      OpExample(After(), [TensorType(.int32, [2, 1]), TensorType(.float32, [])], range: 0...9),
      OpExample(After(), [TensorType(.float64, [0, 3]), TensorType(.bool, [1])]),
    ]
  }
}

extension After: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws { try call.give(0, try call.cotangent()) }
}

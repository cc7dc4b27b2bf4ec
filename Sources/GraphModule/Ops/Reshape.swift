import TensorModule

/// The same elements, row-major, under other dims.
package struct Reshape: OpDefinition, SymbolicAttributes {
  package static let name = "reshape"
  package static let summary = "x under the given dims; the number of elements stays"

  /// The result's dims; they may hold the inputs' symbols.
  package var dims: [Dim]

  package init(_ dims: [Dim]) { self.dims = dims }

  package var attributes: Attributes { [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws { dims = try reader.dims("dims") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let result = TensorType(inputs[0].dtype, dims)
    try Expect.rank(result, 0...maximumRank, Self.name, "the result")
    try Expect.that(dims.allSatisfy { ($0.fixed ?? 0) >= 0 }, Self.name, "dims must not be negative, found \(result.message)")
    try Expect.equal(
      inputs[0].elementCount, result.elementCount, Self.name,
      "the element counts of \(inputs[0].message) and \(result.message)")
    return [result]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    guard let shape = outputs[0].shape else { throw KilnError(.internal, "reshape without a shape") }
    return [inputs[0].reshaped(shape)]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package func substituting(_ bindings: [String: Int]) -> Reshape { Reshape(dims.map { $0.substituting(bindings) }) }

  package static var examples: [OpExample] {
    [
      OpExample(Reshape([6, 4]), [TensorType(.float32, [2, 3, 4])]),
      OpExample(Reshape([0, 5]), [TensorType(.int64, [5, 0])]),
      OpExample(Reshape([]), [TensorType(.float32, [1, 1])]),
    ]
  }
}

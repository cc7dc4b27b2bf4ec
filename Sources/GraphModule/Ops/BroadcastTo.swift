import TensorModule

/// A tensor repeated along axes of length 1, as NumPy broadcasts.
package struct BroadcastTo: OpDefinition, SymbolicAttributes {
  package static let name = "broadcast_to"
  package static let summary = "x broadcast to the given dims as in NumPy; they may hold the inputs' symbols"

  package var dims: [Dim]

  package init(_ dims: [Dim]) { self.dims = dims }

  package var attributes: Attributes { [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws { dims = try reader.dims("dims") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    let result = TensorType(x.dtype, dims)
    try Expect.rank(result, 0...maximumRank, Self.name, "the result")
    try Expect.that(
      x.rank <= dims.count && dims.allSatisfy { ($0.fixed ?? 0) >= 0 }, Self.name,
      "\(x.message) does not broadcast to \(result.message)")
    for (from, to) in zip(x.dims, dims.suffix(x.rank)) where from.fixed != 1 {
      try Expect.equal(from, to, Self.name, "the dims of \(x.message) and \(result.message) that are not 1")
    }
    return [result]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    [inputs[0].broadcast(to: try Expect.shape(outputs[0], Self.name))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package func substituting(_ bindings: [String: Int]) -> BroadcastTo {
    BroadcastTo(dims.map { $0.substituting(bindings) })
  }

  package static var examples: [OpExample] {
    [
      OpExample(BroadcastTo([3, 5]), [TensorType(.float32, [5])]),
      OpExample(BroadcastTo([2, 3, 17]), [TensorType(.float32, [2, 1, 17])]),
      OpExample(BroadcastTo([4, 2]), [TensorType(.int32, [])], range: -9...9),
      OpExample(BroadcastTo([2, 2]), [TensorType(.string, [2, 1])]),
      OpExample(BroadcastTo([0, 3]), [TensorType(.float32, [1, 3])]),
      OpExample(BroadcastTo([2, 0]), [TensorType(.float32, [0])]),
      OpExample(BroadcastTo([3]), [TensorType(.bool, [3])], range: 0...1),
    ]
  }
}

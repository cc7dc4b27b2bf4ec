import TensorModule

/// One row of a tensor replaced: `TensorListSetItem`, a write to a TensorArray.
package struct SetItem: OpDefinition {
  package static let name = "set_item"
  package static let summary =
    "x [n, rest...] with row index (a scalar integer from 0 to n - 1) replaced by the item [rest...]; operands: x, index, item"

  package init() {}

  package var attributes: Attributes { [] }

  package init(from reader: inout AttributeReader) throws {}

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3...3, Self.name)
    let (x, index, item) = (inputs[0], inputs[1], inputs[2])
    try Expect.rank(x, 1...maximumRank, Self.name, "x")
    try Expect.that(
      index.rank == 0 && index.dtype.isInteger, Self.name, "the index must be a scalar integer, found \(index.message)")
    try Expect.that(
      item.dtype == x.dtype && item.rank == x.rank - 1, Self.name, "\(item.message) is no row of \(x.message)")
    for (a, b) in zip(x.dims.dropFirst(), item.dims) {
      try Expect.equal(a, b, Self.name, "the dims of \(item.message) and of a row of \(x.message)")
    }
    return [TensorType(x.dtype, [x.dims[0]] + zip(x.dims.dropFirst(), item.dims).map(Axes.merged))]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    let index = inputs[1].integers[0]
    guard index >= 0, index < x.shape[0] else {
      throw KilnError(.badInput, "op 'set_item': index \(index) is not in 0..<\(x.shape[0])")
    }
    let size = inputs[2].count
    let range = Int(index) * size..<(Int(index) + 1) * size
    var result = x
    switch (x.storage, inputs[2].storage) {
    case (.floats(var values), .floats(let item)):
      values.replaceSubrange(range, with: item)
      result.storage = .floats(values)
    case (.integers(var values), .integers(let item)):
      values.replaceSubrange(range, with: item)
      result.storage = .integers(values)
    case (.strings(var values), .strings(let item)):
      values.replaceSubrange(range, with: item)
      result.storage = .strings(values)
    default: throw KilnError(.internal, "set_item of another kind")
    }
    return [result]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    func i(_ dtype: DType = .int32) -> TensorType { TensorType(dtype, []) }
    return [
      OpExample(SetItem(), [f([4, 3]), i(), f([3])], fixed: [1: [2]]),
      OpExample(SetItem(), [f([1]), i(.int64), f([])], fixed: [1: [0]]),
      OpExample(SetItem(), [f([3, 2, 17]), i(.uint8), f([2, 17])], fixed: [1: [0]]),
      OpExample(SetItem(), [f([3, 0]), i(), f([0])], fixed: [1: [1]]),
      OpExample(SetItem(), [TensorType(.int64, [2]), i(.int8), TensorType(.int64, [])], range: -9...9, fixed: [1: [1]]),
      OpExample(SetItem(), [TensorType(.string, [2]), i(.int16), TensorType(.string, [])], fixed: [1: [1]]),
      OpExample(SetItem(), [TensorType(.bool, [2, 2]), i(), TensorType(.bool, [2])], range: 0...1, fixed: [1: [0]]),
    ]
  }
}

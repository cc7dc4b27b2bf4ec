import TensorModule

/// The bits of numbers read as numbers of another dtype.
package struct Bitcast: OpDefinition {
  package static let name = "bitcast"
  package static let summary =
    "the little-endian bytes of x as another dtype of numbers: narrower elements add a last axis, wider ones take the last axis away"

  package var dtype: DType

  package init(_ dtype: DType) { self.dtype = dtype }

  package var attributes: Attributes { [("dtype", .word(dtype.name))] }

  package init(from reader: inout AttributeReader) throws { dtype = try reader.dtype("dtype") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.number(x, Self.name, "the operand")
    try Expect.number(TensorType(dtype, []), Self.name, "the result")
    let (from, to) = (x.dtype.byteCount, dtype.byteCount)
    if from == to { return [x.with(dtype: dtype)] }
    if from > to {
      try Expect.rank(x, 0...maximumRank - 1, Self.name, "the operand")
      return [TensorType(dtype, x.dims + [Dim(from / to)])]
    }
    try Expect.that(
      x.rank > 0 && x.dims[x.rank - 1].fixed == to / from, Self.name,
      "the last axis of \(x.message) must have \(to / from) elements to become \(dtype.name)")
    return [TensorType(dtype, Array(x.dims.dropLast()))]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let tensor = try inputs[0].tensor()
    guard let base = tensor.bytes.baseAddress else {
      return [ReferenceTensor(dtype, try Expect.shape(outputs[0], Self.name), numbers: [])]
    }
    return [ReferenceTensor(Tensor(dtype: dtype, shape: try Expect.shape(outputs[0], Self.name), address: base, owner: tensor))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    [
      OpExample(Bitcast(.int32), [TensorType(.float32, [7])]), OpExample(Bitcast(.uint8), [TensorType(.float32, [2, 3])]),
      OpExample(Bitcast(.int16), [TensorType(.uint8, [3, 2])], range: 0...255), OpExample(Bitcast(.int64), [TensorType(.float64, [])]),
      OpExample(Bitcast(.int8), [TensorType(.uint8, [5])], range: 0...255), OpExample(Bitcast(.float32), [TensorType(.int32, [0, 3])]),
      OpExample(Bitcast(.int16), [TensorType(.float16, [4])]), OpExample(Bitcast(.int32), [TensorType(.int64, [3])], range: -1e9...1e9),
    ]
  }
}

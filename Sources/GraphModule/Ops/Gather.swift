import TensorModule

/// Elements of an axis picked by index, as in `tf.gather` (an embedding is `gather` along axis 0).
package struct Gather: OpDefinition {
  package static let name = "gather"
  package static let summary =
    "data [batch..., before..., n, after...] picked along the axis by indices [batch..., picks...] (integers from 0 to n - 1): result [batch..., before..., picks..., after...]"

  package var axis: Int
  /// The number of leading axes that data and indices share.
  package var batchDims: Int

  package init(axis: Int, batchDims: Int = 0) {
    self.axis = axis
    self.batchDims = batchDims
  }

  package var attributes: Attributes { [("axis", .int(axis)), ("batch_dims", .int(batchDims))] }

  package init(from reader: inout AttributeReader) throws {
    axis = try reader.int("axis")
    batchDims = try reader.int("batch_dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    let (data, indices) = (inputs[0], inputs[1])
    try Expect.that(indices.dtype.isInteger, Self.name, "indices must be integers, found \(indices.message)")
    try Axes.check([axis], of: data, Self.name)
    try Expect.that(
      (0...axis).contains(batchDims) && batchDims <= indices.rank, Self.name,
      "batch_dims \(batchDims) does not fit axis \(axis) and indices \(indices.message)")
    for index in 0..<batchDims {
      try Expect.equal(
        data.dims[index], indices.dims[index], Self.name, "the batch dims of \(data.message) and \(indices.message)")
    }
    let batch = (0..<batchDims).map { Axes.merged(data.dims[$0], indices.dims[$0]) }
    let dims = batch + data.dims[batchDims..<axis] + indices.dims[batchDims...] + data.dims[(axis + 1)...]
    let result = TensorType(data.dtype, dims)
    try Expect.rank(result, 0...maximumRank, Self.name, "the result")
    return [result]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let (data, indices) = (inputs[0], inputs[1].integers)
    let (_, length, inner) = Axes.split(data.shape, at: axis)
    let batch = data.shape[..<batchDims].reduce(1, *)
    let before = data.shape[batchDims..<axis].reduce(1, *)
    let picks = inputs[1].shape[batchDims...].reduce(1, *)
    if let wrong = indices.first(where: { $0 < 0 || $0 >= length }) {
      throw KilnError(.badInput, "op 'gather': index \(wrong) is not in 0..<\(length)")
    }
    var sources: [Int] = []
    sources.reserveCapacity(shape.elementCount)
    for group in 0..<batch {
      for row in 0..<before {
        for pick in 0..<picks {
          let first = ((group * before + row) * length + Int(indices[group * picks + pick])) * inner
          sources += first..<(first + inner)
        }
      }
    }
    return [data.picked(shape, sources)]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    func i(_ dims: [Dim], _ dtype: DType = .int32) -> TensorType { TensorType(dtype, dims) }
    return [
      OpExample(Gather(axis: 0), [f([5, 3]), i([4])], fixed: [1: [0, 4, 2, 2]]),
      OpExample(Gather(axis: 0), [f([5, 17]), i([2, 3], .int64)], fixed: [1: [0, 1, 2, 3, 4, 0]]),
      OpExample(Gather(axis: 1), [f([2, 4, 3]), i([2])], fixed: [1: [3, 1]]),
      OpExample(Gather(axis: 2), [f([2, 3, 4]), i([])], fixed: [1: [2]]),
      OpExample(Gather(axis: 1, batchDims: 1), [f([2, 3, 5]), i([2, 2])], fixed: [1: [0, 2, 1, 1]]),
      OpExample(Gather(axis: 2, batchDims: 1), [f([2, 2, 3]), i([2, 1], .int8)], fixed: [1: [2, 0]]),
      OpExample(Gather(axis: 0), [TensorType(.string, [3]), i([2], .uint8)], fixed: [1: [2, 0]]),
      OpExample(Gather(axis: 0), [TensorType(.int64, [3]), i([2], .int16)], range: -9...9, fixed: [1: [1, 1]]),
      OpExample(Gather(axis: 0), [f([3, 2]), i([0])], fixed: [1: []]),
      OpExample(Gather(axis: 0), [f([3, 0]), i([2])], fixed: [1: [0, 2]]),
      OpExample(Gather(axis: 0), [f([1]), i([1])], fixed: [1: [0]]),
    ]
  }
}

import TensorModule

/// How often each number occurs along the last axis, as in `tf.math.bincount`.
package struct Bincount: OpDefinition {
  package static let name = "bincount"
  package static let summary =
    "for integers x [..., n] how often each number from 0 to depth - 1 is among the last axis: [..., depth]; with binary 1 where any; weights [..., n] add up instead; numbers outside count nowhere"

  package var depth: Int
  package var isBinary: Bool
  /// The counts' dtype; with weights it must be theirs.
  package var dtype: DType

  package init(depth: Int, binary: Bool = false, dtype: DType = .float32) {
    self.depth = depth
    isBinary = binary
    self.dtype = dtype
  }

  package var attributes: Attributes { [("depth", .int(depth)), ("binary", .bool(isBinary)), ("dtype", .word(dtype.name))] }

  package init(from reader: inout AttributeReader) throws {
    depth = try reader.int("depth")
    isBinary = try reader.bool("binary")
    dtype = try reader.dtype("dtype")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...2, Self.name)
    let x = inputs[0]
    try Expect.that(x.dtype.isInteger, Self.name, "the operand must be integers, found \(x.message)")
    try Expect.rank(x, 1...maximumRank, Self.name, "the operand")
    try Expect.that((0...Int(Int32.max)).contains(depth), Self.name, "depth must be 0 or more, found \(depth)")
    try Expect.that(dtype.isFloat || dtype.isInteger, Self.name, "counts are numbers, found \(dtype.name)")
    if inputs.count == 2 {
      let weights = inputs[1]
      try Expect.that(weights.dtype == dtype && !isBinary, Self.name, "weights \(weights.message) go with counts of their dtype, not binary ones")
      try Expect.that(weights.rank == x.rank, Self.name, "weights \(weights.message) must have the shape of \(x.message)")
      for axis in 0..<x.rank { try Expect.equal(x.dims[axis], weights.dims[axis], Self.name, "axis \(axis) of x and weights") }
    }
    return [TensorType(dtype, x.dims.dropLast() + [Dim(depth)])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let length = inputs[0].shape.last ?? 0
    let weights = inputs.count > 1 ? inputs[1].numbers : nil
    var counts = [Double](repeating: 0, count: shape.elementCount)
    for (index, value) in inputs[0].integers.enumerated() where value >= 0 && value < Int64(depth) {
      let place = index / length * depth + Int(value)
      counts[place] = isBinary ? 1 : counts[place] + (weights?[index] ?? 1)
    }
    return [ReferenceTensor(dtype, shape, numbers: counts)]
  }

  package static var examples: [OpExample] {
    [
      OpExample(Bincount(depth: 5), [TensorType(.int64, [3, 7])], range: -1...6),
      OpExample(Bincount(depth: 4, binary: true, dtype: .int64), [TensorType(.int32, [9])], range: 0...4),
      OpExample(Bincount(depth: 3), [TensorType(.int32, [2, 2, 4]), TensorType(.float32, [2, 2, 4])], range: 0...3),
      OpExample(Bincount(depth: 2), [TensorType(.int32, [2, 0])], fixed: [0: []]),
      OpExample(Bincount(depth: 2), [TensorType(.uint8, [1])], fixed: [0: [1]]),
    ]
  }
}

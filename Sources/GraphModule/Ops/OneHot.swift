import TensorModule

/// Indices as rows with one element on.
package struct OneHot: OpDefinition {
  package static let name = "one_hot"
  package static let summary =
    "indices (integers) with a new last axis of length depth: `on` at the index, `off` elsewhere; an index out of range gives all `off`"

  package var depth: Int
  package var dtype: DType
  package var on: Double
  package var off: Double

  package init(depth: Int, dtype: DType = .float32, on: Double = 1, off: Double = 0) {
    self.depth = depth
    self.dtype = dtype
    self.on = on
    self.off = off
  }

  package var attributes: Attributes {
    [("depth", .int(depth)), ("dtype", .word(dtype.name)), ("on", .float(on)), ("off", .float(off))]
  }

  package init(from reader: inout AttributeReader) throws {
    depth = try reader.int("depth")
    dtype = try reader.dtype("dtype")
    on = try reader.float("on")
    off = try reader.float("off")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.that(inputs[0].dtype.isInteger, Self.name, "indices must be integers, found \(inputs[0].message)")
    try Expect.rank(inputs[0], 0...(maximumRank - 1), Self.name, "the indices")
    try Expect.that((0...Int(Int32.max)).contains(depth), Self.name, "depth must be 0 or more, found \(depth)")
    try Expect.holds(dtype, on, Self.name, "the value")
    try Expect.holds(dtype, off, Self.name, "the value")
    return [TensorType(dtype, inputs[0].dims + [Dim(depth)])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    var values = [Double](repeating: off, count: shape.elementCount)
    for (row, index) in inputs[0].integers.enumerated() where index >= 0 && index < depth {
      values[row * depth + Int(index)] = on
    }
    return [ReferenceTensor(dtype, shape, numbers: values)]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    [
      OpExample(OneHot(depth: 4), [TensorType(.int32, [5])], fixed: [0: [0, 3, -1, 4, 1]]),
      OpExample(
        OneHot(depth: 17, dtype: .float64, on: 0.9, off: -0.1), [TensorType(.int64, [2, 3])],
        fixed: [0: [0, 16, 17, 3, 3, 9]]),
      OpExample(OneHot(depth: 3, dtype: .int32, on: 5, off: -5), [TensorType(.uint8, [2])], fixed: [0: [2, 0]]),
      OpExample(OneHot(depth: 2, dtype: .bool), [TensorType(.int8, [])], fixed: [0: [1]]),
      OpExample(OneHot(depth: 3), [TensorType(.int16, [0])], fixed: [0: []]),
      OpExample(OneHot(depth: 0), [TensorType(.int32, [2])], fixed: [0: [0, 1]]),
    ]
  }
}

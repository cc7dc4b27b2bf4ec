import TensorModule

/// A slice whose starts and ends are operands: `tf.slice` and strided slices with computed bounds, ONNX Slice.
package struct DynamicSlice: DataDependentOp {
  package static let name = "dynamic_slice"
  package static let summary =
    "x[start:end:step] along `axes`, starts and ends from the second and third operand (integer vectors) with NumPy's rules; steps are fixed. `dims` declares the result as for dynamic_reshape"

  package var axes: [Int]
  package var steps: [Int]
  package var dims: [Dim]

  package init(axes: [Int], steps: [Int]? = nil, dims: [Dim]) {
    self.axes = axes
    self.steps = steps ?? axes.map { _ in 1 }
    self.dims = dims
  }

  package var attributes: Attributes { [("axes", .ints(axes)), ("steps", .ints(steps)), ("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws {
    axes = try reader.ints("axes")
    steps = try reader.ints("steps")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3...3, Self.name)
    let x = inputs[0]
    try Axes.check(axes, of: x, Self.name)
    try SizeOperand.vector(inputs[1], axes.count, Self.name, "starts")
    try SizeOperand.vector(inputs[2], axes.count, Self.name, "ends")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(
      steps.count == axes.count && !steps.contains(0) && dims.count == x.rank, Self.name,
      "\(axes.count) axes, \(steps.count) steps and \(dims.count) dims for \(x.message)")
    for axis in x.dims.indices where !axes.contains(axis) {
      try Expect.equal(x.dims[axis], dims[axis], Self.name, "the dims of axis \(axis), which is not sliced")
    }
    for axis in axes {
      guard let length = x.dims[axis].fixed, let count = dims[axis].fixed else { continue }
      try Expect.that(count <= length, Self.name, "axis \(axis) of \(x.message) does not have \(count) positions")
    }
    return [TensorType(x.dtype, dims)]
  }

  /// The slice for known bounds.
  package func slice(_ starts: [Int64], _ ends: [Int64], rank: Int) -> Slice {
    var ranges = [Slice.Range](repeating: .all, count: rank)
    for (index, axis) in axes.enumerated() where index < starts.count && index < ends.count {
      ranges[axis] = .init(start: Int(starts[index]), end: Int(ends[index]), step: steps[index])
    }
    return Slice(ranges)
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    let slice = slice(inputs[1].integers, inputs[2].integers, rank: x.shape.count)
    let type = try slice.infer([TensorType(x.dtype, shape: x.shape)])
    return try slice.evaluated([x], type)
  }

  package func substituting(_ bindings: [String: Int]) -> DynamicSlice {
    DynamicSlice(axes: axes, steps: steps, dims: dims.map { $0.substituting(bindings) })
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    func i(_ count: Int, _ dtype: DType = .int64) -> TensorType { TensorType(dtype, [Dim(count)]) }
    return [
      OpExample(DynamicSlice(axes: [0], dims: [3]), [f([7]), i(1), i(1)], fixed: [1: [1], 2: [4]]),
      OpExample(
        DynamicSlice(axes: [0, 2], steps: [1, -2], dims: [2, 3, 2]), [f([4, 3, 5]), i(2, .int32), i(2, .int32)],
        fixed: [1: [-2, 4], 2: [100, 0]]),
      OpExample(DynamicSlice(axes: [1], dims: [2, 0]), [f([2, 3]), i(1), i(1)], fixed: [1: [2], 2: [2]]),
      OpExample(DynamicSlice(axes: [], dims: [1]), [f([1]), i(0), i(0)], fixed: [1: [], 2: []]),
      OpExample(DynamicSlice(axes: [0], dims: [0]), [f([0]), i(1), i(1)], fixed: [1: [0], 2: [5]]),
    ]
  }
}

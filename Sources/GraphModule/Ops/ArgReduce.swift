import TensorModule

/// Where the largest or smallest element is along an axis.
package struct ArgReduce: OpDefinition {
  package static let name = "arg_reduce"
  package static let summary =
    "the index of the largest or smallest element of x along the axis: the first of equals, the first NaN before all"

  package enum Kind: String, Sendable, CaseIterable {
    case max, min
  }

  package var kind: Kind
  /// Counted from the end when negative.
  package var axis: Int
  package var keepDims: Bool
  /// int32 or int64.
  package var dtype: DType

  package init(_ kind: Kind, axis: Int, keepDims: Bool = false, dtype: DType = .int64) {
    self.kind = kind
    self.axis = axis
    self.keepDims = keepDims
    self.dtype = dtype
  }

  package var attributes: Attributes {
    [
      ("kind", .word(kind.rawValue)), ("axis", .int(axis)), ("keep_dims", .bool(keepDims)),
      ("dtype", .word(dtype.name)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    axis = try reader.int("axis")
    keepDims = try reader.bool("keep_dims")
    dtype = try reader.dtype("dtype")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.that(x.dtype != .string, Self.name, "the operand must not hold strings")
    try Expect.that(dtype == .int32 || dtype == .int64, Self.name, "dtype must be int32 or int64, found \(dtype.name)")
    let axis = try Expect.axis(axis, of: x, Self.name)
    try Expect.that(x.dims[axis].fixed != 0, Self.name, "axis \(axis) of \(x.message) has no element")
    var dims = x.dims
    if keepDims { dims[axis] = 1 } else { dims.remove(at: axis) }
    return [TensorType(dtype, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let x = inputs[0]
    let (outer, length, inner) = Axes.split(x.shape, at: axis < 0 ? axis + x.shape.count : axis)
    func search<Number: Comparable>(_ values: [Number]) -> [Int64] {
      var results = [Int64](repeating: 0, count: outer * inner)
      for row in 0..<outer {
        for column in 0..<inner {
          let first = row * length * inner + column
          var best = 0
          for index in 1..<Swift.max(length, 1) {
            let (candidate, held) = (values[first + index * inner], values[first + best * inner])
            // Only NaN is unequal to itself.
            if held != held { break }
            if candidate != candidate || (kind == .max ? candidate > held : candidate < held) { best = index }
          }
          results[row * inner + column] = Int64(best)
        }
      }
      return results
    }
    let results = if case .integers(let values) = x.storage { search(values) } else { search(x.numbers) }
    return [ReferenceTensor(dtype, shape, .integers(results))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { inputs[0].elementCount.fixed ?? 0 }

  package static var examples: [OpExample] {
    Kind.allCases.flatMap { kind in
      [
        OpExample(ArgReduce(kind, axis: 0), [TensorType(.float32, [7])]),
        OpExample(ArgReduce(kind, axis: -1, keepDims: true, dtype: .int32), [TensorType(.float32, [3, 17])]),
        OpExample(ArgReduce(kind, axis: 1), [TensorType(.float32, [2, 5, 3])]),
        OpExample(ArgReduce(kind, axis: 0), [TensorType(.int32, [9, 2])], range: -3...3),
        OpExample(ArgReduce(kind, axis: 1), [TensorType(.float32, [0, 3])]),
        OpExample(ArgReduce(kind, axis: -1), [TensorType(.float32, [1])]),
        OpExample(ArgReduce(kind, axis: 0), [TensorType(.float32, [4])], fixed: [0: [1, .nan, 9, .nan]]),
        OpExample(ArgReduce(kind, axis: 0), [TensorType(.float32, [5])], fixed: [0: [2, 7, 7, -1, -1]]),
      ]
    }
  }
}

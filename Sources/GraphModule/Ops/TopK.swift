import TensorModule

/// The largest elements along the last axis, and where they are.
package struct TopK: OpDefinition {
  package static let name = "top_k"
  package static let summary =
    "the k largest elements of x along the last axis, descending, and their indices (int32); the lower index first among equals, NaN before all"

  package var k: Int

  package init(k: Int) { self.k = k }

  package var attributes: Attributes { [("k", .int(k))] }

  package init(from reader: inout AttributeReader) throws { k = try reader.int("k") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.number(x, Self.name, "the operand")
    try Expect.rank(x, 1...maximumRank, Self.name, "the operand")
    try Expect.that((0...Int(Int32.max)).contains(k), Self.name, "k must be 0 or more, found \(k)")
    let last = x.dims[x.rank - 1]
    try Expect.that((last.fixed ?? k) >= k, Self.name, "k is \(k) and the last axis of \(x.message) is shorter")
    let dims = x.dims.dropLast() + [Dim(k)]
    return [TensorType(x.dtype, Array(dims)), TensorType(.int32, Array(dims))]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let x = inputs[0]
    let length = x.shape[x.shape.count - 1]
    let rows = x.shape.dropLast().reduce(1, *)
    func order<Number: Comparable>(_ values: [Number]) -> [Int] {
      (0..<rows).flatMap { row in
        (0..<length).sorted { a, b in
          let (left, right) = (values[row * length + a], values[row * length + b])
          // Only NaN is unequal to itself.
          if left != left || right != right { return left != left && (right == right || a < b) }
          return left == right ? a < b : left > right
        }.prefix(k).map { row * length + $0 }
      }
    }
    let sources = if case .integers(let values) = x.storage { order(values) } else { order(x.numbers) }
    return [
      x.picked(shape, sources),
      ReferenceTensor(.int32, shape, .integers(sources.map { Int64($0 % Swift.max(length, 1)) })),
    ]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { inputs[0].elementCount.fixed ?? 0 }

  package static var examples: [OpExample] {
    [
      OpExample(TopK(k: 3), [TensorType(.float32, [7])]),
      OpExample(TopK(k: 5), [TensorType(.float32, [2, 3, 33])]),
      OpExample(TopK(k: 4), [TensorType(.float32, [3, 4])]),
      OpExample(TopK(k: 6), [TensorType(.int32, [2, 9])], range: -3...3),
      OpExample(TopK(k: 1), [TensorType(.float32, [1])]),
      OpExample(TopK(k: 0), [TensorType(.float32, [2, 3])]),
      OpExample(TopK(k: 2), [TensorType(.float32, [0, 3])]),
      OpExample(TopK(k: 4), [TensorType(.float32, [5])], fixed: [0: [1, .nan, 3, 3, -.infinity]]),
    ]
  }
}

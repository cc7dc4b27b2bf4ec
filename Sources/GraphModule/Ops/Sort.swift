import TensorModule

/// The elements of an axis in order, and where they were.
package struct Sort: OpDefinition {
  package static let name = "sort"
  package static let summary =
    "the elements of x along the axis in rising or falling order, and the places (int32) that they had; equals keep their order; NaN comes last in rising and first in falling order"

  package var axis: Int
  package var descending: Bool

  package init(axis: Int, descending: Bool = false) {
    self.axis = axis
    self.descending = descending
  }

  package var attributes: Attributes { [("axis", .int(axis)), ("descending", .bool(descending))] }

  package init(from reader: inout AttributeReader) throws {
    axis = try reader.int("axis")
    descending = try reader.bool("descending")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.number(x, Self.name, "the operand")
    try Axes.check([axis], of: x, Self.name)
    try Expect.that((x.dims[axis].fixed ?? 0) <= Int(Int32.max), Self.name, "the axis of \(x.message) is too long")
    return [x, TensorType(.int32, x.dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    let (outer, length, inner) = Axes.split(x.shape, at: axis)
    func sources<Number: Comparable>(_ values: [Number]) -> [Int] {
      var result = [Int](repeating: 0, count: values.count)
      for row in 0..<outer {
        for column in 0..<inner {
          let first = row * length * inner + column
          let order = (0..<length).sorted { a, b in
            let (left, right) = (values[first + a * inner], values[first + b * inner])
            // Only NaN is unequal to itself.
            if left != left || right != right {
              return left != left && right != right ? a < b : descending ? left != left : right != right
            }
            return left == right ? a < b : descending ? left > right : left < right
          }
          for (place, source) in order.enumerated() { result[first + place * inner] = first + source * inner }
        }
      }
      return result
    }
    let order = if case .integers(let values) = x.storage { sources(values) } else { sources(x.numbers) }
    return [
      x.picked(x.shape, order),
      ReferenceTensor(.int32, x.shape, .integers(order.map { Int64($0 / inner % length) })),
    ]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(Sort(axis: 0), [f([7])]), OpExample(Sort(axis: 1), [f([2, 5, 3])]),
      OpExample(Sort(axis: 2, descending: true), [f([2, 3, 33])]),
      OpExample(Sort(axis: 1, descending: true), [TensorType(.int32, [2, 9])], range: -3...3),
      OpExample(Sort(axis: 0), [f([1, 1])]), OpExample(Sort(axis: 1), [f([0, 3])]), OpExample(Sort(axis: 0), [f([0, 3])]),
      OpExample(Sort(axis: 0), [f([5])], fixed: [0: [1, .nan, 3, 3, -.infinity]]),
      OpExample(Sort(axis: 0, descending: true), [f([5])], fixed: [0: [1, .nan, 3, .infinity, 3]]),
    ]
  }
}

import TensorModule

/// Integers handed on when all of them lie in a range.
package struct CheckRange: OpDefinition {
  package static let name = "check_range"
  package static let summary = "x (integers) as it is; a number below minimum or above maximum is an error that names it"

  package var minimum: Int
  package var maximum: Int

  package init(_ range: ClosedRange<Int>) {
    minimum = range.lowerBound
    maximum = range.upperBound
  }

  package var attributes: Attributes { [("minimum", .int(minimum)), ("maximum", .int(maximum))] }

  package init(from reader: inout AttributeReader) throws {
    minimum = try reader.int("minimum")
    maximum = try reader.int("maximum")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.that(inputs[0].dtype.isInteger, Self.name, "the operand must be integers, found \(inputs[0].message)")
    try Expect.that(minimum <= maximum, Self.name, "the range \(minimum) to \(maximum) is empty")
    return [inputs[0]]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    if let wrong = inputs[0].integers.first(where: { $0 < Int64(minimum) || $0 > Int64(maximum) }) {
      throw KilnError(.badInput, "\(wrong) is not from \(minimum) to \(maximum)")
    }
    return [inputs[0]]
  }

  package static var examples: [OpExample] {
    [
      OpExample(CheckRange(-3...9), [TensorType(.int64, [2, 3])], range: -3...9),
      OpExample(CheckRange(0...0), [TensorType(.uint8, [])], fixed: [0: [0]]),
      OpExample(CheckRange(5...6), [TensorType(.int32, [0])], fixed: [0: []]),
    ]
  }
}

import TensorModule

/// The places of elements that are not zero: `tf.where` with one operand, `numpy.argwhere`. A mask's picks are a gather of
/// these.
package struct NonZero: DataDependentOp {
  package static let name = "nonzero"
  package static let summary =
    "the coordinates of the elements of x that are not 0 (or true), row-major: int64 [count, rank]; `dims` declares the count, a number or a symbol that the data bind"

  package var dims: [Dim]

  package init(_ count: Dim) { dims = [count] }

  package var attributes: Attributes { [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws { dims = try reader.dims("dims") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.that(inputs[0].dtype != .string, Self.name, "strings are neither zero nor not")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the count alone")
    return [TensorType(.int64, dims + [Dim(inputs[0].rank)])]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    var places: [Int64] = []
    var count = 0
    for (index, value) in x.numbers.enumerated() where value != 0 {
      count += 1
      places += ReferenceTensor.coordinates(index, x.shape).map(Int64.init)
    }
    return [ReferenceTensor(.int64, [count, x.shape.count], .integers(places))]
  }

  package func substituting(_ bindings: [String: Int]) -> NonZero { NonZero(dims[0].substituting(bindings)) }

  package static var examples: [OpExample] {
    [
      OpExample(NonZero(2), [TensorType(.bool, [2, 3])], fixed: [0: [0, 1, 0, 0, 0, 1]]),
      OpExample(NonZero(3), [TensorType(.float32, [5])], fixed: [0: [0, 2, -1, 0, 0.5]]),
      OpExample(NonZero(1), [TensorType(.int32, [])], fixed: [0: [4]]),
      OpExample(NonZero(0), [TensorType(.int64, [0, 3])]),
      OpExample(NonZero(0), [TensorType(.uint8, [1])], fixed: [0: [0]]),
    ]
  }
}

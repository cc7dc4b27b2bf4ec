import TensorModule

/// Numbers from a start to below a limit: `tf.range`, ONNX Range.
package struct DynamicRange: DataDependentOp {
  package static let name = "dynamic_range"
  package static let summary =
    "start, start + delta, start + 2 delta, … to before the limit; operands: start, limit, delta, scalars of one dtype. `dims` declares the length as for dynamic_reshape"

  package var dims: [Dim]

  package init(_ length: Dim) { dims = [length] }

  package var attributes: Attributes { [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws { dims = try reader.dims("dims") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3...3, Self.name)
    for input in inputs {
      try Expect.number(input, Self.name, "an operand")
      try Expect.that(
        input.rank == 0 && input.dtype == inputs[0].dtype, Self.name,
        "operands must be scalars of one dtype, found \(inputs.map(\.message).joined(separator: ", "))")
    }
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "the result has one axis")
    return [TensorType(inputs[0].dtype, dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let dtype = inputs[0].dtype
    if dtype.isFloat {
      let (start, limit, delta) = (inputs[0].numbers[0], inputs[1].numbers[0], inputs[2].numbers[0])
      let length = ((limit - start) / delta).rounded(.up)
      guard length.isFinite, length <= Double(SizeOperand.mostMade) else { throw Self.refusal("\(start), \(limit), \(delta)") }
      let count = max(0, Int(length))
      return [ReferenceTensor(dtype, [count], .floats((0..<count).map { start + Double($0) * delta }))]
    }
    let (start, limit, delta) = (inputs[0].integers[0], inputs[1].integers[0], inputs[2].integers[0])
    let (distance, overflow) = limit.subtractingReportingOverflow(start)
    guard delta != 0, delta != .min, distance != .min, !overflow else { throw Self.refusal("\(start), \(limit), \(delta)") }
    let length = (distance > 0) == (delta > 0) ? (abs(distance) - (distance == 0 ? 0 : 1)) / abs(delta) + (distance == 0 ? 0 : 1) : 0
    guard length <= SizeOperand.mostMade else { throw Self.refusal("\(start), \(limit), \(delta)") }
    let values = (0..<length).map { start &+ $0 &* delta }
    return [try .wrapping(values, dtype, [values.count])]
  }

  private static func refusal(_ numbers: String) -> KilnError {
    KilnError(.badInput, "op 'dynamic_range': start, limit and delta \(numbers) do not end or are too many")
  }

  package func substituting(_ bindings: [String: Int]) -> DynamicRange {
    DynamicRange(dims[0].substituting(bindings))
  }

  package static var examples: [OpExample] {
    let i = TensorType(.int32, [])
    let f = TensorType(.float32, [])
    return [
      OpExample(DynamicRange(5), [i, i, i], fixed: [0: [0], 1: [5], 2: [1]]),
      OpExample(DynamicRange(3), [i, i, i], fixed: [0: [7], 1: [0], 2: [-3]]),
      OpExample(DynamicRange(0), [i, i, i], fixed: [0: [3], 1: [3], 2: [1]]),
      OpExample(DynamicRange(0), [i, i, i], fixed: [0: [3], 1: [0], 2: [2]]),
      OpExample(DynamicRange(4), [f, f, f], fixed: [0: [0.5], 1: [2.5], 2: [0.5]]),
      OpExample(DynamicRange(1), [f, f, f], fixed: [0: [0.5], 1: [0.75], 2: [0.5]]),
      OpExample(
        DynamicRange(3), [TensorType(.int64, []), TensorType(.int64, []), TensorType(.int64, [])],
        fixed: [0: [-1], 1: [2], 2: [1]]),
    ]
  }
}

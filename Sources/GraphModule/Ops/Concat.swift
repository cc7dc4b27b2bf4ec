import TensorModule

/// Tensors joined along an axis.
package struct Concat: OpDefinition {
  package static let name = "concat"
  package static let summary =
    "the operands (one or more, of one dtype, alike in every other dim) joined along the axis"

  package var axis: Int

  package init(axis: Int) { self.axis = axis }

  package var attributes: Attributes { [("axis", .int(axis))] }

  package init(from reader: inout AttributeReader) throws { axis = try reader.int("axis") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.that(!inputs.isEmpty, Self.name, "takes one operand or more")
    var result = inputs[0]
    try Axes.check([axis], of: result, Self.name)
    for input in inputs.dropFirst() {
      try Expect.that(
        input.dtype == result.dtype && input.rank == result.rank, Self.name,
        "operands must have one dtype and rank, found \(inputs[0].message) and \(input.message)")
      for index in result.dims.indices {
        if index == axis {
          result.dims[index] = result.dims[index] + input.dims[index]
        } else {
          try Expect.equal(
            result.dims[index], input.dims[index], Self.name,
            "dims \(index) of \(inputs[0].message) and \(input.message)")
          result.dims[index] = Axes.merged(result.dims[index], input.dims[index])
        }
      }
    }
    return [result]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let outer = Axes.split(shape, at: axis).outer
    func joined<Element>(_ parts: [[Element]]) -> [Element] {
      var out: [Element] = []
      for row in 0..<outer {
        for part in parts { out += part[(row * (part.count / outer))..<((row + 1) * (part.count / outer))] }
      }
      return out
    }
    let storage: ReferenceTensor.Storage =
      switch inputs[0].storage {
      case .floats: .floats(joined(inputs.map(\.numbers)))
      case .integers: .integers(joined(inputs.map(\.integers)))
      case .strings: .strings(joined(inputs.map { if case .strings(let texts) = $0.storage { texts } else { [] } }))
      }
    return [ReferenceTensor(outputs[0].dtype, shape, storage)]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(Concat(axis: 0), [f([3]), f([5])]),
      OpExample(Concat(axis: 1), [f([2, 3]), f([2, 1]), f([2, 17])]),
      OpExample(Concat(axis: 3), [f([1, 3, 5, 7]), f([1, 3, 5, 9])]),
      OpExample(Concat(axis: 1), [f([2, 3, 4]), f([2, 0, 4]), f([2, 1, 4])]),
      OpExample(Concat(axis: 0), [f([0, 4]), f([0, 4])]),
      OpExample(Concat(axis: 1), [f([0, 4]), f([0, 3])]),
      OpExample(Concat(axis: 0), [f([2, 2])]),
      OpExample(Concat(axis: 0), [TensorType(.int64, [2]), TensorType(.int64, [3])], range: -9...9),
      OpExample(Concat(axis: 1), [TensorType(.string, [2, 1]), TensorType(.string, [2, 2])]),
    ]
  }
}

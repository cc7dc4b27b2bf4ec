import TensorModule

/// The solution of triangular systems.
package struct TriangularSolve: OpDefinition {
  package static let name = "triangular_solve"
  package static let summary =
    "x with a·x = b for triangular a [..., n, n] and b [..., n, k] of the same batch; only the named triangle of a is read; transpose solves aᵀ·x = b; unit takes ones for the diagonal"

  package var lower: Bool
  package var transpose: Bool
  package var unit: Bool

  package init(lower: Bool, transpose: Bool = false, unit: Bool = false) {
    self.lower = lower
    self.transpose = transpose
    self.unit = unit
  }

  package var attributes: Attributes {
    [("lower", .bool(lower)), ("transpose", .bool(transpose)), ("unit", .bool(unit))]
  }

  package init(from reader: inout AttributeReader) throws {
    lower = try reader.bool("lower")
    transpose = try reader.bool("transpose")
    unit = try reader.bool("unit")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    let (a, b) = (inputs[0], inputs[1])
    try Matrices.check(a, Self.name, "a", square: true)
    try Expect.that(
      a.dtype == b.dtype && a.rank == b.rank, Self.name, "a and b must be alike, found \(a.message) and \(b.message)")
    for (x, y) in zip(a.dims.dropLast(), b.dims.dropLast()) {
      try Expect.equal(x, y, Self.name, "the dims of \(a.message) and \(b.message)")
    }
    return [TensorType(b.dtype, Array(a.dims.dropLast()) + [b.dims[b.rank - 1]])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let solutions = zip(Matrices.each(inputs[0]), Matrices.each(inputs[1])).map { given, right -> [Double] in
      let a = transpose ? given.transposed : given
      let forward = lower != transpose
      let n = a.rows
      var x = right
      for step in 0..<n {
        let row = forward ? step : n - 1 - step
        for column in 0..<x.columns {
          var sum = x[row, column]
          for k in forward ? 0..<row : row + 1..<n { sum -= a[row, k] * x[k, column] }
          x[row, column] = unit ? sum : sum / a[row, row]
        }
      }
      return x.values
    }
    return [try Matrices.tensor(outputs[0], Self.name, solutions)]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let (product, overflow) = (inputs[1].elementCount.fixed ?? 0)
      .multipliedReportingOverflow(by: inputs[0].dims.last?.fixed ?? 0)
    return overflow ? .max : product
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    let a = [2, 0.5, -1, 0.25, -3, 1, 0.5, 0.75, 1.5]
    return [true, false].flatMap { lower in
      [
        OpExample(TriangularSolve(lower: lower), [f([3, 3]), f([3, 2])], fixed: [0: a]),
        OpExample(TriangularSolve(lower: lower, transpose: true), [f([3, 3]), f([3, 1])], fixed: [0: a]),
        OpExample(TriangularSolve(lower: lower, unit: true), [f([1, 3, 3]), f([1, 3, 5])], fixed: [0: a]),
      ]
    } + [
      OpExample(TriangularSolve(lower: true), [f([0, 2, 2]), f([0, 2, 1])]),
      OpExample(TriangularSolve(lower: true), [f([1, 1]), f([1, 3])], fixed: [0: [2]]),
      OpExample(TriangularSolve(lower: true), [f([2, 2]), f([2, 0])]),
    ]
  }
}

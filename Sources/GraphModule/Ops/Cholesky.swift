import TensorModule

/// The Cholesky factor of symmetric positive definite matrices.
package struct Cholesky: SquareMatrixOp {
  package static let name = "cholesky"
  package static let summary =
    "the lower triangular L with positive diagonal and L·Lᵀ = x, for each symmetric matrix x [..., n, n], of which only the lower triangle is read; NaN where x is not positive definite"

  package init() {}

  package func results(_ matrices: TensorType) -> [TensorType] { [matrices] }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let factors = Matrices.each(inputs[0]).map { matrix -> [Double] in
      var factor = Matrix(matrix.rows, matrix.columns, [Double](repeating: 0, count: matrix.values.count))
      for row in 0..<matrix.rows {
        for column in 0...row {
          var sum = matrix[row, column]
          for k in 0..<column { sum -= factor[row, k] * factor[column, k] }
          factor[row, column] = row == column ? (sum > 0 ? sum.squareRoot() : .nan) : sum / factor[column, column]
        }
      }
      return factor.values
    }
    return [try Matrices.tensor(outputs[0], Self.name, factors)]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(Cholesky(), [f([3, 3])], fixed: [0: [4, 1, 2, 1, 3, 0.5, 2, 0.5, 5]]),
      OpExample(Cholesky(), [f([2, 2, 2])], fixed: [0: [2, 0.5, 0.5, 1, 9, -3, -3, 4]]),
      OpExample(Cholesky(), [f([1, 1])], fixed: [0: [4]]), OpExample(Cholesky(), [f([0, 3, 3])]),
    ]
  }
}

import TensorModule

/// The triangular factors of square matrices with their rows in another order.
package struct LU: SquareMatrixOp {
  package static let name = "lu"
  package static let summary =
    "for each matrix x [..., n, n]: L (unit diagonal) and U in one matrix, the rows (int32 [..., n]) of x in the order of L·U, the pivots (int32 [..., n]): the row that each row was exchanged with, and the sign of the exchanges [...]"

  package init() {}

  package func results(_ matrices: TensorType) -> [TensorType] {
    let rows = Matrices.type(matrices, matrices.dims[matrices.rank - 1])
    return [
      matrices, rows.with(dtype: .int32), rows.with(dtype: .int32), TensorType(matrices.dtype, Array(matrices.dims.dropLast(2))),
    ]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    var factors: [[Double]] = []
    var orders: [[Double]] = []
    var exchanges: [[Double]] = []
    var signs: [[Double]] = []
    for matrix in Matrices.each(inputs[0]) {
      var lu = matrix
      let n = lu.rows
      var order = Array(0..<n)
      var pivots: [Double] = []
      var sign = 1.0
      for column in 0..<n {
        var pivot = column
        for row in column + 1..<max(n, column + 1) where lu[row, column].magnitude > lu[pivot, column].magnitude { pivot = row }
        pivots.append(Double(pivot))
        if pivot != column {
          for k in 0..<n { lu.values.swapAt(pivot * n + k, column * n + k) }
          order.swapAt(pivot, column)
          sign = -sign
        }
        guard lu[column, column] != 0 else { continue }
        for row in column + 1..<max(n, column + 1) {
          let factor = lu[row, column] / lu[column, column]
          lu[row, column] = factor
          for k in column + 1..<n { lu[row, k] -= factor * lu[column, k] }
        }
      }
      factors.append(lu.values)
      orders.append(order.map(Double.init))
      exchanges.append(pivots)
      signs.append([sign])
    }
    return [
      try Matrices.tensor(outputs[0], Self.name, factors), try Matrices.tensor(outputs[1], Self.name, orders),
      try Matrices.tensor(outputs[2], Self.name, exchanges), try Matrices.tensor(outputs[3], Self.name, signs),
    ]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(LU(), [f([3, 3])], fixed: [0: [0, 1, 2, 4, 3, 0.5, 2, 0.5, 5]]),
      OpExample(LU(), [f([2, 2, 2])], fixed: [0: [1, 0.5, 2, 1, 9, -3, 1, 4]]),
      OpExample(LU(), [f([1, 1])]), OpExample(LU(), [f([0, 3, 3])]), OpExample(LU(), [f([2, 0, 0])]),
    ]
  }
}

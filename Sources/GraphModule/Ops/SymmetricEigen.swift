import TensorModule

/// Eigenvalues and eigenvectors of symmetric matrices, by Jacobi's rotations.
package struct SymmetricEigen: SquareMatrixOp {
  package static let name = "eigh"
  package static let summary =
    "the eigenvalues [..., n], rising, and the eigenvectors as columns [..., n, n] of symmetric matrices [..., n, n], of which only the lower triangle is read; the largest part of a vector is positive"

  package init() {}

  package func results(_ matrices: TensorType) -> [TensorType] { [Matrices.type(matrices, matrices.dims[matrices.rank - 1]), matrices] }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    var (all, vectors): ([[Double]], [[Double]]) = ([], [])
    for matrix in Matrices.each(inputs[0]) {
      var a = matrix
      let n = a.rows
      for row in 0..<n { for column in row + 1..<max(n, row + 1) { a[row, column] = a[column, row] } }
      var v = Matrix.identity(n)
      for _ in 0..<64 {
        var off = 0.0
        var norm = 0.0
        for row in 0..<n { for column in 0..<n { if row != column { off += a[row, column] * a[row, column] } else { norm += a[row, row] * a[row, row] } } }
        if !(off > 1e-32 * norm) { break }
        for p in 0..<max(n - 1, 0) {
          for q in p + 1..<n where a[p, q] != 0 {
            let theta = (a[q, q] - a[p, p]) / (2 * a[p, q])
            let t = (theta >= 0 ? 1 : -1) / (theta.magnitude + (theta * theta + 1).squareRoot())
            let c = 1 / (t * t + 1).squareRoot()
            a.rotate(p, q, c, t * c)
            for k in 0..<n {
              let (x, y) = (a[p, k], a[q, k])
              a[p, k] = c * x - t * c * y
              a[q, k] = t * c * x + c * y
            }
            v.rotate(p, q, c, t * c)
          }
        }
      }
      let order = (0..<n).sorted { a[$0, $0] < a[$1, $1] }
      all.append(order.map { a[$0, $0] })
      let signs = order.map { column -> Double in
        let largest = (0..<n).max { v[$0, column].magnitude < v[$1, column].magnitude } ?? 0
        return v[largest, column] < 0 ? -1 : 1
      }
      vectors.append((0..<n).flatMap { row in order.indices.map { signs[$0] * v[row, order[$0]] } })
    }
    return [try Matrices.tensor(outputs[0], Self.name, all), try Matrices.tensor(outputs[1], Self.name, vectors)]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(SymmetricEigen(), [f([3, 3])], fixed: [0: [4, 1, 2, 1, 3, 0.5, 2, 0.5, 9]]),
      OpExample(SymmetricEigen(), [f([2, 2, 2])], fixed: [0: [1, 0.5, 0.5, 2, 9, -3, -3, 4]]),
      OpExample(SymmetricEigen(), [f([1, 1])]), OpExample(SymmetricEigen(), [f([0, 3, 3])]),
    ]
  }
}

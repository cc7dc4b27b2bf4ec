import TensorModule

/// The orthogonal and the triangular factor of matrices, by Householder's reflections as LAPACK and Eigen do them.
package struct QR: OpDefinition {
  package static let name = "qr"
  package static let summary =
    "Q [..., m, k] with orthonormal columns and upper triangular R [..., k, n], Q·R = x [..., m, n]; k is m when complete, else the smaller of m and n; the diagonal of R has the signs that reflections give"

  package var complete: Bool

  package init(complete: Bool) { self.complete = complete }

  package var attributes: Attributes { [("complete", .bool(complete))] }

  package init(from reader: inout AttributeReader) throws { complete = try reader.bool("complete") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Matrices.check(inputs[0], Self.name)
    let (rows, columns) = (inputs[0].dims[inputs[0].rank - 2], inputs[0].dims[inputs[0].rank - 1])
    let inner = complete ? rows : try Matrices.smaller(inputs[0], Self.name)
    return [Matrices.type(inputs[0], rows, inner), Matrices.type(inputs[0], inner, columns)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    var (qs, rs): ([[Double]], [[Double]]) = ([], [])
    for matrix in Matrices.each(inputs[0]) {
      let (m, n) = (matrix.rows, matrix.columns)
      let inner = complete ? m : min(m, n)
      var r = matrix
      var q = Matrix.identity(m)
      for column in 0..<min(m, n) where column < m - 1 {
        var tail = 0.0
        for row in column + 1..<m { tail += r[row, column] * r[row, column] }
        guard tail > 0 else { continue }
        let head = r[column, column]
        let beta = head >= 0 ? -(head * head + tail).squareRoot() : (head * head + tail).squareRoot()
        let tau = (beta - head) / beta
        var v = [Double](repeating: 0, count: m)
        v[column] = 1
        for row in column + 1..<m { v[row] = r[row, column] / (head - beta) }
        for k in 0..<n {
          var dot = 0.0
          for row in column..<m { dot += v[row] * r[row, k] }
          for row in column..<m { r[row, k] -= tau * dot * v[row] }
        }
        for row in 0..<m {
          var dot = 0.0
          for k in column..<m { dot += q[row, k] * v[k] }
          for k in column..<m { q[row, k] -= tau * dot * v[k] }
        }
      }
      qs.append((0..<m).flatMap { row in (0..<inner).map { q[row, $0] } })
      rs.append((0..<inner).flatMap { row in (0..<n).map { $0 < row ? 0 : r[row, $0] } })
    }
    return [try Matrices.tensor(outputs[0], Self.name, qs), try Matrices.tensor(outputs[1], Self.name, rs)]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [true, false].flatMap { complete in
      [[3, 3], [2, 5, 3], [3, 4], [1, 1], [0, 3, 2], [2, 0, 3]].map { OpExample(QR(complete: complete), [f($0)]) }
    }
  }
}

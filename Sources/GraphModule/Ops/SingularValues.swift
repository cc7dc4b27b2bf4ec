import TensorModule

/// The singular value decomposition of matrices, by one-sided Jacobi rotations.
package struct SingularValues: OpDefinition {
  package static let name = "svd"
  package static let summary =
    "U [..., m, k], the singular values [..., k], falling, and Vᵀ [..., k, n] with U·diag·Vᵀ = x [..., m, n]; k is the smaller of m and n; the largest part of a row of Vᵀ is positive"

  package init() {}

  package var attributes: Attributes { [] }

  package init(from reader: inout AttributeReader) throws {}

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Matrices.check(inputs[0], Self.name)
    let x = inputs[0]
    let inner = try Matrices.smaller(x, Self.name)
    return [
      Matrices.type(x, x.dims[x.rank - 2], inner), Matrices.type(x, inner), Matrices.type(x, inner, x.dims[x.rank - 1]),
    ]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    var (us, values, vs): ([[Double]], [[Double]], [[Double]]) = ([], [], [])
    for matrix in Matrices.each(inputs[0]) {
      // Columns are made orthogonal; there are no more of them than rows.
      let wide = matrix.columns > matrix.rows
      var a = wide ? matrix.transposed : matrix
      let (m, n) = (a.rows, a.columns)
      var v = Matrix.identity(n)
      for _ in 0..<64 {
        var turned = false
        for p in 0..<max(n - 1, 0) {
          for q in p + 1..<n {
            var (alpha, beta, gamma) = (0.0, 0.0, 0.0)
            for row in 0..<m {
              alpha += a[row, p] * a[row, p]
              beta += a[row, q] * a[row, q]
              gamma += a[row, p] * a[row, q]
            }
            guard gamma.magnitude > 1e-16 * (alpha * beta).squareRoot() else { continue }
            turned = true
            let zeta = (beta - alpha) / (2 * gamma)
            let t = (zeta >= 0 ? 1 : -1) / (zeta.magnitude + (zeta * zeta + 1).squareRoot())
            let c = 1 / (t * t + 1).squareRoot()
            a.rotate(p, q, c, t * c)
            v.rotate(p, q, c, t * c)
          }
        }
        if !turned { break }
      }
      let lengths = (0..<n).map { column in (0..<m).reduce(0) { $0 + a[$1, column] * a[$1, column] }.squareRoot() }
      let order = (0..<n).sorted { lengths[$0] > lengths[$1] }
      var left = Matrix(m, n, [Double](repeating: 0, count: m * n))
      var right = left.columns == n ? Matrix(n, n, [Double](repeating: 0, count: n * n)) : left
      for (place, column) in order.enumerated() {
        for row in 0..<m where lengths[column] > 0 { left[row, place] = a[row, column] / lengths[column] }
        for row in 0..<n { right[row, place] = v[row, column] }
      }
      SingularValues.complete(&left, from: lengths.count { $0 > 0 })
      var (u, w) = wide ? (right, left) : (left, right)
      for column in 0..<n {
        let largest = (0..<w.rows).max { w[$0, column].magnitude < w[$1, column].magnitude } ?? 0
        guard w.rows > 0, w[largest, column] < 0 else { continue }
        for row in 0..<u.rows { u[row, column] = -u[row, column] }
        for row in 0..<w.rows { w[row, column] = -w[row, column] }
      }
      us.append(u.values)
      values.append(order.map { lengths[$0] })
      vs.append(w.transposed.values)
    }
    return [
      try Matrices.tensor(outputs[0], Self.name, us), try Matrices.tensor(outputs[1], Self.name, values),
      try Matrices.tensor(outputs[2], Self.name, vs),
    ]
  }

  /// Fills the columns from `first` on so that all are orthonormal: unit vectors less their parts along the others.
  private static func complete(_ matrix: inout Matrix, from first: Int) {
    var next = first
    for unit in 0..<matrix.rows where next < matrix.columns {
      var candidate = (0..<matrix.rows).map { $0 == unit ? 1.0 : 0 }
      for column in 0..<next {
        let dot = (0..<matrix.rows).reduce(0) { $0 + candidate[$1] * matrix[$1, column] }
        for row in 0..<matrix.rows { candidate[row] -= dot * matrix[row, column] }
      }
      let length = candidate.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard length > 1e-6 else { continue }
      for row in 0..<matrix.rows { matrix[row, next] = candidate[row] / length }
      next += 1
    }
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [[3, 3], [2, 5, 3], [3, 4], [1, 1], [0, 3, 2], [2, 0, 3]].map { OpExample(SingularValues(), [f($0)]) }
  }
}

import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Linear algebra on the last two axes.
  static let matrices = Family("Matrices", matrixReaders.merging(matrixReaders.filter { batched.contains($0.key) }.map { ("Batch\($0.key)", $0.value) }) { first, _ in first })

  /// Ops that TensorFlow once had a second time for batches.
  private static let batched: Set<String> = ["Cholesky", "MatrixDeterminant", "MatrixInverse", "MatrixSolve", "MatrixTriangularSolve", "SelfAdjointEigV2", "Svd"]

  private static let matrixReaders: [String: Plain] = [
    "Cholesky": { [try $0.add(Cholesky(), [try $0.x(0)], "cholesky")] },
    "MatrixDeterminant": { call in
      let (values, sign) = try diagonalOfFactors(call)
      return [try call.binary(.mul, sign, try call.reduce(.prod, values, [call.type(values).rank - 1]))]
    },
    "LogMatrixDeterminant": { call in
      let (values, sign) = try diagonalOfFactors(call)
      let last = [call.type(values).rank - 1]
      let signs = try call.reduce(.prod, try call.unary(.sign, values), last)
      return [try call.binary(.mul, sign, signs), try call.reduce(.sum, try call.unary(.log, try call.unary(.abs, values)), last)]
    },
    "MatrixInverse": { call in
      let x = try call.x(0)
      return [try solved(call, try call.bool("adjoint") ? try matrixTransposed(call, x) : x, try unitMatrices(call, like: x))]
    },
    "MatrixSolve": { call in
      let (a, b) = (try call.x(0), try call.x(1))
      return [try solved(call, try call.bool("adjoint") ? try matrixTransposed(call, a) : a, b)]
    },
    "MatrixTriangularSolve": { call in
      let (a, b) = try alike(call, try call.x(0), try call.x(1))
      return [try call.add(TriangularSolve(lower: try call.bool("lower", true), transpose: try call.bool("adjoint")), [a, b], "solve")]
    },
    "MatrixSolveLs": { call in
      let (a, b) = (try call.x(0), try call.x(1))
      guard try call.bool("fast", true) else { throw call.unsupported("the complete orthogonal decomposition that fast=false asks for") }
      let weight = try call.number(2, "a regularizer")
      let tall = try call.length(a, -2) >= call.length(a, -1)
      // (AᵀA + λI)⁻¹ Aᵀ b, or Aᵀ (AAᵀ + λI)⁻¹ b where there are more unknowns than equations.
      var square = try call.add(MatMul(transposeA: tall, transposeB: !tall), [a, a], "gram")
      if weight != 0 {
        let unit = try unitMatrices(call, like: square)
        square = try call.binary(.add, square, try call.binary(.mul, unit, try call.scalar(weight, call.type(a).dtype)))
      }
      let factor = try call.add(Cholesky(), [square], "cholesky")
      let right = tall ? try call.add(MatMul(transposeA: true, transposeB: false), [a, b], "matmul") : b
      let y = try call.add(TriangularSolve(lower: true), [factor, right], "solve")
      let x = try call.add(TriangularSolve(lower: true, transpose: true), [factor, y], "solve")
      return [tall ? x : try call.add(MatMul(transposeA: true, transposeB: false), [a, x], "matmul")]
    },
    "BandedTriangularSolve": { call in
      let bands = try call.x(0), b = try call.x(1)
      let (count, n) = (try call.length(bands, -2), try call.length(bands, -1))
      let lower = try call.bool("lower", true)
      guard count >= 1, count <= n, n <= 2048 else { throw call.wrong("\(count) bands do not fit matrices of \(n) rows") }
      // Lower: row i holds the i-th diagonal below, aligned to the right; upper: from the top one down, aligned to the left.
      let places = (0..<n * n).map { index -> Int in
        let (row, column) = (index / n, index % n)
        if lower { return (0..<count).contains(row - column) ? (row - column) * n + row : -1 }
        return (0..<count).contains(column - row) ? (count - 1 - column + row) * n + row : -1
      }
      let matrix = try placed(call, bands, places, [n, n], try call.scalar(0, call.type(bands).dtype))
      let (x, y) = try alike(call, matrix, b)
      return [try call.add(TriangularSolve(lower: lower, transpose: try call.bool("adjoint")), [x, y], "solve")]
    },
    "TridiagonalMatMul": { call in
      let (above, middle, below, right) = (try call.x(0), try call.x(1), try call.x(2), try call.x(3))
      let rank = call.type(right).rank, n = try call.length(right, -2)
      func column(_ x: ValueID) throws -> ValueID { try call.transpose(x, Array(0..<rank - 2) + [rank - 1, rank - 2]) }
      func moved(_ low: Int, _ high: Int) throws -> ValueID {
        var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
        (before[rank - 2], after[rank - 2]) = (low, high)
        let cut = try call.slice(right, axis: rank - 2, high, n - low)
        return try call.add(Pad(.constant, low: before, high: after), [cut], "pad")
      }
      guard n >= 1 else { return [right] }
      var sum = try call.binary(.mul, try column(middle), right)
      sum = try call.binary(.add, sum, try call.binary(.mul, try column(above), try moved(0, 1)))
      return [try call.binary(.add, sum, try call.binary(.mul, try column(below), try moved(1, 0)))]
    },
    "TridiagonalSolve": { call in
      let (diagonals, b) = (try call.x(0), try call.x(1))
      let n = try call.length(diagonals, -1)
      guard try call.length(diagonals, -2) == 3, n <= 2048 else { throw call.wrong("needs 3 diagonals, found \(call.type(diagonals).message)") }
      if try call.bool("perturb_singular") { throw call.unsupported("perturb_singular") }
      let places = (0..<n * n).map { index -> Int in
        let (row, column) = (index / n, index % n)
        return (row - column).magnitude <= 1 ? (row - column + 1) * n + row : -1
      }
      return [try solved(call, try placed(call, diagonals, places, [n, n], try call.scalar(0, call.type(b).dtype)), b)]
    },
    "Lu": { call in
      let parts = try call.addAll(LU(), [try call.x(0)], "lu")
      return [parts[0], try call.cast(parts[1], try call.dtype("output_idx_type", .int32))]
    },
    "Qr": { try $0.addAll(QR(complete: try $0.bool("full_matrices")), [try $0.x(0)], "qr") },
    "Svd": { call in
      let x = try call.x(0)
      let parts = try call.addAll(SingularValues(), [x], "svd")
      guard try call.bool("compute_uv", true) else {
        let empty = try call.numbers([], [0], call.type(x).dtype, "empty")
        return [parts[1], empty, empty]
      }
      if try call.bool("full_matrices"), try call.length(x, -1) != call.length(x, -2) { throw call.unsupported("full_matrices of matrices that are not square") }
      return [parts[1], parts[0], try matrixTransposed(call, parts[2])]
    },
    "SelfAdjointEigV2": { call in
      let parts = try call.addAll(SymmetricEigen(), [try call.x(0)], "eigh")
      return try call.bool("compute_v", true) ? parts : [parts[0], try call.numbers([], [0], call.type(parts[0]).dtype, "empty")]
    },
    "SelfAdjointEig": { call in
      // The eigenvalues as a row above the vectors.
      let parts = try call.addAll(SymmetricEigen(), [try call.x(0)], "eigh")
      let rank = call.type(parts[1]).rank
      return [try call.concat([try call.expand(parts[0], rank - 2), parts[1]], axis: rank - 2)]
    },
  ]

  // MARK: Parts

  static func matrixTransposed(_ call: TFCall, _ x: ValueID) throws -> ValueID {
    let rank = call.type(x).rank
    guard rank >= 2 else { throw call.wrong("needs matrices, found \(call.type(x).message)") }
    return try call.transpose(x, Array(0..<rank - 2) + [rank - 1, rank - 2])
  }

  /// Unit matrices of the batch of x.
  private static func unitMatrices(_ call: TFCall, like x: ValueID) throws -> ValueID {
    let size = try call.length(x, -1)
    guard try call.length(x, -2) == size, size <= 2048 else { throw call.wrong("needs square matrices of at most 2048 rows, found \(call.type(x).message)") }
    let values = (0..<size * size).map { $0 % (size + 1) == 0 ? 1.0 : 0 }
    return try call.broadcast(try call.numbers(values, [size, size], call.type(x).dtype, "unit"), call.type(x).dims)
  }

  /// Both operands with one batch.
  private static func alike(_ call: TFCall, _ a: ValueID, _ b: ValueID) throws -> (ValueID, ValueID) {
    let (left, right) = (call.type(a).dims, call.type(b).dims)
    guard left.count >= 2, right.count >= 2 else { throw call.wrong("needs matrices, found \(call.type(a).message) and \(call.type(b).message)") }
    let batch = try Broadcast.dims(Array(left.dropLast(2)), Array(right.dropLast(2)), call.op)
    return (try call.broadcast(a, batch + left.suffix(2)), try call.broadcast(b, batch + right.suffix(2)))
  }

  /// a⁻¹ · b by triangular factors with pivots.
  static func solved(_ call: TFCall, _ left: ValueID, _ right: ValueID) throws -> ValueID {
    let (a, b) = try alike(call, left, right)
    let parts = try call.addAll(LU(), [a], "lu")
    let rank = call.type(a).rank
    let ordered = try call.add(Gather(axis: rank - 2, batchDims: rank - 2), [b, parts[1]], "order")
    let y = try call.add(TriangularSolve(lower: true, unit: true), [parts[0], ordered], "solve")
    return try call.add(TriangularSolve(lower: false), [parts[0], y], "solve")
  }

  /// The diagonal of U, and the sign of the exchanges of rows.
  private static func diagonalOfFactors(_ call: TFCall) throws -> (ValueID, ValueID) {
    let parts = try call.addAll(LU(), [try call.x(0)], "lu")
    let type = call.type(parts[0]), size = try call.length(parts[0], -1)
    let flat = try call.reshape(parts[0], Array(type.dims.dropLast(2)) + [Dim(size * size)])
    let places = (0..<size).map { Double($0 * (size + 1)) }
    return (try call.add(Gather(axis: type.rank - 2), [flat, try call.numbers(places, [size], .int32, "places")], "gather"), parts[3])
  }

  /// The last two axes of x, taken as one, in another arrangement of the given shape; −1 stands for the padding.
  static func placed(_ call: TFCall, _ x: ValueID, _ places: [Int], _ shape: Shape, _ padding: ValueID) throws -> ValueID {
    let dims = call.type(x).dims
    guard dims.count >= 2, places.count == shape.elementCount, places.count <= 1 << 24 else { throw call.unsupported("so large a matrix") }
    let size = try call.length(x, -1) * call.length(x, -2)
    let outer = Array(dims.dropLast(2))
    guard size > 0 else { return try call.broadcast(padding, outer + shape.map { Dim($0) }) }
    let flat = try call.reshape(x, outer + [Dim(size)])
    let picks = try call.numbers(places.map { Double(max($0, 0)) }, shape, .int32, "places")
    let spread = try call.add(Gather(axis: outer.count), [flat, picks], "gather")
    guard places.contains(where: { $0 < 0 }) else { return spread }
    return try call.select(call.constant(try Tensor(places.map { $0 >= 0 }, shape: shape), "mask"), spread, padding)
  }
}

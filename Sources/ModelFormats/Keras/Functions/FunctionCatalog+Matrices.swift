import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Linear algebra on the last two axes.
  static let matrices: [String: Meaning] = {
    var table: [String: Meaning] = [
      "cholesky": { call in
        let x = try call.floatTensor(0, "x", "input")
        let factor = try call.layer.add(Cholesky(), [x], "cholesky")
        return [try call.bool("upper") == true ? try call.matrixTransposed(factor) : factor]
      },
      "cholesky_inverse": { call in
        let x = try call.floatTensor(0, "x")
        let upper = try call.bool("upper") ?? false
        let inverse = try call.layer.add(TriangularSolve(lower: !upper), [x, try eye(call, like: x)], "inverse")
        return [try call.product(inverse, inverse, transposeA: !upper, transposeB: upper)]
      },
      "cholesky_solve": { call in
        let factor = try call.floatTensor(0, "chol")
        let right = try call.floatTensor(1, "rhs")
        let y = try call.layer.add(TriangularSolve(lower: true), [factor, right], "solve")
        return [try call.layer.add(TriangularSolve(lower: true, transpose: true), [factor, y], "solve")]
      },
      "det": { call in
        let (diagonal, sign) = try factors(call)
        return [try call.apply(.mul, sign, try call.reduce(.prod, diagonal, [call.rank(diagonal) - 1], false))]
      },
      "slogdet": { call in
        let (diagonal, sign) = try factors(call)
        let last = [call.rank(diagonal) - 1]
        let signs = try call.reduce(.prod, try call.apply(.sign, diagonal), last, false)
        let logs = try call.reduce(.sum, try call.apply(.log, try call.apply(.abs, diagonal)), last, false)
        return [try call.apply(.mul, sign, signs), logs]
      },
      // 2 Σ log of the Cholesky factor's diagonal.
      "logdet": { call in
        let x = try call.floatTensor(0, "x", "matrix")
        let logs = try call.apply(.log, try diagonal(call, try call.layer.add(Cholesky(), [x], "cholesky")))
        return [try call.affine(try call.reduce(.sum, logs, [call.rank(logs) - 1], false), 2, 0)]
      },
      "inv": { call in
        var x = try call.floatTensor(0, "x", "input")
        if try call.bool("adjoint") == true { x = try call.matrixTransposed(x) }
        return [try solved(call, x, try eye(call, like: x))]
      },
      "solve": { call in
        var a = try call.floatTensor(0, "a", "matrix")
        let b = try call.floatTensor(1, "b", "rhs")
        if try call.bool("adjoint") == true { a = try call.matrixTransposed(a) }
        guard call.rank(b) == call.rank(a) - 1 else { return [try solved(call, a, b)] }
        return [try call.dropped(try solved(call, a, try call.layer.expand(b, axis: -1)), axis: call.rank(a) - 1)]
      },
      "solve_triangular": { call in
        [try triangular(call, try call.floatTensor(0, "a"), try call.floatTensor(1, "b"), try call.bool("lower") ?? false)]
      },
      "triangular_solve": { call in
        let (a, b) = (try call.floatTensor(0, "matrix"), try call.floatTensor(1, "rhs"))
        let adjoint = try call.bool("adjoint") ?? false
        return [try triangular(call, a, b, try call.bool("lower") ?? true, transpose: adjoint)]
      },
      "lu_factor": { call in
        let x = try call.floatTensor(0, "x")
        let parts = try call.layer.addAll(LU(), [x], "lu")
        // TensorFlow's permutation turned round: where each row of x went.
        return [parts[0], try call.layer.addAll(Sort(axis: call.rank(parts[1]) - 1), [parts[1]], "places")[1]]
      },
      "lu": { call in Array(try call.layer.addAll(LU(), [try call.floatTensor(0, "input")], "lu").prefix(2)) },
      "qr": { call in
        let x = try call.floatTensor(0, "x", "input")
        let complete = try call.string("mode") == "complete" ? true : try call.bool("full_matrices") ?? false
        return try call.layer.addAll(QR(complete: complete), [x], "qr")
      },
      "svd": { call in
        let x = try call.floatTensor(0, "x", "tensor", "input")
        let parts = try call.layer.addAll(SingularValues(), [x], "svd")
        let square = call.dims(of: x)[call.rank(x) - 1] == call.dims(of: x)[call.rank(x) - 2]
        let full = try call.bool("full_matrices") ?? call.isKeras
        if try call.bool("compute_uv") == false { return [parts[1]] }
        guard !full || square else { throw call.unsupported("full_matrices") }
        warnOfSigns(call)
        return call.isKeras ? parts : [parts[1], parts[0], try call.matrixTransposed(parts[2])]
      },
      "eigh": { call in
        let parts = try call.layer.addAll(SymmetricEigen(), [try call.floatTensor(0, "x", "tensor", "input")], "eigh")
        warnOfSigns(call)
        return parts
      },
      "eigvalsh": { call in
        [try call.layer.addAll(SymmetricEigen(), [try call.floatTensor(0, "x", "tensor")], "eigh")[0]]
      },
      "pinv": { call in
        let x = try call.floatTensor(0, "x", "a")
        let dims = call.dims(of: x)
        let longest = max(dims[dims.count - 1].fixed ?? 0, dims[dims.count - 2].fixed ?? 0)
        let bound = try call.double("rcond") ?? 10 * Double(longest) * epsilon(call.dtype(of: x))
        return [try pseudoInverse(call, x, bound, strict: true)]
      },
      "lstsq": { call in
        let (a, b) = (try call.floatTensor(0, "a", "matrix"), try call.floatTensor(1, "b", "rhs"))
        let dims = call.dims(of: a)
        if !call.isKeras {
          // The normal equations, solved by Cholesky.
          if let weight = try call.double("l2_regularizer"), weight != 0 { throw call.unsupported("l2_regularizer") }
          call.ignore("fast")
          let factor = try call.layer.add(Cholesky(), [try call.product(a, a, transposeA: true)], "cholesky")
          let right = try call.product(a, b, transposeA: true)
          let y = try call.layer.add(TriangularSolve(lower: true), [factor, right], "solve")
          return [try call.layer.add(TriangularSolve(lower: true, transpose: true), [factor, y], "solve")]
        }
        guard dims.count == 2, let m = dims[0].fixed, let n = dims[1].fixed else { throw call.wrong("a must be one matrix") }
        let bound = try call.double("rcond") ?? epsilon(call.dtype(of: a)) * Double(max(m, n))
        let inverse = try pseudoInverse(call, a, bound, strict: false)
        if call.rank(b) == 2 { return [try call.product(inverse, b)] }
        return [try call.dropped(try call.product(inverse, try call.layer.expand(b, axis: 1)), axis: 1)]
      },
      "matrix_rank": { call in
        let x = try call.floatTensor(0, "x", "a")
        let values = try call.layer.addAll(SingularValues(), [x], "svd")[1]
        let last = call.rank(values) - 1
        let dims = call.dims(of: x)
        let longest = max(dims[dims.count - 1].fixed ?? 0, dims[dims.count - 2].fixed ?? 0)
        let largest = try call.reduce(.max, values, [last], true)
        var bound = try call.affine(largest, epsilon(call.dtype(of: x)) * Double(longest), 0)
        if let tol = try call.double("tol") { bound = try call.layer.scalar(tol, call.dtype(of: x)) }
        return [try call.reduce(.sum, try call.cast(try call.apply(.greater, values, bound), .int32), [last], false)]
      },
      "matrix_transpose": { call in [try call.matrixTransposed(try call.tensor(0, "a", "x"))] },
      "diag_part": { call in [try diagonal(call, try call.tensor(0, "input"))] },
      "set_diag": { call in
        let x = try call.tensor(0, "input")
        let values = try call.materialised(try call.required(1, "diagonal"), call.dtype(of: x))
        let rank = call.rank(x)
        let (rows, columns) = (try call.length(x, rank - 2), try call.length(x, rank - 1))
        try call.limited(rows, columns)
        let mask = call.layer.constant(
          try Tensor((0..<rows).flatMap { r in (0..<columns).map { $0 == r } }, shape: [rows, columns]), "diagonal")
        let spread = rows <= columns ? try call.layer.expand(values, axis: -1) : try call.layer.expand(values, axis: -2)
        return [try call.select(mask, spread, x)]
      },
      // Elements within num_lower below and num_upper above the diagonal; a negative number keeps all.
      "band_part": { call in
        let x = try call.tensor(0, "input")
        guard let low = try call.int("num_lower"), let high = try call.int("num_upper") else { throw call.wrong("num_lower and num_upper are missing") }
        let (rows, columns) = (try call.length(x, -2), try call.length(x, -1))
        try call.limited(rows, columns)
        let flags = (0..<rows).flatMap { r in (0..<columns).map { c in (low < 0 || r - c <= low) && (high < 0 || c - r <= high) } }
        return [try call.select(call.layer.constant(try Tensor(flags, shape: [rows, columns]), "band"), x, 0)]
      },
      "tensor_diag_part": { call in [try diagonal(call, try call.tensor(0, "input"))] },
      // A vector on a diagonal of a square matrix; in Keras also the diagonal of a matrix.
      "diag": { call in
        let x = try call.tensor(0, "x", "diagonal")
        let k = try call.int("k") ?? 0
        if call.isKeras, call.rank(x) == 2 { return [try diagonal(call, x, k)] }
        guard !call.isKeras || call.rank(x) == 1 else { throw call.wrong("needs rank 1 or 2, found \(call.type(x).message)") }
        return [try embedded(call, x, k)]
      },
      "diagflat": { call in
        let x = try call.tensor(0, "x")
        return [try embedded(call, try call.layer.reshape(x, [call.type(x).elementCount]), try call.int("k") ?? 0)]
      },
      "cross": { try cross($0) },
      "kron": { call in
        var (x, y) = try numbers(call)
        while call.rank(x) < call.rank(y) { x = try call.layer.expand(x, axis: 0) }
        while call.rank(y) < call.rank(x) { y = try call.layer.expand(y, axis: 0) }
        guard call.rank(x) * 2 <= maximumRank else { throw call.unsupported("tensors of rank \(call.rank(x))") }
        let (a, b) = (call.dims(of: x), call.dims(of: y))
        let left = try call.layer.reshape(x, a.flatMap { [$0, 1] })
        let right = try call.layer.reshape(y, b.flatMap { [1, $0] })
        return [try call.layer.reshape(try call.apply(.mul, left, right), zip(a, b).map { $0 * $1 })]
      },
      "vdot": { call in
        let (x, y) = try numbers(call)
        let product = try call.apply(
          .mul, try call.layer.reshape(x, [call.type(x).elementCount]), try call.layer.reshape(y, [call.type(y).elementCount]))
        return [try call.reduce(.sum, product, [0], false)]
      },
      "cdist": { call in
        let (x, y) = try call.floats("x", "y")
        let distance = try call.apply(.squaredDifference, try call.layer.expand(x, axis: -2), try call.layer.expand(y, axis: -3))
        return [try call.apply(.sqrt, try call.reduce(.sum, distance, [call.rank(distance) - 1], false))]
      },
      "corrcoef": { call in
        var x = try call.floatTensor(0, "x")
        if call.rank(x) == 1 { x = try call.layer.expand(x, axis: 0) }
        guard call.rank(x) == 2, let count = call.dims(of: x)[1].fixed else { throw call.wrong("needs rows of known length") }
        let centred = try call.apply(.sub, x, try call.reduce(.mean, x, [1], true))
        let covariance = try call.affine(try call.product(centred, centred, transposeB: true), 1 / Double(count - 1), 0)
        let deviation = try call.apply(.sqrt, try diagonal(call, covariance))
        let scale = try call.apply(.mul, try call.layer.expand(deviation, axis: 1), deviation)
        return [try call.layer.unary(.clip, [-1, 1], try call.apply(.div, covariance, scale))]
      },
      "vander": { call in
        let x = try call.tensor(0, "x")
        let count = try call.int("N") ?? call.length(x, 0)
        guard (0...4096).contains(count) else { throw call.unsupported("\(count) columns") }
        let increasing = try call.bool("increasing") ?? false
        let powers = (0..<count).map { Double(increasing ? $0 : count - 1 - $0) }
        let wide = try call.float(x)
        let table = try call.apply(.pow, try call.layer.expand(wide, axis: -1), try call.constant(powers, [count], call.dtype(of: wide)))
        return [try call.cast(table, call.dtype(of: x))]
      },
      "global_norm": { call in
        let values = try call.list(0, "t_list")
        let sums = try values.map { try call.reduce(.sum, try call.apply(.square, $0), Array(call.dims(of: $0).indices), false) }
        var sum = sums[0]
        for next in sums.dropFirst() { sum = try call.apply(.add, sum, next) }
        return [try call.apply(.sqrt, sum)]
      },
      "l2_loss": { call in
        let x = try call.floatTensor(0, "t")
        return [try call.affine(try call.reduce(.sum, try call.apply(.square, x), Array(call.dims(of: x).indices), false), 0.5, 0)]
      },
      "eig": { throw $0.unsupported("the eigenvalues of a matrix that is not symmetric, which are complex,") },
    ]
    table["adjoint"] = table["matrix_transpose"]
    return table
  }()

  private static func epsilon(_ dtype: DType) -> Double { dtype == .float64 ? Double.ulpOfOne : Double(Float.ulpOfOne) }

  private static func warnOfSigns(_ call: FunctionCall) {
    call.layer.builder.diagnostics.warn(
      call.layer.layer.path, "\(call.function): the signs of the vectors are free; the framework may give others")
  }

  private static func numbers(_ call: FunctionCall) throws -> (ValueID, ValueID) {
    let values = try call.unified([try call.required(0, "x1", "a", "x"), try call.required(1, "x2", "b", "y")])
    return (values[0], values[1])
  }

  /// Unit matrices of the batch of x.
  private static func eye(_ call: FunctionCall, like x: ValueID) throws -> ValueID {
    let size = try call.length(x, -1)
    try call.limited(size, size)
    let values = (0..<size).flatMap { row in (0..<size).map { $0 == row ? 1.0 : 0 } }
    return try call.broadcast(try call.constant(values, [size, size], call.dtype(of: x)), call.dims(of: x))
  }

  /// The diagonal of the last two axes.
  static func diagonal(_ call: FunctionCall, _ x: ValueID, _ offset: Int = 0) throws -> ValueID {
    let rank = call.rank(x)
    let (rows, columns) = (try call.length(x, -2), try call.length(x, -1))
    let flat = try call.layer.reshape(x, Array(call.dims(of: x).dropLast(2)) + [Dim(rows) * Dim(columns)])
    let length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    let start = offset >= 0 ? offset : -offset * columns
    return try call.gather(flat, (0..<length).map { start + $0 * (columns + 1) }, axis: rank - 2)
  }

  /// The last axis as the diagonal of matrices.
  private static func embedded(_ call: FunctionCall, _ x: ValueID, _ k: Int) throws -> ValueID {
    let length = try call.length(x, -1)
    let size = length + Int(clamping: k.magnitude)
    try call.limited(size, size)
    let axis = call.rank(x) - 1
    let wide = try call.padded(x, axis: axis, max(-k, 0), max(k, 0))
    let mask = (0..<size).flatMap { r in (0..<size).map { c in c - r == k } }
    // A column's value stands in its row.
    let flags = call.layer.constant(try Tensor(mask, shape: [size, size]), "diagonal")
    return try call.select(flags, try call.layer.expand(wide, axis: -1), 0)
  }

  /// The diagonal of U and the sign of the exchanges of rows.
  private static func factors(_ call: FunctionCall) throws -> (diagonal: ValueID, sign: ValueID) {
    let parts = try call.layer.addAll(LU(), [try call.floatTensor(0, "x", "input")], "lu")
    return (try diagonal(call, parts[0]), parts[3])
  }

  private static func solved(_ call: FunctionCall, _ a: ValueID, _ b: ValueID) throws -> ValueID {
    let parts = try call.layer.addAll(LU(), [a], "lu")
    let batch = call.rank(a) - 2
    guard call.rank(b) == call.rank(a) else { throw call.unsupported("operands of different rank") }
    let ordered = try call.layer.add(Gather(axis: batch, batchDims: batch), [b, parts[1]], "rows")
    let y = try call.layer.add(TriangularSolve(lower: true, unit: true), [parts[0], ordered], "solve")
    return try call.layer.add(TriangularSolve(lower: false), [parts[0], y], "solve")
  }

  private static func triangular(
    _ call: FunctionCall, _ a: ValueID, _ b: ValueID, _ lower: Bool, transpose: Bool = false
  ) throws -> ValueID {
    let op = TriangularSolve(lower: lower, transpose: transpose)
    guard call.rank(b) == call.rank(a) - 1 else { return try call.layer.add(op, [a, b], "solve") }
    return try call.dropped(try call.layer.add(op, [a, try call.layer.expand(b, axis: -1)], "solve"), axis: call.rank(a) - 1)
  }

  /// V · diag(1 / s) · Uᵀ, with 0 for the values below the bound times the largest.
  private static func pseudoInverse(_ call: FunctionCall, _ x: ValueID, _ bound: Double, strict: Bool) throws -> ValueID {
    let parts = try call.layer.addAll(SingularValues(), [x], "svd")
    let values = parts[1]
    let largest = try call.reduce(.max, values, [call.rank(values) - 1], true)
    let kept = try call.apply(strict ? .greater : .greaterEqual, values, try call.affine(largest, bound, 0))
    let inverse = try call.select(kept, try call.apply(.reciprocal, try call.select(kept, values, 1)), 0)
    let scaled = try call.apply(.mul, parts[0], try call.layer.expand(inverse, axis: -2))
    return try call.product(parts[2], scaled, transposeA: true, transposeB: true)
  }

  private static func cross(_ call: FunctionCall) throws -> [ValueID] {
    var (x, y) = try numbers(call)
    let axis = try call.int("axis")
    let (a, b) = (try call.axis(try axis ?? call.int("axisa") ?? -1, of: x), try call.axis(try axis ?? call.int("axisb") ?? -1, of: y))
    let c = try axis ?? call.int("axisc") ?? -1
    call.ignore("axisa", "axisb", "axisc")
    x = try call.axisLast(x, a)
    y = try call.axisLast(y, b)
    let (m, n) = (try call.length(x, -1), try call.length(y, -1))
    guard [2, 3].contains(m), [2, 3].contains(n) else { throw call.wrong("vectors must have 2 or 3 parts") }
    x = try call.padded(x, axis: call.rank(x) - 1, 0, 3 - m)
    y = try call.padded(y, axis: call.rank(y) - 1, 0, 3 - n)
    func term(_ i: Int, _ j: Int) throws -> ValueID {
      try call.apply(.mul, try call.range(x, axis: call.rank(x) - 1, i, i + 1), try call.range(y, axis: call.rank(y) - 1, j, j + 1))
    }
    let parts = try [(1, 2), (2, 0), (0, 1)].map { i, j in try call.apply(.sub, try term(i, j), try term(j, i)) }
    let last = call.rank(parts[0]) - 1
    if m == 2, n == 2 { return [try call.dropped(parts[2], axis: last)] }
    let result = try call.concat(parts, axis: last)
    return [try call.lastTo(result, try call.axis(c, of: result))]
  }
}

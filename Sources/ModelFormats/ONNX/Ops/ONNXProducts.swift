import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let products = Family(
    "Products",
    [
      Row(like: 0, "MatMul") { [try $0.product(try $0.x(0), try $0.x(1))] },
      Row(like: 0, "Gemm", since: 7) { call in
        let (a, b) = (try call.x(0), try call.x(1))
        guard call.type(a).rank == 2, call.type(b).rank == 2 else { throw call.wrong("takes matrices, found \(call.type(a).message) and \(call.type(b).message)") }
        let dtype = call.type(a).dtype
        let (alpha, beta) = (try call.float("alpha", 1), try call.float("beta", 1))
        let isFloat = dtype.isFloat
        let op = MatMul(transposeA: try call.bool("transA"), transposeB: try call.bool("transB"))
        var result = try call.add(op, isFloat ? [a, b] : [try call.cast(a, .float64), try call.cast(b, .float64)], "matmul")
        if alpha != 1 { result = try call.unary(.affine, result, [alpha, 0]) }
        if call.has(2), beta != 0 {
          var c = isFloat ? try call.x(2) : try call.cast(try call.x(2), .float64)
          if beta != 1 { c = try call.unary(.affine, c, [beta, 0]) }
          result = try call.binary(.add, result, c)
        }
        return [try call.cast(result, dtype)]
      },
      Row(like: 0, "Einsum", since: 12) { [try EinsumOperands(try $0.text("equation")).build($0, try $0.all())] },
      Row("Det", since: 11) { call in
        let x = try call.x(0), rank = call.type(x).rank
        let parts = try call.addAll(LU(), [x], "lu")
        guard parts.count == 4, rank >= 2 else { throw call.wrong("takes matrices, found \(call.type(x).message)") }
        let n = try call.length(x, -1)
        guard n <= 1 << 20 else { throw call.unsupported("a determinant of \(call.type(x).message)") }
        let flat = try call.reshape(parts[0], Array(call.type(x).dims.dropLast(2)) + [Dim(n * n)])
        let places = try call.numbers((0..<n).map { Double($0 * n + $0) }, [n], .int32, "diagonal")
        let diagonal = try call.add(Gather(axis: rank - 2), [flat, places], "gather")
        return [try call.binary(.mul, try call.reduce(.prod, diagonal, [rank - 2]), try call.cast(parts[3], call.type(x).dtype))]
      },
    ])
}

extension ONNXCall {
  /// NumPy's matmul: vectors are rows or columns, the axes before the last two are broadcast.
  func product(_ a: ValueID, _ b: ValueID) throws -> ValueID {
    let dtype = type(a).dtype
    // Integers are multiplied as doubles, which hold every product of 32-bit numbers that a sum can need exactly.
    var (x, y) = dtype.isFloat ? (a, b) : (try cast(a, .float64), try cast(b, .float64))
    let (isRow, isColumn) = (type(a).rank == 1, type(b).rank == 1)
    if isRow { x = try expand(x, 0) }
    if isColumn { y = try expand(y, 1) }
    var result = try add(MatMul(), [x, y], "matmul")
    if isColumn { result = try drop(result, type(result).rank - 1) }
    if isRow { result = try drop(result, type(result).rank - (isColumn ? 1 : 2)) }
    return try cast(result, dtype)
  }
}

import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Sums of products.
  static let products: [String: Meaning] = [
    "matmul": { call in
      let (a, b) = try factors(call, integers: true)
      let (left, right) = (try transposed(call, "transpose_a", "adjoint_a"), try transposed(call, "transpose_b", "adjoint_b"))
      for name in ["a_is_sparse", "b_is_sparse"] where try call.bool(name) == true { throw call.unsupported(name) }
      let dtype = call.dtype(of: a)
      guard !dtype.isFloat else { return [try product(call, a, b, left, right)] }
      // Exact to 53 bits.
      let found = try product(call, try call.cast(a, .float64), try call.cast(b, .float64), left, right)
      return [try call.cast(found, dtype)]
    },
    "matvec": { call in
      let (a, b) = try factors(call)
      let result = try product(call, a, try call.layer.expand(b, axis: -1), try transposed(call, "transpose_a", "adjoint_a"), false)
      return [try call.dropped(result, axis: call.type(result).rank - 1)]
    },
    "dot": { call in
      let (a, b) = try factors(call)
      let (left, right) = (call.type(a).rank, call.type(b).rank)
      if left == 0 || right == 0 { return [try call.layer.binary(.mul, a, b)] }
      return [try tensordot(call, a, b, [left - 1], [max(right - 2, 0)])]
    },
    "inner": { call in
      let (a, b) = try factors(call)
      let (left, right) = (call.type(a).rank, call.type(b).rank)
      if left == 0 || right == 0 { return [try call.layer.binary(.mul, a, b)] }
      return [try tensordot(call, a, b, [left - 1], [right - 1])]
    },
    "outer": { call in
      let (a, b) = try factors(call)
      let column = try call.layer.reshape(a, [call.type(a).elementCount, 1])
      let row = try call.layer.reshape(b, [1, call.type(b).elementCount])
      return [try call.layer.binary(.mul, column, row)]
    },
    "tensordot": { call in
      let (a, b) = try factors(call)
      let (left, right) = (call.type(a).rank, call.type(b).rank)
      let given = try call.json("axes")
      if let count = given?.intValue ?? (given == nil ? 2 : nil) {
        guard count >= 0, count <= min(left, right) else { throw call.wrong("\(count) axes do not fit") }
        return [try tensordot(call, a, b, Array(left - count..<left), Array(0..<count))]
      }
      guard let pair = given?.arrayValue, pair.count == 2 else { throw call.wrong("axes must be a number or two lists") }
      let x = try call.integers(pair[0], "axes").map { try call.axis($0, of: a) }
      let y = try call.integers(pair[1], "axes").map { try call.axis($0, of: b) }
      return [try tensordot(call, a, b, x, y)]
    },
    "einsum": { call in
      let keyword = try call.json("equation", "subscripts")?.stringValue
      // TensorFlow's first argument is the equation, and the operands follow it; Keras's operands stand alone.
      let first = call.argument(0, "inputs")
      let equation = keyword ?? first?.constant?.stringValue
      guard let equation else { throw call.wrong("the equation is missing") }
      var operands = keyword == nil ? [] : first.map(flattened) ?? []
      for position in 1..<9 { operands += call.argument(position, []).map(flattened) ?? [] }
      guard !operands.isEmpty else {
        throw call.unsupported("the file's form, in which TensorFlow leaves out the operands,")
      }
      return [try EinsumProduct.of(call, equation, try call.unified(try operands.map(call.operand)))]
    },
    "multiply_no_nan": { call in
      let (a, b) = try factors(call)
      let zero = try call.layer.scalar(0, call.type(b).dtype)
      let product = try call.layer.binary(.mul, a, b)
      return [try call.layer.add(Elementwise(.select), [try call.layer.binary(.equal, b, zero), zero, product], "product")]
    },
  ]

  private static func flattened(_ argument: FunctionCall.Argument) -> [FunctionCall.Argument] {
    if case .list(let items) = argument { items } else { [argument] }
  }

  /// The two factors as floats.
  private static func factors(_ call: FunctionCall, integers: Bool = false) throws -> (ValueID, ValueID) {
    let values = try call.unified([
      try call.required(0, "x1", "a", "x", "input"), try call.required(1, "x2", "b", "y", "rhs"),
    ])
    let dtype = call.dtype(of: values[0])
    guard dtype.isFloat || (integers && [.int32, .int64].contains(dtype)) else { throw call.unsupported("the product of integers") }
    return (values[0], values[1])
  }

  private static func transposed(_ call: FunctionCall, _ first: String, _ second: String) throws -> Bool {
    let (transposes, adjoint) = (try call.bool(first) ?? false, try call.bool(second) ?? false)
    return transposes != adjoint
  }

  /// NumPy's matmul: an operand of rank 1 is a row on the left, a column on the right, and its axis goes.
  private static func product(
    _ call: FunctionCall, _ a: ValueID, _ b: ValueID, _ transposeA: Bool, _ transposeB: Bool
  ) throws -> ValueID {
    let (row, column) = (call.type(a).rank == 1, call.type(b).rank == 1)
    let x = row ? try call.layer.expand(a, axis: 0) : a
    let y = column ? try call.layer.expand(b, axis: 1) : b
    var result = try call.layer.add(
      MatMul(transposeA: transposeA && !row, transposeB: transposeB && !column), [x, y], "matmul")
    if row { result = try call.dropped(result, axis: call.type(result).rank - 2) }
    if column { result = try call.dropped(result, axis: call.type(result).rank - 1) }
    return result
  }

  /// The sum of products over pairs of axes.
  static func contracted(
    _ call: FunctionCall, _ a: ValueID, _ b: ValueID, _ left: [Int], _ right: [Int]
  ) throws -> ValueID { try tensordot(call, a, b, left, right) }

  private static func tensordot(
    _ call: FunctionCall, _ a: ValueID, _ b: ValueID, _ left: [Int], _ right: [Int]
  ) throws -> ValueID {
    let (x, y) = (call.type(a), call.type(b))
    guard left.count == right.count, Set(left).count == left.count, Set(right).count == right.count else {
      throw call.wrong("axes must be pairs, each axis once")
    }
    for (i, j) in zip(left, right) where x.dims[i].fixed != nil && y.dims[j].fixed != nil && x.dims[i] != y.dims[j] {
      throw call.wrong("axis \(i) of \(x.message) and axis \(j) of \(y.message) differ")
    }
    let rows = x.dims.indices.filter { !left.contains($0) }
    let columns = y.dims.indices.filter { !right.contains($0) }
    guard rows.count + columns.count <= maximumRank else { throw call.unsupported("a result of rank over \(maximumRank)") }
    let inner = left.reduce(Dim(1)) { $0 * x.dims[$1] }
    let m = rows.map { x.dims[$0] }
    let n = columns.map { y.dims[$0] }
    let matrix = try call.layer.reshape(try call.layer.transpose(a, rows + left), [m.reduce(1, *), inner])
    let other = try call.layer.reshape(try call.layer.transpose(b, right + columns), [inner, n.reduce(1, *)])
    return try call.layer.reshape(try call.layer.add(MatMul(), [matrix, other], "matmul"), m + n)
  }
}

import TensorModule

extension FourierTransform: DifferentiableOp {
  /// The transform's matrix F is symmetric, and F times its conjugate is the length times the unit matrix.
  package func gradient(_ call: GradientCall) throws {
    let shape = try call.shape(call.inputs[0])
    let length = Double(shape[shape.count - 1])
    let back = try call.addAll(FourierTransform(inverse: !inverse), [try call.cotangent(0), try call.cotangent(1)])
    for part in 0..<2 where call.wants(part) {
      try call.give(part, try call.affine(back[part], inverse ? 1 / max(length, 1) : length))
    }
  }
}

extension TriangularSolve: DifferentiableOp {
  /// x = a⁻¹ b: db = a⁻ᵀ dx, da = −db xᵀ where a is read.
  package func gradient(_ call: GradientCall) throws {
    let db = try call.add(TriangularSolve(lower: lower, transpose: !transpose, unit: unit), [call.inputs[0], try call.cotangent()])
    if call.wants(1) { try call.give(1, db) }
    guard call.wants(0) else { return }
    let (left, right) = transpose ? (call.outputs[0], db) : (db, call.outputs[0])
    let product = try call.unary(.neg, try call.add(MatMul(transposeB: true), [left, right]))
    try call.give(0, try call.triangle(product, lower: lower, diagonal: unit ? 0 : 1))
  }
}

extension Cholesky: DifferentiableOp {
  /// With Φ the lower triangle with half of the diagonal and S = L⁻ᵀ Φ(Lᵀ dL) L⁻¹: of the lower triangle, which alone is read, S + Sᵀ,
  /// half of it on the diagonal.
  package func gradient(_ call: GradientCall) throws {
    let factor = call.outputs[0]
    let solve = TriangularSolve(lower: true, transpose: true)
    let inner = try call.triangle(try call.add(MatMul(transposeA: true), [factor, try call.cotangent()]), lower: true, diagonal: 0.5)
    let half = try call.add(solve, [factor, inner])
    // X L⁻¹ is the transpose of L⁻ᵀ Xᵀ.
    let turned = try call.add(solve, [factor, try call.turned(half)])
    try call.give(0, try call.triangle(try call.binary(.add, turned, try call.turned(turned)), lower: true, diagonal: 0.5))
  }
}

extension GradientCall {
  /// The matrices transposed.
  fileprivate func turned(_ x: ValueID) throws -> ValueID {
    let rank = type(x).rank
    return try transpose(x, Array(0..<rank - 2) + [rank - 1, rank - 2])
  }

  /// A triangle of square matrices with zeros in the other one.
  ///
  /// - Parameter diagonal: what the diagonal is multiplied by.
  fileprivate func triangle(_ x: ValueID, lower: Bool, diagonal: Double) throws -> ValueID {
    let shape = try shape(x)
    let size = shape[shape.count - 1]
    let factors = (0..<size * size).map { place -> Double in
      let (row, column) = (place / size, place % size)
      return row == column ? diagonal : (row > column) == lower ? 1 : 0
    }
    let mask = constant(try Tensor(converting: factors, to: type(x).dtype, shape: [size, size]))
    // Zeros also where a number of the other triangle is none.
    let kept = try select(try compare(.greater, mask, 0), x, try scalar(0, like: x))
    return diagonal == 0.5 ? try mul(kept, mask) : kept
  }
}

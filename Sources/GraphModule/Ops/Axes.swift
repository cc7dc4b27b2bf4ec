import TensorModule

/// Helpers for ops that work along axes.
package enum Axes {
  /// Throws unless the axes are in range, ascending and without repeats.
  static func check(_ axes: [Int], of type: TensorType, _ op: String) throws {
    for axis in axes {
      try Expect.that(type.dims.indices.contains(axis), op, "axis \(axis) is out of range for \(type.message)")
    }
    try Expect.that(
      zip(axes, axes.dropFirst()).allSatisfy { $0 < $1 }, op, "axes must be ascending, found \(axes.shapeText)")
  }

  /// The numbers of elements before, along and after an axis of a known shape.
  package static func split(_ shape: Shape, at axis: Int) -> (outer: Int, length: Int, inner: Int) {
    (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
  }

  /// One dim for two that must be equal: the number, when one of them is known.
  static func merged(_ a: Dim, _ b: Dim) -> Dim { a.fixed != nil ? a : b }
}

extension Expect {
  /// Throws unless the dtype is a float or an integer (not bool, not string).
  static func number(_ type: TensorType, _ op: String, _ operand: String) throws {
    try that(
      type.dtype.isFloat || type.dtype.isInteger, op, "\(operand) must be a tensor of numbers, found \(type.message)")
  }

  /// Throws unless a tensor of `dtype` can hold the number exactly (floats hold any).
  static func holds(_ dtype: DType, _ value: Double, _ op: String, _ what: String) throws {
    try that(dtype != .string, op, "\(what) is a number and the tensor holds strings")
    guard let range = dtype.integerRange else { return }
    let fits =
      value.rounded(.towardZero) == value && value.magnitude <= 0x1p53 && range.contains(dtype.clamping(value))
      && Double(dtype.clamping(value)) == value
    try that(fits, op, "\(what) \(value) is no \(dtype.name)")
  }

  /// Throws unless the number is finite and at least 0.
  static func epsilon(_ value: Double, _ op: String) throws {
    try that(value >= 0 && value.isFinite, op, "epsilon must be a number from 0, found \(value)")
  }

  /// The shape of a result of the reference backend, where every dim is a number.
  static func shape(_ type: TensorType, _ op: String) throws -> Shape {
    guard let shape = type.shape else { throw KilnError(.internal, "op '\(op)' runs without a shape: \(type.message)") }
    return shape
  }
}

import GraphModule
import TensorModule

/// Short forms for the nodes that functions are made of.
extension FunctionCall {
  func rank(_ value: ValueID) -> Int { type(value).rank }
  func dtype(of value: ValueID) -> DType { type(value).dtype }
  func dims(of value: ValueID) -> [Dim] { type(value).dims }

  func apply(_ function: ScalarFunction, _ value: ValueID) throws -> ValueID { try layer.unary(function, value) }
  func apply(_ function: ScalarFunction, _ a: ValueID, _ b: ValueID) throws -> ValueID { try layer.binary(function, a, b) }

  /// The function of a value and a number.
  func apply(_ function: ScalarFunction, _ value: ValueID, _ number: Double) throws -> ValueID {
    try layer.binary(function, value, try layer.scalar(number, dtype(of: value)))
  }

  /// a · value + b.
  func affine(_ value: ValueID, _ a: Double, _ b: Double) throws -> ValueID { try layer.unary(.affine, [a, b], value) }

  func select(_ condition: ValueID, _ a: ValueID, _ b: ValueID) throws -> ValueID {
    try layer.add(Elementwise(.select), [condition, a, b], "select")
  }

  func select(_ condition: ValueID, _ a: ValueID, _ number: Double) throws -> ValueID {
    try select(condition, a, try layer.scalar(number, dtype(of: a)))
  }

  func select(_ condition: ValueID, _ number: Double, _ b: ValueID) throws -> ValueID {
    try select(condition, try layer.scalar(number, dtype(of: b)), b)
  }

  func cast(_ value: ValueID, _ dtype: DType) throws -> ValueID { try layer.cast(value, to: dtype) }

  /// A constant of the dtype.
  func constant(_ values: [Double], _ shape: Shape, _ dtype: DType) throws -> ValueID {
    layer.constant(try Tensor(converting: values, to: dtype, shape: shape), "constant")
  }

  func gather(_ value: ValueID, _ indices: [Int], axis: Int) throws -> ValueID {
    let picks = layer.constant(try Tensor(integers: indices.map(Int64.init), dtype: .int64, shape: [indices.count]), "indices")
    return try layer.add(Gather(axis: axis), [value, picks], "gather")
  }

  func concat(_ values: [ValueID], axis: Int) throws -> ValueID {
    values.count == 1 ? values[0] : try layer.add(Concat(axis: axis), values, "concat")
  }

  func stack(_ values: [ValueID], axis: Int) throws -> ValueID {
    try concat(try values.map { try layer.expand($0, axis: axis) }, axis: axis)
  }

  func broadcast(_ value: ValueID, _ dims: [Dim]) throws -> ValueID {
    self.dims(of: value) == dims ? value : try layer.add(BroadcastTo(dims), [value], "broadcast")
  }

  /// Elements `start ..< end` of an axis.
  func range(_ value: ValueID, axis: Int, _ start: Int?, _ end: Int?) throws -> ValueID {
    start == nil && end == nil ? value : try sliced(value, axis: axis, Slice.Range(start: start, end: end))
  }

  func padded(
    _ value: ValueID, axis: Int, _ low: Int, _ high: Int, _ mode: Pad.Mode = .constant, value number: Double = 0
  ) throws -> ValueID {
    guard low > 0 || high > 0 else { return value }
    var (before, after) = ([Int](repeating: 0, count: rank(value)), [Int](repeating: 0, count: rank(value)))
    (before[axis], after[axis]) = (low, high)
    return try layer.add(Pad(mode, low: before, high: after, value: number), [value], "pad")
  }

  func reversed(_ value: ValueID, axes: [Int]) throws -> ValueID { try layer.add(Reverse(axes: axes), [value], "reverse") }

  func product(_ a: ValueID, _ b: ValueID, transposeA: Bool = false, transposeB: Bool = false) throws -> ValueID {
    try layer.add(MatMul(transposeA: transposeA, transposeB: transposeB), [a, b], "matmul")
  }

  /// The last two axes exchanged.
  func matrixTransposed(_ value: ValueID) throws -> ValueID {
    let rank = rank(value)
    guard rank >= 2 else { throw wrong("needs matrices, found \(type(value).message)") }
    return try layer.transpose(value, Array(0..<rank - 2) + [rank - 1, rank - 2])
  }

  /// The value with the given axes joined into one at the end, the others before them.
  func joined(_ value: ValueID, _ axes: [Int]) throws -> ValueID {
    let dims = dims(of: value)
    let others = dims.indices.filter { !axes.contains($0) }
    let moved = try layer.transpose(value, others + axes)
    return try layer.reshape(moved, others.map { dims[$0] } + [axes.reduce(Dim(1)) { $0 * dims[$1] }])
  }

  /// A tensor argument as a float.
  func floatTensor(_ position: Int?, _ names: String...) throws -> ValueID {
    guard let found = argument(position, names) else { throw wrong("argument \(names.first ?? "") is missing") }
    return try float(try materialised(try operand(found)))
  }

  /// Two operands of one float dtype.
  func floats(_ a: String = "x1", _ b: String = "x2") throws -> (ValueID, ValueID) {
    let values = try unified([try required(0, a, "x", "a"), try required(1, b, "y", "b")])
    return (try float(values[0]), try float(values[1]))
  }

  /// A limit on constants that a function makes from sizes in the file.
  func limited(_ counts: Int...) throws {
    guard let product = checkedProduct(counts), product <= NumberArray.maximumCount else {
      throw unsupported("a table of \(counts.map(String.init).joined(separator: " × ")) numbers")
    }
  }
}

import TensorModule

/// What every array of data must be.
enum ArrayChecks {
  /// - Throws: `KilnError` (`badInput`) with the first sample that holds NaN or an infinity.
  static func finite(_ array: Tensor) throws {
    let bad: Int?
    switch array.dtype {
    case .float32:
      bad = array.bytes.withMemoryRebound(to: Float.self) { $0.firstIndex { !$0.isFinite } }
    case .float64:
      bad = array.bytes.withMemoryRebound(to: Double.self) { $0.firstIndex { !$0.isFinite } }
    case .float16, .bfloat16: bad = array.doubles.firstIndex { !$0.isFinite }
    default: bad = nil
    }
    guard let bad else { return }
    let inner = Array(array.shape.dropFirst())
    let row = max(1, inner.elementCount)
    let place = zip(inner.rowMajorStrides, inner).map { stride, length in bad % row / stride % max(1, length) }
    let value = array.doubles[bad]
    throw KilnError(
      .badInput,
      "sample \(bad / row) holds \(value.isNaN ? "NaN" : "\(value)")\(place.isEmpty ? "" : " at \(place.shapeText)"); expected finite numbers")
  }

  /// The array under the shape that is wanted, a last axis of 1 added or dropped as Keras does.
  static func shaped(_ array: Tensor, _ dims: [Int?], _ what: String) throws -> Tensor {
    func fits(_ shape: Shape) -> Bool {
      shape.count == dims.count + 1 && zip(shape.dropFirst(), dims).allSatisfy { $1 == nil || $0 == $1 }
    }
    if fits(array.shape) { return array }
    if fits(array.shape + [1]), array.shape.count < maximumRank { return array.reshaped(array.shape + [1]) }
    if array.shape.count > 1, array.shape.last == 1, fits(array.shape.dropLast()) { return array.reshaped(array.shape.dropLast()) }
    throw KilnError(
      .badInput, "expected \(dims.dimsText) a sample for \(what), found \(Array(array.shape.dropFirst()).shapeText) (the array has \(array.shape.shapeText))")
  }

  /// The array in the dtype of an input, or as it is where rows are converted when they are used.
  static func typed(_ array: Tensor, _ dtype: DType, _ what: String) throws -> Tensor {
    if RowCopy.converts(array.dtype, to: dtype) { return array }
    guard array.dtype != .string, dtype != .string else {
      throw KilnError(.badInput, "expected \(dtype.name) for \(what), found \(array.dtype.name)")
    }
    let converted = try array.converted(to: dtype)
    if !dtype.isFloat, array.dtype.isFloat || array.dtype.byteCount > dtype.byteCount {
      let (before, after) = (array.doubles, converted.doubles)
      if let bad = before.indices.first(where: { before[$0] != after[$0] }) {
        let row = max(1, array.shape.dropFirst().reduce(1, *))
        throw KilnError(.badInput, "sample \(bad / row) holds \(before[bad]), which \(dtype.name) of \(what) cannot hold")
      }
    }
    return converted
  }
}

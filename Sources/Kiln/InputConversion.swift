import TensorModule

/// Brings what a caller feeds to the dtype that the model takes.
package enum InputConversion {
  /// The tensor under the input's dtype.
  ///
  /// Any number becomes a float; floats and integers become integers or bool only when no value changes.
  ///
  /// - Throws: `KilnError` (`badInput`) when the rank, a length or a value does not fit.
  package static func fit(_ tensor: Tensor, _ input: TensorDescription) throws -> Tensor {
    let fits = tensor.shape.count == input.dims.count && zip(tensor.shape, input.dims).allSatisfy { $1 == nil || $0 == $1 }
    guard fits else {
      throw KilnError(
        .badInput,
        "input \(KilnError.quoted(input.name)): expected \(input.typeText), found \(tensor.dtype.name)\(tensor.shape.shapeText)",
        hint: hint(tensor.shape, input.dims))
    }
    if tensor.dtype == input.dtype {
      // Memory that a caller lends may not be aligned to its elements.
      let alignment = max(1, tensor.dtype.byteCount)
      if Int(bitPattern: tensor.address) % alignment == 0 { return tensor }
      return try Tensor(dtype: tensor.dtype, shape: tensor.shape) { $0.copyMemory(from: tensor.bytes) }
    }
    let refusal = KilnError(
      .badInput, "input \(KilnError.quoted(input.name)): expected \(input.typeText), found \(tensor.dtype.name) values that it cannot hold")
    guard tensor.dtype != .string, input.dtype != .string else { throw refusal }
    if !input.dtype.isFloat, !isLossless(tensor, to: input.dtype) { throw refusal }
    return try tensor.converted(to: input.dtype)
  }

  private static func isLossless(_ tensor: Tensor, to dtype: DType) -> Bool {
    guard let range = dtype.integerRange else { return true }
    if !tensor.dtype.isFloat { return tensor.integers.allSatisfy(range.contains) }
    // 2^63 itself is one beyond the largest integer.
    return tensor.doubles.allSatisfy {
      $0 == $0.rounded() && $0 >= Double(range.lowerBound) && $0 <= Double(range.upperBound) && $0 < 0x1p63
    }
  }

  private static func hint(_ shape: Shape, _ dims: [Int?]) -> String? {
    guard shape.count + 1 == dims.count, dims.first == .some(nil),
      zip(shape, dims.dropFirst()).allSatisfy({ $1 == nil || $0 == $1 })
    else { return nil }
    return "one sample needs a leading axis of 1: \(([1] + shape).shapeText)"
  }
}

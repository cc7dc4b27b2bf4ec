import Kiln

extension TensorDescription {
  /// Whether the first axis counts samples.
  var isBatched: Bool { dims.first == .some(nil) }

  /// The elements of one sample, when all its axes are known.
  var sampleCount: Int? {
    let fixed = dims.dropFirst().compactMap { $0 }
    return fixed.count == dims.count - 1 ? checkedProduct(fixed) : nil
  }

  /// The tensor with this input's dtype.
  ///
  /// - Throws: `KilnError` (`badInput`) when its shape does not fit, or its values do not.
  func adopt(_ tensor: Tensor) throws -> Tensor { try InputConversion.fit(tensor, self) }
}

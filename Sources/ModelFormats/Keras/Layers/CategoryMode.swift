import GraphModule
import TensorModule

/// How Keras writes categories: `output_mode` of the layers that make or take them.
enum CategoryMode: String, CaseIterable {
  case int, multiHot = "multi_hot", oneHot = "one_hot", count, tfIdf = "tf_idf"

  /// Reads `output_mode`; `binary` and `tf-idf` are old names.
  static func read(_ config: LayerConfig, _ fallback: CategoryMode, among modes: [CategoryMode]) -> CategoryMode {
    if config.bool("sparse", false) { config.unsupported("sparse: true", nearest: "sparse: false") }
    let text = config.string("output_mode", fallback.rawValue)
    let name = text == "binary" ? "multi_hot" : text == "tf-idf" ? "tf_idf" : text
    if let mode = CategoryMode(rawValue: name), modes.contains(mode) { return mode }
    config.unsupported("output_mode \(KilnError.quoted(text))", nearest: modes.map(\.rawValue).joined(separator: ", "))
    return fallback
  }

  /// The categories as Keras writes them; one outside 0 to depth - 1 counts nowhere.
  ///
  /// Before Keras 3 samples are rows, and every mode counts; Keras 3 encodes one_hot of any rank by itself.
  ///
  /// - Parameters:
  ///   - dtype: that of the result.
  ///   - weights: what each category adds in mode count, or the factors [depth] of tf_idf.
  func encode(
    _ call: LayerCall, _ categories: ValueID, depth: Int, dtype: DType, weights: ValueID? = nil
  ) throws -> ValueID {
    if self == .int { return try call.cast(categories, to: dtype) }
    guard depth > 0, depth <= 1 << 24 else { throw KilnError(.badInput, "\(depth) categories") }
    var x = categories
    var dims = call.type(x).dims
    if self == .oneHot, dims.count > 1, dims.last == 1 {
      dims.removeLast()
      x = try call.reshape(x, dims)
    }
    if self == .oneHot {
      guard call.dialect.isKeras3 || dims.count == 1 else { throw tooDeep(call, categories) }
      return try call.add(OneHot(depth: depth, dtype: dtype), [x], "one_hot")
    }
    if dims.count > 2 {
      guard call.dialect.isKeras3, self != .tfIdf, weights == nil else { throw tooDeep(call, categories) }
      let each = try call.add(OneHot(depth: depth, dtype: dtype), [x], "one_hot")
      return try call.add(Reduce(self == .count ? .sum : .max, axes: [1]), [each], rawValue)
    }
    switch self {
    case .tfIdf:
      let counts = try call.add(Bincount(depth: depth, dtype: call.dtype), [x], "count")
      guard let weights else { throw KilnError(.internal, "tf_idf without weights") }
      return try call.binary(.mul, counts, weights)
    case .count where weights != nil:
      let factors = try call.cast(weights ?? x, to: dtype)
      return try call.add(Bincount(depth: depth, dtype: dtype), [x, factors], rawValue)
    default: return try call.add(Bincount(depth: depth, binary: self == .multiHot, dtype: dtype), [x], rawValue)
    }
  }

  private func tooDeep(_ call: LayerCall, _ x: ValueID) -> KilnError {
    KilnError(
      .unsupportedModel, "output_mode '\(rawValue)' of an input \(call.type(x).message) is not supported",
      hint: "a sample has at most one axis")
  }
}

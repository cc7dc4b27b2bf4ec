/// How near two tensors must be: |got − expected| ≤ absolute + relative · |expected|, element by element.
public struct Tolerance: Sendable, Hashable {
  public var absolute: Double
  public var relative: Double

  public init(absolute: Double, relative: Double) {
    self.absolute = absolute
    self.relative = relative
  }

  /// What Kiln promises against the framework that wrote a model.
  public static let framework = Tolerance(absolute: 1e-5, relative: 1e-4)
  public static let exact = Tolerance(absolute: 0, relative: 0)

  public func accepts(_ got: Double, _ expected: Double) -> Bool {
    if got.isNaN || expected.isNaN { return got.isNaN && expected.isNaN }
    if got == expected { return true }
    guard got.isFinite, expected.isFinite else { return false }
    return (got - expected).magnitude <= absolute + relative * expected.magnitude
  }
}

/// The outcome of comparing a tensor with the expected one.
public struct TensorDifference: Sendable {
  /// The largest |got − expected| over elements where both are finite.
  public var maximumAbsolute: Double = 0
  /// The largest |got − expected| / max(|expected|, smallest normal Float).
  public var maximumRelative: Double = 0
  /// How many elements are outside the tolerance, and the first of them (flat index).
  public var outside: Int = 0
  public var firstOutside: Int?

  /// Compares elementwise.
  ///
  /// - Throws: `KilnError` (`toleranceExceeded`) when the shapes differ.
  public static func between(
    _ got: Tensor, _ expected: Tensor, _ tolerance: Tolerance = .framework
  ) throws -> TensorDifference {
    guard got.shape == expected.shape else {
      throw KilnError(
        .toleranceExceeded, "shapes differ: expected \(expected.shape.shapeText), found \(got.shape.shapeText)")
    }
    var result = TensorDifference()
    if got.dtype == .string || expected.dtype == .string {
      for (index, pair) in zip(got.strings, expected.strings).enumerated() where pair.0 != pair.1 {
        result.note(index)
      }
      return result
    }
    for (index, pair) in zip(got.doubles, expected.doubles).enumerated() {
      if !tolerance.accepts(pair.0, pair.1) { result.note(index) }
      let difference = (pair.0 - pair.1).magnitude
      if difference.isFinite {
        result.maximumAbsolute = max(result.maximumAbsolute, difference)
        let scale = max(pair.1.magnitude, Double(Float.leastNormalMagnitude))
        result.maximumRelative = max(result.maximumRelative, difference / scale)
      }
    }
    return result
  }

  private mutating func note(_ index: Int) {
    outside += 1
    if firstOutside == nil { firstOutside = index }
  }
}

import TensorModule

/// Keras's constraints, which change a variable after each step.
struct Constraint {
  private enum Kind {
    case nonNegative
    /// The length between two bounds, `rate` of the way.
    case norm(low: Float, high: Float, rate: Float)
    case unit
  }

  private let kind: Kind
  private let shape: Shape
  /// Along which lengths are taken.
  let axes: [Int]

  var isNonNegative: Bool { if case .nonNegative = kind { true } else { false } }

  /// The bounds of lengths; nil where they are 1.
  var bounds: (low: Float, high: Float, rate: Float)? {
    if case .norm(let low, let high, let rate) = kind { (low, high, rate) } else { nil }
  }

  init(_ json: JSON, shape: Shape) throws {
    let name = json["class_name"]?.stringValue ?? json["name"]?.stringValue ?? json.stringValue ?? ""
    let config = json["config"] ?? json
    func number(_ keys: String..., or fallback: Double) -> Float { Float(keys.compactMap { config[$0]?.doubleValue }.first ?? fallback) }
    switch name {
    case "NonNeg", "non_neg", "nonneg": kind = .nonNegative
    case "MaxNorm", "max_norm", "maxnorm": kind = .norm(low: 0, high: number("max_value", "m", or: 2), rate: 1)
    case "UnitNorm", "unit_norm", "unitnorm": kind = .unit
    case "MinMaxNorm", "min_max_norm":
      kind = .norm(low: number("min_value", "low", or: 0), high: number("max_value", "high", or: 1), rate: number("rate", or: 1))
    default: throw KilnError(.unsupportedModel, "the constraint \(KilnError.quoted(name)) is not supported")
    }
    self.shape = shape
    let given = config["axis"]?.intValue.map { [$0] } ?? config["axis"]?.arrayValue?.compactMap(\.intValue) ?? [0]
    axes = given.map { $0 < 0 ? $0 + shape.count : $0 }
    guard axes.allSatisfy(shape.indices.contains) else {
      throw KilnError(.badInput, "the constraint's axis \(given) does not fit \(shape.shapeText)")
    }
  }

  func apply(_ w: UnsafeMutablePointer<Float>) {
    let count = shape.elementCount
    if case .nonNegative = kind {
      for index in 0..<count { w[index] = max(w[index], 0) }
      return
    }
    let kept = shape.enumerated().map { axes.contains($0) ? 1 : $1 }
    let strides = kept.rowMajorStrides
    var sums = [Float](repeating: 0, count: kept.elementCount)
    func target(_ index: Int) -> Int {
      var (rest, at) = (index, 0)
      for axis in shape.indices.reversed() {
        if kept[axis] != 1 { at += rest % shape[axis] * strides[axis] }
        rest /= max(shape[axis], 1)
      }
      return at
    }
    for index in 0..<count { sums[target(index)] += w[index] * w[index] }
    let factors = sums.map { sum -> Float in
      let length = sum.squareRoot()
      switch kind {
      case .nonNegative: return 1
      case .unit: return 1 / (1e-7 + length)
      case .norm(let low, let high, let rate):
        return (rate * min(max(length, low), high) + (1 - rate) * length) / (1e-7 + length)
      }
    }
    for index in 0..<count { w[index] *= factors[target(index)] }
  }
}

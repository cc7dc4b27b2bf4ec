import GraphModule
import TensorModule

/// How near a rewritten graph's results are to the original's, on the reference backend.
package enum Exactness: Sendable, Hashable {
  /// Equal bits.
  case exact
  /// |a − b| ≤ n · 2⁻²³ · max(|a|, |b|): n roundings of a float32.
  case ulps(Int)
  /// Where terms are regrouped or weights are rounded again, so that cancellation decides.
  case tolerance(Tolerance)

  /// The tolerance of rules that fold numbers into weights, which are then rounded once.
  package static let folded = Exactness.tolerance(Tolerance(absolute: 2e-5, relative: 1e-4))

  /// How the documentation and `kconv explain` print it.
  package var text: String {
    switch self {
    case .exact: "exact"
    case .ulps(let count): "\(count) ulp" + (count == 1 ? "" : "s")
    case .tolerance(let tolerance): "within \(tolerance.absolute) + \(tolerance.relative)·|x|"
    }
  }

  /// Whether `got` may stand for `expected`.
  ///
  /// - Parameter magnitude: the size of the numbers that were added up, for tolerances.
  package func accepts(_ got: Double, _ expected: Double, ignoring special: SpecialValues, magnitude: Double = 1) -> Bool {
    if got.isNaN || expected.isNaN {
      return got.isNaN && expected.isNaN || !special.isDisjoint(with: [.nan])
    }
    if got.isInfinite || expected.isInfinite { return got == expected || special.contains(.infinity) }
    if got == 0 && expected == 0 { return got.sign == expected.sign || self != .exact || special.contains(.signedZero) }
    let difference = (got - expected).magnitude
    switch self {
    case .exact: return difference == 0
    case .ulps(let count):
      let larger = max(got.magnitude, expected.magnitude)
      return difference <= Double(count) * 0x1p-23 * larger + Double(Float.leastNonzeroMagnitude)
    case .tolerance(let tolerance):
      return difference <= tolerance.absolute * max(magnitude, 1) + tolerance.relative * expected.magnitude
    }
  }
}

/// Kinds of elements whose results a rule may change.
package struct SpecialValues: OptionSet, Sendable, Hashable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// A result that is NaN on one side only.
  package static let nan = SpecialValues(rawValue: 1)
  /// A result that is infinite on one side only.
  package static let infinity = SpecialValues(rawValue: 2)
  /// +0 for −0 or the reverse.
  package static let signedZero = SpecialValues(rawValue: 4)

  /// `NaN, ±0`, or nothing.
  package var text: String {
    let all: [(SpecialValues, String)] = [(.nan, "NaN"), (.infinity, "infinity"), (.signedZero, "±0")]
    return all.filter { contains($0.0) }.map(\.1).joined(separator: ", ")
  }
}

/// The stages of optimization, in order. At a stage the rules of the stages before it apply too.
package enum Phase: Int, Sendable, CaseIterable, Comparable {
  case canonicalise, simplify, foldConstants, fuse, lower

  package static func < (left: Phase, right: Phase) -> Bool { left.rawValue < right.rawValue }

  /// The name in the documentation: `fold constants`.
  package var text: String { self == .foldConstants ? "fold constants" : "\(self)" }
}

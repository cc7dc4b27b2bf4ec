/// How weights are kept for a kernel that is bound by reading them.
package enum WeightForm: String, Sendable, CaseIterable {
  case float32 = "f32"
  case bfloat16 = "bf16"
  /// With a scale for each output channel.
  case int8
}

extension PlanOptions {
  /// Predictions in which laying weights out for good, in memory that must first be cleared, has paid.
  private static let runsThatPay = 4
  /// Output positions of all runs for which a transform of the weights has paid.
  private static let positionsThatPay = 2400

  /// Whether weights of so many bytes are read as the file has them, and laid out anew in each prediction.
  func streams(_ bytes: Int) -> Bool {
    if lowMemory { return bytes > 64 << 10 }
    return bytes > 256 << 10 && (expectedRuns ?? .max) < PlanOptions.runsThatPay
  }

  /// Whether weights that take `bytes` when they are transformed should be.
  func transforms(_ bytes: Int, positions: Int) -> Bool {
    if lowMemory { return bytes <= 1 << 20 }
    guard let runs = expectedRuns else { return true }
    let (all, overflow) = positions.multipliedReportingOverflow(by: runs)
    return overflow || all >= PlanOptions.positionsThatPay
  }

  /// The options of a graph that runs so many times in each run of this one; nil when that is not known.
  func inside(times: Int?) -> PlanOptions {
    var options = self
    // A device would pay its transfers in each iteration.
    options.device = nil
    options.expectedRuns = expectedRuns.flatMap { runs in
      guard let (all, overflow) = times.map({ runs.multipliedReportingOverflow(by: $0) }), !overflow else { return nil }
      return all
    }
    return options
  }
}

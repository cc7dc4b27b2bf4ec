import TensorModule

/// A number of each epoch that should get better, as Keras's callbacks watch one.
public struct Monitor: Sendable, Hashable {
  /// `val_loss`, `accuracy`, …
  public let name: String
  /// Whether greater is better.
  public let wantsGreater: Bool
  private let minDelta: Double

  /// - Parameters:
  ///   - wantsGreater: nil takes the metric's own direction: losses and errors fall, all else rises.
  ///   - minDelta: a change of less is none.
  public init(_ name: String, wantsGreater: Bool? = nil, minDelta: Double = 0) {
    self.name = name
    self.wantsGreater = wantsGreater ?? Monitor.rises(name)
    self.minDelta = abs(minDelta)
  }

  /// The direction that Keras's metrics have.
  private static func rises(_ name: String) -> Bool {
    let metric = name.hasPrefix("val_") ? name.dropFirst(4) : name[...]
    let falling = [
      "loss", "error", "crossentropy", "hinge", "divergence", "poisson", "huber", "mse", "mae", "mape", "msle", "rmse", "kld",
      "logcosh", "log_cosh", "false_positives", "false_negatives",
    ]
    return !falling.contains { metric.contains($0) }
  }

  /// The number in an epoch's report; nil when it has none of that name.
  public func value(_ report: EpochReport) -> Double? {
    name.hasPrefix("val_")
      ? report.validation.first { "val_" + $0.name == name }?.value : report.training.first { $0.name == name }?.value
  }

  func isImprovement(_ value: Double, over best: Double?) -> Bool {
    guard let best else { return true }
    return wantsGreater ? value - minDelta > best : value + minDelta < best
  }
}

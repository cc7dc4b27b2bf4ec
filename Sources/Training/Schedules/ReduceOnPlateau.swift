import TensorModule

/// Keras's `ReduceLROnPlateau`: lowers the learning rate when a number got no better for some epochs.
public struct ReduceOnPlateau: Sendable, Hashable {
  public let monitor: Monitor
  public let factor: Double
  public let patience: Int
  public let cooldown: Int
  public let minRate: Double

  private var wait = 0
  private var cooling = 0
  private var best: Double?

  public init(
    monitor: Monitor = Monitor("val_loss", minDelta: 0.0001), factor: Double = 0.1, patience: Int = 10, cooldown: Int = 0, minRate: Double = 0
  ) {
    (self.monitor, self.factor, self.patience, self.cooldown, self.minRate) = (monitor, factor, patience, cooldown, minRate)
  }

  /// Looks at an epoch that ended.
  ///
  /// - Parameter rate: the learning rate so far.
  /// - Returns: the learning rate from here on.
  public mutating func update(value: Double?, rate: Double) -> Double {
    guard let value else { return rate }
    if cooling > 0 {
      cooling -= 1
      wait = 0
    }
    if monitor.isImprovement(value, over: best) {
      (best, wait) = (value, 0)
    } else if cooling == 0 {
      wait += 1
      if wait >= patience, rate > Double(Float(minRate)) {
        (cooling, wait) = (cooldown, 0)
        return max(rate * factor, minRate)
      }
    }
    return rate
  }

  /// What a checkpoint keeps.
  package var state: JSON {
    .object(JSONObject([("wait", .int(wait)), ("cooling", .int(cooling)), ("best", best.map(JSON.double) ?? .null)]))
  }

  /// Goes on from what a checkpoint kept.
  package mutating func restore(_ state: JSON) throws {
    guard let wait = state["wait"]?.intValue, let cooling = state["cooling"]?.intValue else {
      throw KilnError(.badInput, "the state of the learning rate is malformed")
    }
    (self.wait, self.cooling, best) = (wait, cooling, state["best"]?.doubleValue)
  }
}

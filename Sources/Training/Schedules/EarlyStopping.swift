import TensorModule

/// Keras's `EarlyStopping`: ends training when a number got no better for some epochs.
public struct EarlyStopping: Sendable, Hashable {
  public let monitor: Monitor
  public let patience: Int
  /// Whether the weights of the best epoch come back at the end.
  public let restoresBest: Bool
  public let baseline: Double?
  public let startEpoch: Int

  private var wait = 0
  private var best: Double?
  private var hasBestWeights = false
  /// The epoch whose weights are the best so far.
  public private(set) var bestEpoch = 0
  /// The epoch after which training ended; nil while it goes on.
  public private(set) var stoppedEpoch: Int?

  public init(monitor: Monitor = Monitor("val_loss"), patience: Int, restoresBest: Bool = true, baseline: Double? = nil, startEpoch: Int = 0) {
    (self.monitor, self.patience, self.restoresBest) = (monitor, patience, restoresBest)
    (self.baseline, self.startEpoch) = (baseline, startEpoch)
  }

  /// What an epoch asks for.
  public struct Decision: Sendable, Hashable {
    /// The weights are now the best and are to be kept.
    public var isBest = false
    public var stops = false
  }

  /// Looks at an epoch that ended.
  ///
  /// - Parameter value: of the monitored number; nil when the epoch has none.
  public mutating func update(epoch: Int, value: Double?) -> Decision {
    var decision = Decision()
    guard let value, epoch >= startEpoch else { return decision }
    if restoresBest, !hasBestWeights {
      (hasBestWeights, bestEpoch, decision.isBest) = (true, epoch, true)
    }
    wait += 1
    if monitor.isImprovement(value, over: best) {
      (best, bestEpoch, decision.isBest) = (value, epoch, true)
      if baseline.map({ monitor.isImprovement(value, over: $0) }) ?? true { wait = 0 }
      return decision
    }
    if wait >= patience, epoch > 0 {
      stoppedEpoch = epoch
      decision.stops = true
    }
    return decision
  }

  /// What a checkpoint keeps.
  package var state: JSON {
    .object(
      JSONObject([
        ("wait", .int(wait)), ("best", best.map(JSON.double) ?? .null), ("has_best", .bool(hasBestWeights)), ("best_epoch", .int(bestEpoch)),
        ("stopped_epoch", stoppedEpoch.map(JSON.int) ?? .null),
      ]))
  }

  /// Goes on from what a checkpoint kept.
  package mutating func restore(_ state: JSON) throws {
    guard let wait = state["wait"]?.intValue, let hasBest = state["has_best"]?.boolValue, let epoch = state["best_epoch"]?.intValue else {
      throw KilnError(.badInput, "the state of early stopping is malformed")
    }
    (self.wait, best, hasBestWeights, bestEpoch) = (wait, state["best"]?.doubleValue, hasBest, epoch)
    stoppedEpoch = state["stopped_epoch"]?.intValue
  }
}

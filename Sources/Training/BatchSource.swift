import TensorModule

/// Samples that one step of training takes at once.
///
/// Every tensor has the samples along its first axis, `count` of them.
public struct Batch: Sendable {
  public var count: Int
  /// What the model reads, by the names of its inputs. A single input may be called `x`.
  public var inputs: [String: Tensor]
  /// What the model should give, by the names of its outputs. A single target may be called `y`.
  public var targets: [String: Tensor]
  /// A weight for each sample, or for each of its steps, by the names of the outputs; float32 of shape [count] or [count, steps]. A single one may be called `y`.
  public var sampleWeights: [String: Tensor]

  public init(count: Int, inputs: [String: Tensor], targets: [String: Tensor] = [:], sampleWeights: [String: Tensor] = [:]) {
    self.count = count
    self.inputs = inputs
    self.targets = targets
    self.sampleWeights = sampleWeights
  }
}

/// Where training and validation take their batches.
///
/// The order of samples and what augmentation does to them depend on the seed, the epoch and the position alone, so
/// that training goes on after a stop as if there had been none. One task at a time uses a source.
public protocol BatchSource: AnyObject, Sendable {
  /// Samples in an epoch, when it is known.
  var sampleCount: Int? { get }
  /// Samples in a batch; the last of an epoch may have fewer.
  var batchSize: Int { get }
  /// What the target's integers stand for, in order; nil when targets are no classes.
  var classNames: [String]? { get }
  /// Samples that could not be read and were left out so far.
  var skippedCount: Int { get }

  /// Begins an epoch, counted from 0.
  ///
  /// - Parameter firstBatch: how many batches to leave out at the start: those that were taken before a stop.
  func beginEpoch(_ epoch: Int, firstBatch: Int) throws
  /// The next batch, or nil at the end of the epoch.
  func next() throws -> Batch?
}

extension BatchSource {
  public var skippedCount: Int { 0 }

  /// Batches in an epoch, when the number of samples is known.
  public var batchCount: Int? { sampleCount.map { ($0 + batchSize - 1) / max(1, batchSize) } }
}

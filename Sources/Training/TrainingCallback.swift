/// Follows a training: told at each turn, it may throw to end it. All calls come on the thread that trains.
///
///     final class Watcher: TrainingCallback {
///       func didEndEpoch(_ report: EpochReport) -> Bool { report.training[0].value > 0.1 }
///     }
///     trainer.callbacks = [Watcher()]
public protocol TrainingCallback: AnyObject {
  /// Before the first step of `fit`.
  func willBeginTraining() throws
  /// Before the first batch of an epoch, counted from 0.
  func willBeginEpoch(_ epoch: Int) throws
  /// After each step.
  func didEndStep(_ report: StepReport) throws
  /// After each epoch and its validation; false ends training behind it.
  func didEndEpoch(_ report: EpochReport) throws -> Bool
  /// After the last epoch, or where training was ended.
  func didEndTraining() throws
}

extension TrainingCallback {
  public func willBeginTraining() throws {}
  public func willBeginEpoch(_ epoch: Int) throws {}
  public func didEndStep(_ report: StepReport) throws {}
  public func didEndEpoch(_ report: EpochReport) throws -> Bool { true }
  public func didEndTraining() throws {}
}

import Synchronization

/// What happens in a training, in order.
public enum TrainingEvent: Sendable {
  case step(StepReport)
  case epoch(EpochReport)
}

extension Trainer {
  /// Trains on another thread and tells of each step and epoch.
  ///
  ///     for try await event in trainer.events(data, epochs: 5) {
  ///       if case .epoch(let report) = event { print(report.training) }
  ///     }
  ///
  /// The sequence ends with the training, or throws what ended it. Whoever stops listening, or whose task is cancelled, ends the
  /// training after the step in progress. Until the sequence has ended nothing else uses the trainer.
  ///
  /// - Parameter epochs: how many in all; those that are done already count.
  public func events(
    _ source: any BatchSource, validation: (any BatchSource)? = nil, epochs: Int
  ) -> AsyncThrowingStream<TrainingEvent, any Error> {
    // The caller hands the trainer over until the end of the sequence.
    nonisolated(unsafe) let trainer = self
    let ending = Ending()
    return AsyncThrowingStream { continuation in
      continuation.onTermination = { _ in ending.isAsked.store(true, ordering: .releasing) }
      Task.detached {
        do {
          try trainer.fit(
            source, validation: validation, epochs: epochs,
            onStep: { step in
              continuation.yield(.step(step))
              if ending.isAsked.load(ordering: .acquiring) { throw CancellationError() }
            },
            onEpoch: { report in
              continuation.yield(.epoch(report))
              return !ending.isAsked.load(ordering: .acquiring)
            })
          continuation.finish()
        } catch { continuation.finish(throwing: error) }
      }
    }
  }

  private final class Ending: Sendable {
    let isAsked = Atomic(false)
  }
}

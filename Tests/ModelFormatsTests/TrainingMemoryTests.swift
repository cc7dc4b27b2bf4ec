import Kiln
import TensorModule
import Testing
import Training

/// Training with activations computed again.
@Suite struct TrainingMemoryTests {
  private static func weights(_ path: String, _ model: String, recomputes: Bool) throws -> (losses: [Double], weights: [Tensor]) {
    var options = try TrainingParityTests.options(.string("adam"))
    options.recomputes = recomputes
    let tuning = try FineTuning(contentsOf: path, options: options)
    let store = try SampleStore.load("\(TrainingParityTests.folder)/\(model).npz", for: tuning.form)
    var settings = DataSource.Settings()
    (settings.batchSize, settings.isShuffled) = (8, false)
    var losses: [Double] = []
    try tuning.trainer.fit(
      try DataSource(store, settings: settings), epochs: 2,
      onEpoch: { report in
        losses.append(report.training[0].value)
        return true
      })
    return (losses, try tuning.variables().map(\.tensor))
  }

  /// The same bits as with activations kept.
  @Test(arguments: TrainingParityTests.models)
  func recomputingChangesNoBit(_ model: String) throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/\(model).keras")
    let kept = try Self.weights(imported.path, model, recomputes: false)
    let again = try Self.weights(imported.path, model, recomputes: true)
    #expect(kept.losses == again.losses)
    for (a, b) in zip(kept.weights, again.weights) { #expect(a == b) }
  }

  /// A deep model's plan is smaller, and says so.
  @Test func recomputingTakesLessMemory() throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/transformer.keras")
    let explanation = try GradientExplanation(contentsOf: imported.path, batch: 256, loss: LossConfiguration("sparse_categorical_crossentropy"), recomputes: true)
    #expect(explanation.arenaBytes == explanation.recomputedBytes)
    #expect(explanation.recomputedBytes < explanation.keptBytes, "\(explanation.recomputedBytes), kept \(explanation.keptBytes)")
    #expect(explanation.graphText.contains("after"))
  }
}

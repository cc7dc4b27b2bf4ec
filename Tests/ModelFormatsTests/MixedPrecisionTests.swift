import GraphModule
import InferenceRuntime
import Kiln
import TensorModule
import Testing
import Training

/// Training in bfloat16 against Keras's policy `mixed_bfloat16` (`scripts/fixtures/train_mixed.py`).
@Suite struct MixedPrecisionTests {
  private static let kept = [0, 1, 2, 3, 4, 9, 19, 29, 39, 49]

  private static func losses(
    _ path: String, _ model: String, _ optimizer: JSON, precision: TrainingPrecision, recomputes: Bool = false, epochs: Int = 5
  ) throws -> (losses: [Double], weights: [Tensor]) {
    var options = try TrainingParityTests.options(optimizer)
    (options.precision, options.recomputes) = (precision, recomputes)
    let tuning = try FineTuning(contentsOf: path, options: options)
    let store = try SampleStore.load("\(TrainingParityTests.folder)/\(model).npz", for: tuning.form)
    var settings = DataSource.Settings()
    (settings.batchSize, settings.isShuffled) = (8, false)
    var losses: [Double] = []
    var before = 0.0
    try tuning.trainer.fit(try DataSource(store, settings: settings), epochs: epochs) { step in
      let sum = (step.metrics.first?.value ?? .nan) * Double(step.step + 1)
      losses.append(sum - (step.step == 0 ? 0 : before))
      before = sum
    }
    return (losses, try tuning.variables().map(\.tensor))
  }

  /// No further from Keras than Keras trained in other ways is from itself; and not what float32 gives.
  @Test(arguments: TrainingParityTests.models)
  func lossesFollowKeras(_ model: String) throws {
    let root = "\(FixtureCase.root)/fixtures/keras-3.15.1/train_mixed"
    let expected = try JSON.parse(String(contentsOfFile: "\(root)/expected.json", encoding: .utf8))
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/\(model).keras")
    let optimizers = try #require(expected[model]?.objectValue?.entries)
    #expect(optimizers.count == 3)
    for (name, wanted) in optimizers {
      let runs = try #require(wanted["losses"]?.arrayValue).map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
      try #require(runs.count == 8 && runs.allSatisfy { $0.count == Self.kept.count })
      let own = try Self.losses(imported.path, model, #require(wanted["optimizer"]), precision: .bfloat16).losses
      let plain = try Self.losses(imported.path, model, #require(wanted["optimizer"]), precision: .float32).losses
      try #require(own.count == 50)
      for (index, step) in Self.kept.enumerated() {
        let values = runs.map { $0[index] }
        let (low, high) = (try #require(values.min()), try #require(values.max()))
        // Keras rounds the probabilities of its output too, which moves their logarithms by 2⁻⁹ at most.
        let slack = high - low + 0x1p-9
        #expect(
          own[step] >= low - slack && own[step] <= high + slack,
          "\(name): the loss of step \(step + 1) is \(own[step]), Keras's are \(low)...\(high)")
      }
      #expect(own[0] != plain[0] && own[0] < 1.02 * plain[0] && own[0] > 0.98 * plain[0], "\(name): \(own[0]), in float32 \(plain[0])")
    }
  }

  /// The same bits as with activations kept.
  @Test(arguments: TrainingParityTests.models)
  func recomputingChangesNoBit(_ model: String) throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/\(model).keras")
    let kept = try Self.losses(imported.path, model, .string("adam"), precision: .bfloat16, epochs: 2)
    let again = try Self.losses(imported.path, model, .string("adam"), precision: .bfloat16, recomputes: true, epochs: 2)
    #expect(kept.losses == again.losses)
    for (a, b) in zip(kept.weights, again.weights) { #expect(a == b) }
  }

  /// What is kept of the activations takes half.
  @Test func planIsSmaller() throws {
    for model in ["train_parity/transformer.keras", "arch_inverted_residual/model.h5"] {
      let imported = try TrainingParityTests.Imported("\(FixtureCase.root)/fixtures/keras-3.15.1/\(model)")
      var options = try TrainingParityTests.options(.string("adam"))
      if !model.hasPrefix("train") { options.loss = try LossConfiguration("mean_squared_error") }
      let plain = try FineTuning(contentsOf: imported.path, options: options).trainer.explanation(batch: 256, recomputes: false).report
      options.precision = .bfloat16
      let mixed = try FineTuning(contentsOf: imported.path, options: options).trainer.explanation(batch: 256, recomputes: false).report
      #expect(mixed.arenaBytes < plain.arenaBytes * 3 / 4, "\(model): \(mixed.arenaBytes), in float32 \(plain.arenaBytes)")
      let slow = mixed.nodes.filter { $0.kernel == PlanReport.referenceKernel }
      #expect(slow.isEmpty, "\(slow.map(\.name))")
    }
  }
}

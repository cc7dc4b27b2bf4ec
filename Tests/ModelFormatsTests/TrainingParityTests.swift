import Foundation
import GraphModule
import InferenceRuntime
import Kiln
import KilnImport
import TensorModule
import Testing
import Training

/// Steps of training against Keras's own: the same weights, the same batches (`scripts/fixtures/train_parity.py`).
@Suite struct TrainingParityTests {
  static let folder = "\(FixtureCase.root)/fixtures/keras-3.15.1/train_parity"
  static let models = ["mlp", "cnn", "lstm", "transformer"]
  private static let kept = [0, 1, 2, 3, 4, 9, 19, 29, 39, 49]

  /// A model imported for training, in a folder that goes away with the object.
  final class Imported {
    let folder = NSTemporaryDirectory() + "kiln-training-\(UInt64.random(in: 0...UInt64.max))"
    let path: String

    init(_ source: String) throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      path = folder + "/training.kiln"
      var options = ImportOptions()
      options.isForTraining = true
      try ModelImport.importModel(at: source, to: path, options: options)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
  }

  static func options(_ optimizer: JSON) throws -> FineTuning.Options {
    var options = FineTuning.Options()
    options.optimizer = try OptimizerConfiguration(optimizer)
    options.loss = try LossConfiguration("sparse_categorical_crossentropy")
    options.metrics = []
    options.threads = 2
    return options
  }

  @Test(arguments: models)
  func stepsFollowKeras(_ model: String) throws {
    let expected = try JSON.parse(String(contentsOfFile: "\(Self.folder)/expected.json", encoding: .utf8))
    let imported = try Imported("\(Self.folder)/\(model).keras")
    let optimizers = try #require(expected[model]?.objectValue?.entries)
    #expect(optimizers.count == 21)
    for (name, wanted) in optimizers {
      let tuning = try FineTuning(contentsOf: imported.path, options: Self.options(#require(wanted["optimizer"])))
      let store = try SampleStore.load("\(Self.folder)/\(model).npz", for: tuning.form)
      var settings = DataSource.Settings()
      (settings.batchSize, settings.isShuffled) = (8, false)
      let source = try DataSource(store, settings: settings)
      var losses: [Double] = []
      var before = 0.0
      try tuning.trainer.fit(source, epochs: 5) { step in
        // Reports are running means.
        let sum = (step.metrics.first?.value ?? .nan) * Double(step.step + 1)
        losses.append(sum - (step.step == 0 ? 0 : before))
        before = sum
      }
      try #require(losses.count == 50)
      for (step, loss) in zip(Self.kept, try #require(wanted["losses"]?.arrayValue).compactMap(\.doubleValue)) {
        #expect(abs(losses[step] - loss) <= 1e-4 * abs(loss), "\(name): the loss of step \(step + 1) is \(losses[step]), Keras's \(loss)")
      }
      // In the document's order, which is Keras's.
      let variables = try tuning.variables()
      let weights = try #require(wanted["weights"]?.arrayValue)
      try #require(variables.count == weights.count)
      for (variable, numbers) in zip(variables, weights) {
        let values = variable.tensor.doubles
        let (mean, middle) = (values.reduce(0, +) / Double(values.count), values[values.count / 2])
        #expect(abs(mean - (numbers[0]?.doubleValue ?? .nan)) <= 1e-3, "\(name): the mean of \(variable.name)")
        #expect(abs(middle - (numbers[1]?.doubleValue ?? .nan)) <= 1e-3, "\(name): an element of \(variable.name)")
      }
    }
  }

  /// Nothing of a step is left to the ops' own definitions.
  @Test(arguments: models)
  func stepsRunByKernels(_ model: String) throws {
    let imported = try Imported("\(Self.folder)/\(model).keras")
    let tuning = try FineTuning(contentsOf: imported.path, options: Self.options(.string("adam")))
    let (_, report) = try tuning.trainer.explanation(batch: 8, recomputes: false)
    let slow = report.nodes.filter { $0.kernel == PlanReport.referenceKernel }
    #expect(slow.isEmpty, "\(slow.map(\.name))")
    #expect(report.nodes.contains { $0.scope.hasPrefix("gradient") })
  }

  /// Only the new output moves when the rest is frozen, statistics too.
  @Test func newHeadAndFrozenLayers() throws {
    let imported = try Imported("\(Self.folder)/cnn.keras")
    let folder = imported.folder
    try ModelExport.export("\(Self.folder)/cnn.keras", to: folder + "/head.keras", newHead: (3, 7))
    let other = try Imported(folder + "/head.keras")
    var options = try Self.options(.string("sgd"))
    options.loss = nil
    options.freeze = ["conv2d*", "batch_normalization*"]
    let tuning = try FineTuning(contentsOf: other.path, options: options)
    let before = try tuning.variables()
    let x = try Tensor((0..<64 * 4).map { Float($0 % 13) - 6 }, shape: [4, 8, 8, 1])
    let batch = Batch(count: 4, inputs: ["x": x], targets: ["y": try Tensor([0, 1, 2, 1] as [Int32], shape: [4])])
    try tuning.trainer.fit(OneBatch(batch), epochs: 3)
    let after = try tuning.variables()
    for (old, new) in zip(before, after) {
      let isHead = new.tensor.shape.last == 3 && !new.name.contains("conv") && !new.name.contains("batch")
      #expect((old.tensor == new.tensor) != isHead, "\(new.name)")
    }
    try tuning.save(to: folder + "/tuned.kiln")
    try ModelExport.export(folder + "/tuned.kiln", to: folder + "/tuned.keras")
    #expect(throws: KilnError.self) {
      try tuning.trainer.fit(OneBatch(Batch(count: 4, inputs: ["x": x], targets: ["y": try Tensor([0, 1, 3, 1] as [Int32], shape: [4])])), epochs: 4)
    }
  }

  /// One batch an epoch.
  final class OneBatch: BatchSource, @unchecked Sendable {
    private let batch: Batch
    private var isGiven = false
    let classNames: [String]? = nil

    init(_ batch: Batch) { self.batch = batch }

    var sampleCount: Int? { batch.count }
    var batchSize: Int { batch.count }
    func beginEpoch(_ epoch: Int, firstBatch: Int) { isGiven = false }
    func next() -> Batch? {
      defer { isGiven = true }
      return isGiven ? nil : batch
    }
  }

  /// Training, writing and training on is training in one go.
  @Test(arguments: ["cnn", "lstm"])
  func goesOnFromItsFile(_ model: String) throws {
    let imported = try Imported("\(Self.folder)/\(model).keras")
    let optimizer = try JSON.parse(#"{"class_name": "Adam", "config": {"learning_rate": 0.005, "amsgrad": true}}"#)
    func losses(_ path: String, _ options: FineTuning.Options, _ epochs: Int) throws -> (FineTuning, [Double]) {
      let tuning = try FineTuning(contentsOf: path, options: options)
      let store = try SampleStore.load("\(Self.folder)/\(model).npz", for: tuning.form)
      var settings = DataSource.Settings()
      (settings.batchSize, settings.isShuffled) = (8, false)
      var list: [Double] = []
      try tuning.trainer.fit(try DataSource(store, settings: settings), epochs: epochs, onEpoch: { report in
        list.append(report.training[0].value)
        return true
      })
      return (tuning, list)
    }
    let whole = try losses(imported.path, Self.options(optimizer), 4).1
    let (first, start) = try losses(imported.path, Self.options(optimizer), 2)
    let (kiln, keras) = (imported.folder + "/half.kiln", imported.folder + "/half.keras")
    try first.save(to: kiln)
    try ModelExport.export(kiln, to: keras)
    let again = try Imported(keras)
    // The file's own optimizer with its state.
    var plain = FineTuning.Options()
    plain.threads = 2
    let (second, rest) = try losses(again.path, plain, 2)
    #expect(second.stateProblem == nil)
    for (got, wanted) in zip(start + rest, whole) { #expect(abs(got - wanted) <= 1e-6 * abs(wanted), "\(start + rest), \(whole)") }
  }
}

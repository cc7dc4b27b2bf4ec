import Foundation
import Kiln
import KilnImport
import ModelFormats
import TensorModule
import Testing
import Training

/// Models that other frameworks compiled and trained, trained on from what their files hold.
@Suite struct CompiledTrainingTests {
  private static let folder = "\(FixtureCase.root)/fixtures/training"

  private static func json(_ path: String) throws -> JSON {
    try JSON.parse(String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8))
  }

  private static func options() -> FineTuning.Options {
    var options = FineTuning.Options()
    options.threads = 2
    return options
  }

  /// Trains in batches of 8 in the order of the data.
  private static func epochs(_ count: Int, of model: String, _ data: String) throws -> (tuning: FineTuning, reports: [[MetricValue]]) {
    let imported = try TrainingParityTests.Imported("\(folder)/\(model)")
    let tuning = try FineTuning(contentsOf: imported.path, options: options())
    let store = try SampleStore.load("\(folder)/\(data)", for: tuning.form)
    var settings = DataSource.Settings()
    (settings.batchSize, settings.isShuffled) = (8, false)
    var reports: [[MetricValue]] = []
    try tuning.trainer.fit(try DataSource(store, settings: settings), epochs: count, onEpoch: {
      reports.append($0.training)
      return true
    })
    return (tuning, reports)
  }

  static let states = (try? json("optimizers/losses.json"))?.objectValue?.entries.map(\.key) ?? []

  @Test func thereAreStatesOfAllGenerations() {
    for part in ["keras-1", "keras-3", "tf-2.13", "tf-legacy"] { #expect(Self.states.contains { $0.hasPrefix(part) }, "none of \(part)") }
  }

  /// Two epochs after the three steps that the file's optimizer has taken (`scripts/fixtures/optimizer_states.py`).
  @Test(arguments: states)
  func goesOnFromTheOptimizersState(_ name: String) throws {
    let losses = try #require(try Self.json("optimizers/losses.json")[name]?.arrayValue?.compactMap(\.doubleValue))
    let (tuning, reports) = try Self.epochs(2, of: "optimizers/\(name)", "optimizers/data.npz")
    #expect(tuning.stateProblem == nil)
    // Keras 1 reads its counter and its weights while it changes them, in no fixed order.
    let tolerance = name.hasPrefix("keras-1") ? 2e-2 : 2e-5
    for (epoch, report) in reports.enumerated() {
      let wanted = losses[epoch * 3..<epoch * 3 + 3].reduce(0, +) / 3
      let found = try #require(report.first { $0.name == "loss" }).value
      #expect(abs(found - wanted) <= tolerance * wanted, "epoch \(epoch): \(found) for \(wanted)")
    }
  }

  static let compiled = (try? json("compiled/logs.json"))?.objectValue?.entries.map(\.key) ?? []

  /// Losses and metrics of epochs as Keras logs them: masks, weights of samples and steps, outputs, penalties, kept states
  /// (`scripts/fixtures/train_logs.py`).
  @Test(arguments: compiled)
  func logsWhatKerasLogs(_ name: String) throws {
    let wanted = try #require(try Self.json("compiled/logs.json")[name]?.objectValue)
    let (_, reports) = try Self.epochs(3, of: "compiled/\(name).keras", "compiled/\(name).npz")
    for (epoch, report) in reports.enumerated() {
      #expect(Set(report.map(\.name)) == Set(wanted.entries.map(\.key)))
      for metric in report {
        guard let value = wanted[metric.name]?[epoch]?.doubleValue else { continue }
        #expect(abs(metric.value - value) <= 2e-5 * max(abs(value), 1e-3), "\(metric.name) in epoch \(epoch): \(metric.value) for \(value)")
      }
    }
  }

  /// What one Keras keeps comes back from a file of another kind, in its order.
  @Test(arguments: ["keras-3.15.1_adam_schedule.h5", "keras-3.15.1_adafactor.keras", "keras-1.2.2_adam.h5"])
  func writesTheStateInKerasOrder(_ name: String) throws {
    let source = try ModelImporter.read(path: "\(Self.folder)/optimizers/\(name)")
    let kept = try #require(source.training?.variables)
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try KerasWriter.write(#require(source.document), optimizer: kept, as: .keras3Archive, to: "\(folder)/out.keras")
    let written = try #require(ModelImporter.read(path: "\(folder)/out.keras").training?.variables).map(\.tensor)
    if name.hasPrefix("keras-3") {
      // A schedule keeps no learning rate.
      #expect(written.map(\.shape) == kept.map(\.tensor.shape))
      #expect(written.map(\.doubles) == kept.map(\.tensor.doubles))
    } else {
      // Sorted by names there: a_second, norm (beta before gamma), out, z_first; all first moments, then all second ones.
      let first = kept.dropFirst().prefix(8).map(\.tensor.doubles)
      let second = kept.suffix(8).map(\.tensor.doubles)
      let order = [6, 7, 3, 2, 0, 1, 4, 5]
      #expect(written.dropFirst(2).map(\.doubles) == order.flatMap { [first[$0], second[$0]] })
      #expect(written[0].integers == [3] && written[0].dtype == .int64)
    }
  }

  private final class Diary: TrainingCallback {
    var lines: [String] = []
    func willBeginTraining() { lines.append("begin") }
    func willBeginEpoch(_ epoch: Int) { lines.append("epoch \(epoch)") }
    func didEndStep(_ report: StepReport) { lines.append("step \(report.step)") }
    func didEndEpoch(_ report: EpochReport) -> Bool {
      lines.append("end \(report.epoch)")
      return report.epoch < 1
    }
    func didEndTraining() { lines.append("done") }
  }

  @Test func callbacksFollowTraining() throws {
    let imported = try TrainingParityTests.Imported("\(Self.folder)/compiled/weighted.keras")
    let tuning = try FineTuning(contentsOf: imported.path, options: Self.options())
    let store = try SampleStore.load("\(Self.folder)/compiled/weighted.npz", for: tuning.form)
    let diary = Diary()
    tuning.trainer.callbacks = [diary]
    var settings = DataSource.Settings()
    settings.batchSize = 12
    try tuning.trainer.fit(try DataSource(store, settings: settings), epochs: 5)
    #expect(diary.lines == ["begin", "epoch 0", "step 0", "step 1", "end 0", "epoch 1", "step 0", "step 1", "end 1", "done"])
  }

  @Test func eventsComeAsTheyHappen() async throws {
    let imported = try TrainingParityTests.Imported("\(Self.folder)/compiled/weighted.keras")
    let tuning = try FineTuning(contentsOf: imported.path, options: Self.options())
    let store = try SampleStore.load("\(Self.folder)/compiled/weighted.npz", for: tuning.form)
    var settings = DataSource.Settings()
    settings.batchSize = 8
    let source = try DataSource(store, settings: settings)
    var (steps, epochs) = (0, 0)
    for try await event in tuning.trainer.events(source, epochs: 2) {
      switch event {
      case .step: steps += 1
      case .epoch: epochs += 1
      }
    }
    #expect(steps == 6 && epochs == 2)
    // Who stops listening ends it.
    for try await _ in tuning.trainer.events(source, epochs: 100_000) { break }
  }

  /// A loss of the caller's own is the built-in one of the same formula; the imported model holds it.
  @Test(arguments: ["mean(square(y_true - y_pred), axis=-1)", "lambda t, p: K.mean(K.square(p - t), axis=-1)"])
  func anExpressionIsALoss(_ expression: String) throws {
    func losses(_ text: String?) throws -> [Double] {
      let folder = try KerasWriterTests.folder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      var importing = ImportOptions()
      importing.isForTraining = true
      importing.lossExpression = text
      try ModelImport.importModel(at: "\(Self.folder)/compiled/weighted.keras", to: "\(folder)/m.kiln", options: importing)
      var options = Self.options()
      options.loss = text == nil ? try LossConfiguration("mse") : .imported
      options.metrics = []
      let tuning = try FineTuning(contentsOf: "\(folder)/m.kiln", options: options)
      let arrays = Dictionary(try NumPyFile.read(npz: "\(Self.folder)/compiled/weighted.npz").map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
      let labels = try #require(arrays["y"]).integers
      let rows = labels.flatMap { label in (0..<4).map { Float($0 == Int(label) ? 1 : 0) } }
      try NumPyFile.write(npz: [("x", try #require(arrays["x"])), ("y", try Tensor(rows, shape: [labels.count, 4]))], to: "\(folder)/data.npz")
      let store = try SampleStore.load("\(folder)/data.npz", for: tuning.form)
      var found: [Double] = []
      try tuning.trainer.fit(try DataSource(store), epochs: 3, onEpoch: {
        found.append($0.training[0].value)
        return true
      })
      return found
    }
    let (own, known) = (try losses(expression), try losses(nil))
    #expect(own.count == 3 && zip(own, known).allSatisfy { abs($0 - $1) < 1e-6 }, "\(own) for \(known)")
  }
}

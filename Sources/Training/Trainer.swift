import CKernels
import GraphModule
import InferenceRuntime
import TensorModule

/// Trains a model: takes batches from a source, moves the weights, reports.
///
///     let trainer = try Trainer(model, configuration: configuration)
///     try trainer.fit(data, validation: test, epochs: 5) { print($0.training) }
public final class Trainer {
  package let model: TrainingModel
  public let configuration: TrainingConfiguration
  package let engine: TrainingEngine
  /// The learning rate of each step; the optimizer's own without it.
  public var schedule: LearningRateSchedule?
  /// The optimizer's step at which the schedule begins: 0 for the file's own, which goes on where it was.
  package var scheduleStart = 0
  /// The rate that stands in the place of the schedule's, when something lowered it.
  public var learningRate: Double?
  var metrics: [[MetricState]]
  /// The losses of the present epoch so far.
  var running: RunningLoss
  /// Whether these and the metrics are from a checkpoint inside an epoch, so that the epoch goes on with them.
  var goesOnInEpoch = false
  /// Called with each batch that the model is evaluated on and its predictions, which the next step overwrites.
  package var onEvaluated: ((Batch, [Tensor?]) -> Void)?
  /// Who follows `fit`, told in this order.
  public var callbacks: [any TrainingCallback] = []
  /// Epochs done.
  public internal(set) var epoch = 0
  /// What training goes back to when a device is lost.
  var snapshot: TrainingCheckpoint?
  var snapshotTime = ContinuousClock.now

  /// - Parameters:
  ///   - trained: the variables that are trained, by place; nil takes those that the source trains.
  ///   - device: runs the steps where it can.
  /// - Throws: `KilnError` for what training does not support.
  package init(
    _ model: TrainingModel, configuration: TrainingConfiguration, trained: Set<Int>? = nil, device: (any DeviceBackend)? = nil
  ) throws {
    guard configuration.losses.contains(where: { $0 != nil }) else {
      throw KilnError(.usage, "the model was not compiled with a loss", hint: "--loss NAME")
    }
    let trained = trained ?? Set(model.variables.indices.filter { model.variables[$0].isTrainable })
    guard !trained.isEmpty else { throw KilnError(.usage, "no variable is trained", hint: "--unfreeze GLOB") }
    let trainedLayers = Set(trained.map { model.variables[$0].layer })
    // As in Keras a batch norm's statistics move while it is not frozen, with or without variables of its own.
    let moving = model.layers.filter { layer in
      guard layer.className == "BatchNormalization" else { return false }
      let own = model.variables.indices.filter { model.variables[$0].layer == layer.path && !model.variables[$0].name.hasPrefix("moving_") }
      return own.isEmpty ? layer.isTrainable : own.contains { trained.contains($0) }
    }
    for layer in model.layers {
      // Frozen layers drop out too; their regularizers do nothing.
      let problems = layer.unsupported.filter { trainedLayers.contains(layer.path) || $0.hasSuffix("dropout") || $0 == "activity_regularizer" }
      if let problem = problems.first { throw KilnError(.unsupportedModel, "\(problem) is not supported in training", at: [layer.path]) }
    }
    if let masked = moving.first(where: \.isMasked) {
      throw KilnError(.unsupportedModel, "a batch norm over masked steps is not supported in training", at: [masked.path], hint: "--freeze keeps its statistics")
    }
    var options = StepOptions(
      losses: configuration.losses, lossWeights: configuration.lossWeights, trained: trained, movingLayers: Set(moving.map(\.path)),
      seed: configuration.seed, givesPredictions: configuration.metrics.contains { !$0.isEmpty })
    (options.recomputes, options.precision) = (configuration.recomputes, configuration.precision)
    self.model = model
    self.configuration = configuration
    engine = try TrainingEngine(model, options, configuration.optimizer, threads: configuration.threads, device: device)
    metrics = configuration.metrics.map { $0.map { MetricState($0) } }
    running = RunningLoss(configuration.losses.count)
    if let json = configuration.optimizer.schedule { schedule = try LearningRateSchedule(keras: json) }
  }

  /// The learning rate of the next step.
  public var currentRate: Double {
    learningRate ?? schedule?.rate(engine.optimizer.updates - scheduleStart) ?? Double(engine.optimizer.learningRate)
  }

  // MARK: Epochs

  /// Trains for some epochs.
  ///
  /// - Parameters:
  ///   - epochs: how many in all; those that are done already count.
  ///   - onStep: called after each step; an error that it throws ends training.
  ///   - onEpoch: called after each epoch; false ends training. `callbacks` are told after these.
  public func fit(
    _ source: any BatchSource, validation: (any BatchSource)? = nil, epochs: Int, firstBatch: Int = 0,
    onStep: (StepReport) throws -> Void = { _ in }, onEpoch: (EpochReport) throws -> Bool = { _ in true }
  ) throws {
    var firstBatch = firstBatch
    for callback in callbacks { try callback.willBeginTraining() }
    while epoch < epochs {
      for callback in callbacks { try callback.willBeginEpoch(epoch) }
      let report: EpochReport
      do { report = try trainEpoch(source, validation, epochs, firstBatch, onStep) } catch let error as KilnError {
        guard engine.hasLostSteps, snapshot != nil else { throw error }
        firstBatch = try goBack()
        continue
      }
      firstBatch = 0
      epoch += 1
      var goesOn = try onEpoch(report)
      for callback in callbacks { if try !callback.didEndEpoch(report) { goesOn = false } }
      if !goesOn { break }
    }
    try engine.finish()
    for callback in callbacks { try callback.didEndTraining() }
  }

  private func trainEpoch(
    _ source: any BatchSource, _ validation: (any BatchSource)?, _ epochs: Int, _ firstBatch: Int, _ onStep: (StepReport) throws -> Void
  ) throws -> EpochReport {
    let start = ContinuousClock.now
    if !goesOnInEpoch {
      running = RunningLoss(configuration.losses.count)
      resetMetrics()
    }
    try takeSnapshot(batch: firstBatch)
    goesOnInEpoch = false
    var steps = firstBatch
    var rate = currentRate
    try source.beginEpoch(epoch, firstBatch: firstBatch)
    while let batch = try source.next() {
      rate = currentRate
      guard rate.isFinite, rate >= 0 else { throw KilnError(.failed, "the learning rate is \(rate) at step \(engine.stepNumber + 1)") }
      let prepared = try prepare(batch)
      let result = try train(prepared, rate, step: steps)
      running.add(result, batch.count)
      updateMetrics(result, prepared)
      steps += 1
      let report = StepReport(
        epoch: epoch, step: steps - 1, stepCount: source.batchCount, sampleCount: running.samples, metrics: values(running), learningRate: rate)
      try onStep(report)
      for callback in callbacks { try callback.didEndStep(report) }
      if snapshot != nil, ContinuousClock.now - snapshotTime > .seconds(60) { try takeSnapshot(batch: steps) }
    }
    try engine.settle()
    guard steps > 0 else {
      let skipped = source.skippedCount
      throw KilnError(.badInput, skipped == 0 ? "the training data have no samples" : "none of the \(skipped) samples of the training data can be read")
    }
    let duration = (ContinuousClock.now - start).components
    var report = EpochReport(
      epoch: epoch, epochCount: epochs, training: values(running), learningRate: rate, stepCount: steps, sampleCount: running.samples,
      skippedCount: source.skippedCount, seconds: Double(duration.seconds) + Double(duration.attoseconds) * 1e-18)
    if let validation { report.validation = try evaluate(validation) }
    return report
  }

  /// Takes a step; what is wrong with its numbers is said with the place and what is kept of the training.
  private func train(_ batch: StepBatch, _ rate: Double, step: Int) throws -> StepResult {
    do { return try engine.train(batch, rate: rate) } catch let error as StepDivergence {
      throw KilnError(.failed, "\(error.message), step \(step + 1) of epoch \(epoch + 1)", hint: "the learning rate may be too large; the last checkpoint stays as it is")
    }
  }

  /// The loss and metrics over a source.
  public func evaluate(_ source: any BatchSource) throws -> [MetricValue] {
    var running = RunningLoss(configuration.losses.count)
    resetMetrics()
    try source.beginEpoch(0, firstBatch: 0)
    while let batch = try source.next() {
      let prepared = try prepare(batch)
      let result = try engine.evaluate(prepared)
      running.add(result, batch.count)
      updateMetrics(result, prepared)
      onEvaluated?(batch, result.predictions)
    }
    return values(running)
  }

  // MARK: Metrics

  private func resetMetrics() {
    for index in metrics.indices { for place in metrics[index].indices { metrics[index][place].reset() } }
  }

  private func updateMetrics(_ result: StepResult, _ batch: StepBatch) {
    for (index, prediction) in result.predictions.enumerated() where !metrics[index].isEmpty {
      guard let prediction, let target = batch.targets[index] else { continue }
      let weights = batch.weights[index]?.doubles
      let mask = result.masks[index]?.doubles
      for place in metrics[index].indices {
        let metric = metrics[index][place].configuration
        let own = Self.weights(metric.isWeighted ? weights : nil, mask: metric.heedsMasks ? mask : nil)
        metrics[index][place].update(target: target, prediction: prediction, weights: own)
      }
    }
  }

  /// What rows count: by the weights of their samples or steps, and not at all where the mask leaves them out.
  private static func weights(_ weights: [Double]?, mask: [Double]?) -> [Double]? {
    guard let weights, let mask else { return weights ?? mask }
    guard !weights.isEmpty, !mask.isEmpty else { return weights }
    let count = max(weights.count, mask.count)
    return (0..<count).map { weights[$0 * weights.count / count] * mask[$0 * mask.count / count] }
  }

  /// The numbers under Keras's names: the loss, each output's loss and metrics with the output's name before it.
  private func values(_ running: RunningLoss) -> [MetricValue] {
    var list = [MetricValue(name: "loss", value: running.mean)]
    let names = model.outputs
    for (index, states) in metrics.enumerated() {
      if configuration.losses.count(where: { $0 != nil }) > 1, let own = running.mean(of: index) { list.append(MetricValue(name: "\(names[index])_loss", value: own)) }
    }
    // Unweighted ones first: what is weighted gets another name where it would have the same.
    var counts: [String: Int] = [:]
    for isWeighted in [false, true] {
      for (index, states) in metrics.enumerated() {
        for state in states where state.configuration.isWeighted == isWeighted {
          func full(_ name: String) -> String { names.count > 1 ? "\(names[index])_\(name)" : name }
          var name = full(state.configuration.name)
          if isWeighted, counts[name] != nil { name = full("weighted_\(state.configuration.name)") }
          let before = counts[name, default: 0]
          counts[name] = before + 1
          list.append(MetricValue(name: before == 0 ? name : "\(name)_\(before)", value: state.value))
        }
      }
    }
    return list
  }

  /// Means of losses, weighed by the samples of the batches as Keras does.
  struct RunningLoss {
    private var sum = 0.0
    private var own: [Double?]
    private var count = 0.0

    init(_ outputs: Int) { own = [Double?](repeating: nil, count: outputs) }

    mutating func add(_ result: StepResult, _ samples: Int) {
      sum += result.loss * Double(samples)
      count += Double(samples)
      for (index, loss) in result.outputLosses.enumerated() { if let loss { own[index] = (own[index] ?? 0) + loss * Double(samples) } }
    }

    var samples: Int { Int(count) }
    var mean: Double { count == 0 ? 0 : sum / count }
    func mean(of output: Int) -> Double? { own[output].map { $0 / Swift.max(count, 1) } }

    /// For a checkpoint.
    var json: JSON { .array([.double(sum), .double(count)] + own.map { $0.map(JSON.double) ?? .null }) }

    init?(_ json: JSON, _ outputs: Int) {
      guard let list = json.arrayValue, list.count == outputs + 2, let sum = list[0].doubleValue, let count = list[1].doubleValue, count >= 0,
        count < 0x1p53
      else { return nil }
      (self.sum, self.count, own) = (sum, count, list.dropFirst(2).map(\.doubleValue))
    }
  }
}

extension Trainer {
  /// The optimizer's state as Keras 3 keeps it.
  package func optimizerVariables(order: [Int?], shapes: [Shape]) throws -> [Tensor] {
    try engine.settle()
    return try engine.optimizer.kerasVariables(order: order, shapes: shapes)
  }

  /// Goes on from a state as Keras 3 keeps it.
  package func restoreOptimizer(_ variables: [Tensor], order: [Int?]) throws {
    try engine.settle(changing: true)
    try engine.optimizer.restore(kerasVariables: variables, order: order)
  }

  /// Lets a schedule begin with the next step.
  package func begin(_ schedule: LearningRateSchedule) { (self.schedule, scheduleStart) = (schedule, engine.optimizer.updates) }

  /// The trained variables as they are now, by their names in the graph.
  package func trainedVariables() throws -> [(name: String, tensor: Tensor)] {
    try engine.trained.map { (model.variables[$0].value, try engine.value($0)) }
  }

  /// Makes a number the optimizer's own learning rate.
  package func setRate(_ rate: Double) { engine.optimizer.learningRate = Float(rate) }

  /// Whether training uses another loss than a `compile_config` says.
  package func usesOtherLoss(than json: JSON?) -> Bool {
    guard let json, !json.isNull, let own = try? TrainingConfiguration(compile: .object(JSONObject([("loss", json)])), outputs: model.outputs) else { return true }
    return own.losses != configuration.losses
  }
}

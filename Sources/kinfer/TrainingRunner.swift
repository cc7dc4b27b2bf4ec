import CommandSupport
import Kiln
import TensorModule
import Training

/// Runs the epochs of `train`: shows progress, keeps checkpoints, ends early.
final class TrainingRunner {
  private let command: TrainCommand
  private let tuning: FineTuning
  private let source: DataSource
  private let validation: DataSource?
  private let checkpoints: CheckpointFolder?
  private let log: TrainingLog?
  private var stopping: EarlyStopping?
  /// Finds the best epoch where nothing ends training early.
  private var bestFinder: EarlyStopping
  private var plateau: ReduceOnPlateau?
  private var best: TrainingCheckpoint?
  private var mispredictions: MispredictionList?
  private var epochStart = ContinuousClock.now

  init(command: TrainCommand, tuning: FineTuning, source: DataSource, validation: DataSource?) throws {
    self.command = command
    self.tuning = tuning
    self.source = source
    self.validation = validation
    let run = try TrainingRun(command, tuning, source, validation)
    checkpoints = try command.checkpoint.map { try CheckpointFolder($0, run: run) }
    if let checkpoints, checkpoints.hasLast, !command.resume {
      guard command.force else {
        throw KilnError(.failed, "holds a checkpoint", at: [checkpoints.path], hint: "--resume goes on from it, --force begins anew")
      }
      checkpoints.clear()
    }
    let monitor = Monitor(validation == nil ? "loss" : "val_loss")
    stopping = command.earlyStopping.map { EarlyStopping(monitor: monitor, patience: $0) }
    bestFinder = EarlyStopping(monitor: monitor, patience: Int.max)
    if let text = command.choices.schedule {
      let option = try ScheduleOption(text)
      let rate = tuning.trainer.currentRate
      // The optimizer moves once for the batches whose gradients it gathers.
      let steps = (source.batchCount ?? 1) * command.epochs / max(1, tuning.trainer.configuration.optimizer.accumulationSteps ?? 1)
      tuning.trainer.begin(option.schedule(rate: rate, steps: steps))
      plateau = option.plateau(monitor: validation == nil ? "loss" : "val_loss")
    }
    let found = command.resume ? try checkpoints?.loadLast() : nil
    resumed = found
    log = try command.logDir.map { try TrainingLog(folder: $0, resumedAt: found?.epoch) }
    if found == nil { try log?.graph(tuning.trainer.graph) }
  }

  /// What training goes on from.
  private let resumed: TrainingCheckpoint?

  func run() throws {
    var firstBatch = 0
    if let resumed {
      try tuning.trainer.restore(resumed)
      firstBatch = resumed.batch
      if let state = resumed.state["early_stopping"] { try stopping?.restore(state) }
      if let state = resumed.state["best"] { try bestFinder.restore(state) }
      if let state = resumed.state["plateau"] { try plateau?.restore(state) }
      if stopping != nil { best = try checkpoints?.loadBest() }
    }
    if log != nil { watchMispredictions() }
    if stopping?.stoppedEpoch == nil { try fit(firstBatch) }
    if let best, stopping?.restoresBest == true { try tuning.trainer.restore(best, weightsOnly: true) }
  }

  private func fit(_ firstBatch: Int) throws {
    epochStart = ContinuousClock.now
    let resumed = firstBatch * source.batchSize
    let line = ProgressLine(epochCount: command.epochs, sampleCount: source.sampleCount, batchSize: source.batchSize)
    try Interruption.watching {
      try tuning.trainer.fit(
        source, validation: validation, epochs: command.epochs, firstBatch: firstBatch,
        onStep: { step in
          show(line, step, resumed)
          let isTurn = command.every.map { (step.step + 1) % $0 == 0 } ?? false
          if isTurn || Interruption.isPending { try checkpoints?.save(try checkpoint(batch: step.step + 1)) }
          try endIfInterrupted("step \(step.step + 1) of epoch \(step.epoch + 1)")
        },
        onEpoch: { report in
          let goesOn = try end(report)
          if goesOn { try endIfInterrupted("the end of epoch \(report.epoch + 1)") }
          return goesOn
        })
    }
  }

  private func endIfInterrupted(_ place: String) throws {
    guard Interruption.isPending else { return }
    ProgressBar.clear()
    throw KilnError(
      .failed, "training was interrupted at \(place)", hint: checkpoints.map { "--checkpoint \($0.path) --resume goes on from there" } ?? "--checkpoint keeps what was done")
  }

  /// Keeps the pictures that a model of one output is most wrong about.
  private func watchMispredictions() {
    let names = source.classNames
    mispredictions = MispredictionList(classNames: names)
    tuning.trainer.onEvaluated = { [weak self] batch, predictions in
      guard let self, predictions.count == 1, let scores = predictions[0], let targets = batch.targets.values.first, batch.targets.count == 1,
        batch.inputs.count == 1, let inputs = batch.inputs.values.first
      else { return }
      mispredictions?.add(inputs: inputs, targets: targets, scores: scores)
    }
  }

  /// What `--log-dir` gets of an epoch.
  private func write(_ report: EpochReport) throws {
    guard let log else { return }
    try log.epoch(report)
    try log.histograms(try tuning.trainer.movedVariables(), epoch: report.epoch)
    try log.histograms(try tuning.trainer.lastGradients(), suffix: "gradient", epoch: report.epoch)
    if let mispredictions { try log.mispredictions(mispredictions.found, epoch: report.epoch) }
    mispredictions = MispredictionList(classNames: source.classNames)
  }

  private func end(_ report: EpochReport) throws -> Bool {
    ProgressBar.clear()
    if command.format == .json { try Console.write(report.json.text() + "\n") } else { Console.note(report.text) }
    for error in source.skippedErrors.prefix(report.epoch == 0 ? 5 : 0) { Console.note("note: left out: \(error.line)") }
    if let plateau {
      var own = plateau
      let rate = own.update(value: own.monitor.value(report), rate: tuning.trainer.currentRate)
      if rate != tuning.trainer.currentRate { tuning.trainer.learningRate = rate }
      self.plateau = own
    }
    var goesOn = true
    let isBest = bestFinder.update(epoch: report.epoch, value: bestFinder.monitor.value(report)).isBest
    if var own = stopping {
      let decision = own.update(epoch: report.epoch, value: own.monitor.value(report))
      if decision.isBest { best = try tuning.trainer.checkpoint(batch: 0) }
      goesOn = !decision.stops
      stopping = own
    }
    // A log that cannot be written costs no checkpoint.
    let logged = Result { try write(report) }
    try checkpoints?.save(try checkpoint(batch: 0), isBest: isBest)
    try logged.get()
    epochStart = ContinuousClock.now
    return goesOn
  }

  private func checkpoint(batch: Int) throws -> TrainingCheckpoint {
    var state = JSONObject()
    state["best"] = bestFinder.state
    if let stopping { state["early_stopping"] = stopping.state }
    if let plateau { state["plateau"] = plateau.state }
    return try tuning.trainer.checkpoint(batch: batch, state: state)
  }

  private var lastDrawn = ContinuousClock.now

  private func show(_ line: ProgressLine, _ step: StepReport, _ resumed: Int) {
    guard Console.isInteractive, ContinuousClock.now - lastDrawn > .milliseconds(100) else { return }
    lastDrawn = ContinuousClock.now
    let passed = (ContinuousClock.now - epochStart).components
    let seconds = Double(passed.seconds) + Double(passed.attoseconds) * 1e-18
    ProgressBar.show(line.text(step, seconds: seconds, resumedSamples: resumed, width: Console.width ?? 80))
  }
}

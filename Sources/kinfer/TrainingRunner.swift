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
  private var plateau: ReduceOnPlateau?
  private var best: TrainingCheckpoint?
  private var epochStart = ContinuousClock.now

  init(command: TrainCommand, tuning: FineTuning, source: DataSource, validation: DataSource?) throws {
    self.command = command
    self.tuning = tuning
    self.source = source
    self.validation = validation
    let run = TrainingRun([
      ("--data", command.data.data), ("--batch-size", "\(source.batchSize)"), ("--seed", "\(command.choices.seed)"),
      ("--optimizer", tuning.trainer.configuration.optimizer.kind.rawValue), ("--threads", "\(command.choices.threads ?? 0)"),
    ])
    checkpoints = try command.checkpoint.map { try CheckpointFolder($0, run: run) }
    if let patience = command.earlyStopping {
      stopping = EarlyStopping(monitor: Monitor(validation == nil ? "loss" : "val_loss"), patience: patience)
    }
    if let text = command.choices.schedule {
      let option = try ScheduleOption(text)
      let rate = tuning.trainer.currentRate
      let steps = (source.batchCount ?? 1) * command.epochs
      tuning.trainer.schedule = option.schedule(rate: rate, steps: steps)
      plateau = option.plateau(monitor: validation == nil ? "loss" : "val_loss")
    }
    log = try command.logDir.map { try TrainingLog(folder: $0, resumedAt: nil) }
  }

  func run() throws {
    var firstBatch = 0
    if command.resume, let found = try checkpoints?.loadLast() {
      try tuning.trainer.restore(found)
      firstBatch = found.batch
      if let state = found.state["early_stopping"] { try stopping?.restore(state) }
      if let state = found.state["plateau"] { try plateau?.restore(state) }
    }
    epochStart = ContinuousClock.now
    let resumed = firstBatch * source.batchSize
    let line = ProgressLine(epochCount: command.epochs, sampleCount: source.sampleCount, batchSize: source.batchSize)
    try tuning.trainer.fit(
      source, validation: validation, epochs: command.epochs, firstBatch: firstBatch,
      onStep: { step in
        show(line, step, resumed)
        if Interruption.isPending { throw KilnError(.failed, "was interrupted") }
        guard let every = command.every, (step.step + 1) % every == 0 else { return }
        try checkpoints?.save(try checkpoint(batch: step.step + 1))
      }, onEpoch: { try end($0) })
    if let best, stopping?.restoresBest == true { try tuning.trainer.restore(best, weightsOnly: true) }
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
    var isBest = false
    if var own = stopping {
      let decision = own.update(epoch: report.epoch, value: own.monitor.value(report))
      isBest = decision.isBest
      if isBest { best = try tuning.trainer.checkpoint(batch: 0) }
      goesOn = !decision.stops
      stopping = own
    }
    try log?.epoch(report)
    try checkpoints?.save(try checkpoint(batch: 0, isEpochDone: true), isBest: isBest)
    epochStart = ContinuousClock.now
    return goesOn
  }

  private func checkpoint(batch: Int, isEpochDone: Bool = false) throws -> TrainingCheckpoint {
    var state = JSONObject()
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

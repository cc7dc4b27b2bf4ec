import Kiln
import Training

extension TrainingRun {
  /// What decides the numbers of a training: going on with anything else would give others.
  init(_ command: TrainCommand, _ tuning: FineTuning, _ source: DataSource, _ validation: DataSource?) throws {
    let (data, choices) = (command.data, command.choices)
    var settings: [(name: String, value: String)] = [
      ("the model", try tuning.trainer.fingerprint()), ("--data", data.data), ("--target", data.target ?? "none"),
      ("--image-size", data.imageSize.map { "\($0.height)x\($0.width)" } ?? "none"), ("--no-shuffle", "\(data.noShuffle)"), ("samples", "\(source.samples.count)"),
      ("validation samples", "\(validation?.samples.count ?? 0)"), ("--batch-size", "\(source.batchSize)"), ("--seed", "\(choices.seed)"),
      ("--threads", choices.threads.map(String.init) ?? "all"), ("--device", (try DeviceOptions.Choice.asked(choices.device) ?? .cpu).rawValue), ("--optimizer", tuning.trainer.configuration.optimizer.kind.rawValue),
      ("--learning-rate", choices.learningRate.map { "\($0)" } ?? "the file's"), ("--loss", choices.loss ?? "the file's"),
      ("--metrics", choices.metrics ?? "the file's"), ("--clip-norm", choices.clipNorm.map { "\($0)" } ?? "none"),
      ("--augment", data.augment ?? "none"), ("--class-weights", data.classWeights?.rawValue ?? "none"), ("--image-mode", data.imageMode.rawValue),
      ("--freeze", choices.freeze.joined(separator: ",")), ("--unfreeze", choices.unfreeze.joined(separator: ",")),
      ("--train-last", choices.trainLast.map(String.init) ?? "all"), ("--schedule", choices.schedule ?? "none"),
      ("--mixed-precision", choices.mixedPrecision.rawValue),
    ]
    // The schedules run over all epochs.
    if choices.schedule != nil { settings.append(("--epochs", "\(command.epochs)")) }
    self.init(settings)
  }
}

import ArgumentParser
import CommandSupport
import Kiln
import TensorModule
import Training

/// The data of `train`.
struct TrainDataOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The training data: .npz, .csv, .tfrecord, or a folder of pictures by class.", valueName: "data"))
  var data: String

  @Option(help: ArgumentHelp("Data to measure the model by after each epoch.", valueName: "data"))
  var validation: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("The share of the training data to measure by instead.", valueName: "share"))
  var validationSplit: Double?

  @Option(help: ArgumentHelp("The column or feature with the targets.", valueName: "name"))
  var target: String?

  @Option(parsing: .unconditional, help: "Samples in a step.")
  var batchSize = 32

  @Option(help: ArgumentHelp("Changes that pictures get: flip, crop, rotate, brightness, …, each with =AMOUNT.", valueName: "list"))
  var augment: String?

  @Option(help: ArgumentHelp("How the samples 0…255 of pictures are scaled: raw, unit, keras-*.", valueName: "mode"))
  var imageMode: ImageMode = .raw

  @Option(help: ArgumentHelp("What pictures are resized to when the model takes any size; 256x256 without it.", valueName: "HEIGHTxWIDTH"))
  var imageSize: PictureSize?

  @Option(help: ArgumentHelp("auto: each sample weighs as if all classes had as many.", valueName: "auto"))
  var classWeights: ClassWeights?

  @Flag(help: "An unreadable picture is an error; else it is left out and counted.")
  var strict = false

  @Flag(help: ArgumentHelp("Take the samples in their order.", visibility: .hidden))
  var noShuffle = false

  struct PictureSize: ExpressibleByArgument {
    let height: Int
    let width: Int

    init?(argument: String) {
      let parts = argument.split(separator: "x").map { Int($0) ?? 0 }
      guard parts.count == 2, parts.allSatisfy({ (1...65_536).contains($0) }) else { return nil }
      (height, width) = (parts[0], parts[1])
    }
  }

  enum ClassWeights: String, CaseIterable, ExpressibleByArgument { case auto }

  func validate() throws {
    if batchSize < 1 { throw ValidationError("--batch-size must be 1 or more, found \(batchSize)") }
    if validation != nil, validationSplit != nil { throw ValidationError("--validation and --validation-split exclude each other") }
  }

  /// The sources of training and validation.
  func sources(for form: DataForm, seed: UInt64, threads: Int?) throws -> (training: DataSource, validation: DataSource?) {
    let options = DataOptions(target: target, imageMode: imageMode, imageSize: imageSize.map { ($0.height, $0.width) })
    let store = try SampleStore.load(data, for: form, options: options)
    var settings = DataSource.Settings()
    (settings.batchSize, settings.seed, settings.isStrict) = (batchSize, seed, strict)
    settings.isShuffled = !noShuffle
    settings.hasBalancedClasses = classWeights == .auto
    if let augment { settings.augmentation = try Augmentation(augment) }
    if let threads { settings.threads = max(1, threads) }
    var plain = settings
    (plain.augmentation, plain.isShuffled, plain.hasBalancedClasses) = (nil, false, false)
    if let validationSplit {
      let (kept, held) = try store.split(validation: validationSplit, seed: seed)
      return (try DataSource(store, samples: kept, settings: settings), try DataSource(store, samples: held, settings: plain))
    }
    // The same classes in the same order, although some may have no sample to validate.
    var same = form
    same.classNames = store.classNames ?? form.classNames
    let other = try validation.map { try DataSource(try SampleStore.load($0, for: same, options: options), settings: plain) }
    return (try DataSource(store, settings: settings), other)
  }
}

/// How `train` trains.
struct TrainChoices: ParsableArguments {
  @Option(help: "sgd, adam, adamw, rmsprop, adagrad, adadelta, adamax, nadam, ftrl, lion, lamb, adafactor.")
  var optimizer: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("The size of steps.", valueName: "rate"))
  var learningRate: Double?

  @Option(help: ArgumentHelp("How it changes over the training: cosine, step, exponential, one-cycle, plateau.", valueName: "name"))
  var schedule: String?

  @Option(help: "The loss by its Keras name, or an expression of y_true and y_pred.")
  var loss: String?

  @Option(help: ArgumentHelp("Metrics by their Keras names.", valueName: "a,b"))
  var metrics: String?

  @Option(help: ArgumentHelp("Layers to leave as they are; repeatable.", valueName: "glob"))
  var freeze: [String] = []

  @Option(help: ArgumentHelp("Layers to train although the file freezes them; repeatable.", valueName: "glob"))
  var unfreeze: [String] = []

  @Option(parsing: .unconditional, help: ArgumentHelp("Train only the last layers that have weights.", valueName: "n"))
  var trainLast: Int?

  @Option(parsing: .unconditional, help: ArgumentHelp("Replace the output by one for so many classes.", valueName: "classes"))
  var newHead: Int?

  @Option(parsing: .unconditional, help: ArgumentHelp("The longest that all gradients together may be.", valueName: "length"))
  var clipNorm: Double?

  @Option(parsing: .unconditional, help: "Decides the order of samples, dropout and augmentation.")
  var seed = 0

  @Flag(help: "Compute activations again for the derivative instead of keeping them: less memory, more time.")
  var recompute = false

  @Option(help: ArgumentHelp("bf16: multiply numbers of bfloat16 and keep activations in it; variables stay in float32.", valueName: "bf16"))
  var mixedPrecision: TrainingPrecision = .float32

  @Option(parsing: .unconditional, help: ArgumentHelp("Processor threads; all cores without it.", valueName: "n"))
  var threads: Int?

  @Option(
    help: "Where steps run: cpu, gpu (all of them), or auto (on the GPU what it can, the rest on the processor). The processor, or what KILN_DEVICE says, without it.")
  var device: DeviceOptions.Choice?

  func validate() throws {
    if seed < 0 { throw ValidationError("--seed must be 0 or more, found \(seed)") }
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be 1…1024, found \(threads)") }
    if let newHead, !(1...1 << 20).contains(newHead) { throw ValidationError("--new-head must be 1 or more, found \(newHead)") }
    if let trainLast, trainLast < 1 { throw ValidationError("--train-last must be 1 or more, found \(trainLast)") }
    if let learningRate, !(learningRate.isFinite && learningRate > 0) {
      throw ValidationError("--learning-rate must be a number over 0, found \(learningRate)")
    }
    if let clipNorm, !(clipNorm.isFinite && clipNorm > 0) { throw ValidationError("--clip-norm must be a number over 0, found \(clipNorm)") }
  }

  /// The loss when it is an expression and no name.
  var lossExpression: String? { loss.flatMap { text in text.contains { "()+-*/[ ".contains($0) } ? text : nil } }

  func options() throws -> FineTuning.Options {
    var options = FineTuning.Options()
    options.optimizer = try optimizer.map { try OptimizerConfiguration($0) }
    options.learningRate = learningRate
    options.loss = try lossExpression != nil ? .imported : loss.map { try LossConfiguration($0) }
    options.metrics = try metrics.map { try $0.split(separator: ",").map { try MetricConfiguration(String($0)) } }
    options.clipNorm = clipNorm
    (options.freeze, options.unfreeze, options.trainLast) = (freeze, unfreeze, trainLast)
    (options.seed, options.threads, options.recomputes, options.precision) = (seed, threads, recompute, mixedPrecision)
    options.device = DeviceOptions(try DeviceOptions.Choice.asked(device) ?? .cpu) { Console.note($0) }
    return options
  }
}

extension TrainingPrecision: ExpressibleByArgument {}

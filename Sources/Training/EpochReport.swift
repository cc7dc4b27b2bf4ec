/// A measured number with its Keras name: `loss`, `accuracy`.
public struct MetricValue: Sendable, Hashable {
  public var name: String
  public var value: Double

  public init(name: String, value: Double) {
    self.name = name
    self.value = value
  }
}

/// What one epoch of training came to.
public struct EpochReport: Sendable {
  /// Counted from 0.
  public var epoch: Int
  /// How many epochs were asked for.
  public var epochCount: Int
  /// The loss, then the metrics, as means over the epoch's samples.
  public var training: [MetricValue]
  /// The same over the validation data, empty without any. Names have no prefix here; people see `val_loss`.
  public var validation: [MetricValue]
  /// What the last step used.
  public var learningRate: Double
  public var stepCount: Int
  public var sampleCount: Int
  /// Samples that could not be read.
  public var skippedCount: Int
  /// Time for the training part.
  public var seconds: Double

  public init(
    epoch: Int, epochCount: Int, training: [MetricValue], validation: [MetricValue] = [], learningRate: Double,
    stepCount: Int, sampleCount: Int, skippedCount: Int = 0, seconds: Double
  ) {
    self.epoch = epoch
    self.epochCount = epochCount
    self.training = training
    self.validation = validation
    self.learningRate = learningRate
    self.stepCount = stepCount
    self.sampleCount = sampleCount
    self.skippedCount = skippedCount
    self.seconds = seconds
  }
}

/// Where training is within an epoch, after each step.
public struct StepReport: Sendable {
  public var epoch: Int
  /// Counted from 0 within the epoch.
  public var step: Int
  /// How many steps the epoch has, when it is known.
  public var stepCount: Int?
  /// Samples of this epoch up to and with this step.
  public var sampleCount: Int
  /// Running means over the epoch so far.
  public var metrics: [MetricValue]
  public var learningRate: Double

  public init(
    epoch: Int, step: Int, stepCount: Int?, sampleCount: Int, metrics: [MetricValue], learningRate: Double
  ) {
    self.epoch = epoch
    self.step = step
    self.stepCount = stepCount
    self.sampleCount = sampleCount
    self.metrics = metrics
    self.learningRate = learningRate
  }
}

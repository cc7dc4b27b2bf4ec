import TensorModule

/// What a step computes in.
public enum TrainingPrecision: String, Sendable, CaseIterable {
  case float32 = "f32"
  /// Products of what was rounded to bfloat16, added up in float32; activations are kept in bfloat16. Variables, statistics, losses
  /// and the optimizer stay in float32.
  case bfloat16 = "bf16"

  /// What activations are rounded to.
  var dtype: DType? { self == .float32 ? nil : .bfloat16 }
}

/// How a model is trained: what Keras's `compile` takes.
public struct TrainingConfiguration: Sendable {
  public var optimizer: OptimizerConfiguration
  /// One for each output of the model, in order; nil for outputs without a loss.
  public var losses: [LossConfiguration?]
  public var lossWeights: [Double]
  /// For each output.
  public var metrics: [[MetricConfiguration]]
  /// Numbers dropout and noise.
  public var seed = 0
  public var threads: Int?
  /// Whether activations are computed again for the derivative instead of kept: less memory, more time, the same numbers.
  public var recomputes = false
  public var precision = TrainingPrecision.float32

  public init(
    optimizer: OptimizerConfiguration, losses: [LossConfiguration?], lossWeights: [Double]? = nil, metrics: [[MetricConfiguration]] = []
  ) {
    self.optimizer = optimizer
    self.losses = losses
    self.lossWeights = lossWeights ?? losses.map { _ in 1 }
    self.metrics = metrics.count == losses.count ? metrics : losses.map { _ in [] }
  }

  /// What a Keras file was compiled with.
  ///
  /// - Parameters:
  ///   - compile: the `compile_config`.
  ///   - outputs: the names of the model's outputs.
  /// - Throws: `KilnError` for what is not Keras's own.
  package init(compile: JSON, outputs: [String]) throws {
    let optimizer = try compile["optimizer"].flatMap { $0.isNull ? nil : try OptimizerConfiguration($0) } ?? OptimizerConfiguration("rmsprop")
    let losses = try Self.spread(compile["loss"] ?? .null, outputs).map { try $0.map { try LossConfiguration($0) } }
    self.init(optimizer: optimizer, losses: losses)
    let weights = Self.spread(compile["loss_weights"] ?? .null, outputs)
    lossWeights = weights.map { $0?.doubleValue ?? 1 }
    metrics = outputs.map { _ in [] }
    for key in ["metrics", "weighted_metrics"] {
      guard let json = compile[key], !json.isNull else { continue }
      let own = outputs.count == 1 && json.arrayValue?.contains(where: { $0.arrayValue != nil }) != true && json.objectValue == nil ? [json] : Self.spread(json, outputs)
      for (index, list) in own.enumerated() {
        for item in list?.arrayValue ?? list.map({ [$0] }) ?? [] where !item.isNull {
          var metric = try MetricConfiguration(item)
          metric.isWeighted = key == "weighted_metrics"
          metrics[index].append(metric)
        }
      }
    }
  }

  /// What belongs to each output of a value, a list, or an object by output.
  private static func spread(_ json: JSON, _ outputs: [String]) -> [JSON?] {
    if json.isNull { return outputs.map { _ in nil } }
    if let list = json.arrayValue { return outputs.indices.map { list.indices.contains($0) && !list[$0].isNull ? list[$0] : nil } }
    if json["class_name"] == nil, let object = json.objectValue { return outputs.map { name in object[name].flatMap { $0.isNull ? nil : $0 } } }
    return outputs.map { _ in json }
  }
}

import TensorModule

/// A loss as Keras names and configures it.
public struct LossConfiguration: Sendable, Hashable {
  public enum Reduction: String, Sendable, CaseIterable {
    case sumOverBatchSize = "sum_over_batch_size"
    case sum
    case meanWithSampleWeight = "mean_with_sample_weight"
  }

  /// Keras's function name: `mean_squared_error`.
  public var function: String
  public var reduction: Reduction = .sumOverBatchSize
  /// Options of the function: `from_logits`, `label_smoothing`, `delta`, `axis`, `ignore_class`, `alpha`, `gamma`.
  public var options: [String: Double] = [:]

  /// The graph of a loss of the caller's own, of `y_true` and `y_pred`, as text.
  package var graph: String?

  /// What stands for the function of a loss of the caller's own.
  package static let custom = "custom"

  /// A loss of the caller's own, which the imported model holds for its outputs (`ImportOptions.lossExpression`).
  public static let imported: LossConfiguration = {
    var loss = LossConfiguration(function: custom)
    loss.reduction = .sumOverBatchSize
    return loss
  }()

  private init(function: String) { self.function = function }

  /// - Parameter name: of Keras's function or class.
  /// - Throws: `KilnError` (`usage`) for a name that is not known.
  public init(_ name: String) throws {
    guard let function = Self.functions[name] ?? (Self.known.contains(name) ? name : nil) else {
      throw KilnError(.usage, "there is no loss \(KilnError.quoted(name))", hint: Self.known.sorted().joined(separator: ", "))
    }
    self.function = function
  }

  /// A loss of a `compile_config`: a name, or a class with its configuration.
  package init(_ json: JSON) throws {
    if let name = json.stringValue {
      try self.init(name)
      return
    }
    guard let name = json["class_name"]?.stringValue else {
      throw KilnError(.unsupportedModel, "the loss is \(json.kind), which is none of Keras's own")
    }
    // A function stands in the place of its name.
    if name == "function", let own = json["config"]?.stringValue ?? json["registered_name"]?.stringValue {
      try self.init(own)
      return
    }
    try self.init(name)
    for (key, value) in json["config"]?.objectValue?.entries ?? [] {
      if key == "reduction" {
        let text = value.stringValue ?? "none"
        guard let known = Reduction(rawValue: text == "mean" || text == "auto" ? "sum_over_batch_size" : text) else {
          throw KilnError(.unsupportedModel, "the loss's reduction is \(KilnError.quoted(text)), of which training has no single number")
        }
        reduction = known
      } else if let flag = value.boolValue { options[key] = flag ? 1 : 0 } else if let number = value.doubleValue { options[key] = number }
    }
  }

  /// Whether targets are class numbers.
  public var hasClassTargets: Bool { function == "sparse_categorical_crossentropy" }

  private static let known: Set = [
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "huber", "log_cosh",
    "hinge", "squared_hinge", "categorical_hinge", "poisson", "kl_divergence", "cosine_similarity", "binary_crossentropy",
    "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_focal_crossentropy", "categorical_focal_crossentropy", "dice",
    "tversky",
  ]

  private static let functions: [String: String] = [
    "mse": "mean_squared_error", "MSE": "mean_squared_error", "MeanSquaredError": "mean_squared_error",
    "mae": "mean_absolute_error", "MAE": "mean_absolute_error", "MeanAbsoluteError": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error", "MAPE": "mean_absolute_percentage_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "MSLE": "mean_squared_logarithmic_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Huber": "huber", "huber_loss": "huber", "LogCosh": "log_cosh", "logcosh": "log_cosh", "Hinge": "hinge", "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge", "Poisson": "poisson", "KLDivergence": "kl_divergence", "kld": "kl_divergence",
    "KLD": "kl_divergence", "kullback_leibler_divergence": "kl_divergence", "CosineSimilarity": "cosine_similarity",
    "BinaryCrossentropy": "binary_crossentropy", "bce": "binary_crossentropy", "BCE": "binary_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy", "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy", "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "Dice": "dice", "Tversky": "tversky",
  ]
}

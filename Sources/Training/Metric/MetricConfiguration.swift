import TensorModule

/// A metric as Keras names and configures it.
public struct MetricConfiguration: Sendable, Hashable {
  public enum Kind: String, Sendable, CaseIterable {
    case accuracy
    case binaryAccuracy = "binary_accuracy"
    case categoricalAccuracy = "categorical_accuracy"
    case sparseCategoricalAccuracy = "sparse_categorical_accuracy"
    case topKCategoricalAccuracy = "top_k_categorical_accuracy"
    case sparseTopKCategoricalAccuracy = "sparse_top_k_categorical_accuracy"
    case meanSquaredError = "mean_squared_error"
    case rootMeanSquaredError = "root_mean_squared_error"
    case meanAbsoluteError = "mean_absolute_error"
    case meanAbsolutePercentageError = "mean_absolute_percentage_error"
    case meanSquaredLogarithmicError = "mean_squared_logarithmic_error"
    case cosineSimilarity = "cosine_similarity"
    case binaryCrossentropy = "binary_crossentropy"
    case categoricalCrossentropy = "categorical_crossentropy"
    case sparseCategoricalCrossentropy = "sparse_categorical_crossentropy"
    case precision, recall
    case truePositives = "true_positives"
    case falsePositives = "false_positives"
    case trueNegatives = "true_negatives"
    case falseNegatives = "false_negatives"
    case auc
  }

  public var kind: Kind
  /// What reports call it.
  public var name: String
  /// `k`, `threshold`, `num_thresholds`.
  public var options: [String: Double] = [:]
  /// Whether samples count by their weights, as Keras's `weighted_metrics` do.
  public var isWeighted = false

  private static let functions: [String: Kind] = [
    "acc": .accuracy, "Accuracy": .accuracy, "BinaryAccuracy": .binaryAccuracy, "CategoricalAccuracy": .categoricalAccuracy,
    "SparseCategoricalAccuracy": .sparseCategoricalAccuracy, "TopKCategoricalAccuracy": .topKCategoricalAccuracy,
    "SparseTopKCategoricalAccuracy": .sparseTopKCategoricalAccuracy, "mse": .meanSquaredError, "MSE": .meanSquaredError,
    "MeanSquaredError": .meanSquaredError, "RootMeanSquaredError": .rootMeanSquaredError, "rmse": .rootMeanSquaredError,
    "mae": .meanAbsoluteError, "MAE": .meanAbsoluteError, "MeanAbsoluteError": .meanAbsoluteError, "mape": .meanAbsolutePercentageError,
    "MAPE": .meanAbsolutePercentageError, "MeanAbsolutePercentageError": .meanAbsolutePercentageError, "msle": .meanSquaredLogarithmicError,
    "MSLE": .meanSquaredLogarithmicError, "MeanSquaredLogarithmicError": .meanSquaredLogarithmicError, "CosineSimilarity": .cosineSimilarity,
    "BinaryCrossentropy": .binaryCrossentropy, "bce": .binaryCrossentropy, "CategoricalCrossentropy": .categoricalCrossentropy,
    "SparseCategoricalCrossentropy": .sparseCategoricalCrossentropy, "Precision": .precision, "Recall": .recall,
    "TruePositives": .truePositives, "FalsePositives": .falsePositives, "TrueNegatives": .trueNegatives, "FalseNegatives": .falseNegatives,
    "AUC": .auc,
  ]

  /// - Parameter name: of Keras's function or class.
  /// - Throws: `KilnError` (`usage`) for a name that is not known.
  public init(_ name: String) throws {
    guard let kind = Kind(rawValue: name) ?? Self.functions[name] else {
      throw KilnError(
        .usage, "there is no metric \(KilnError.quoted(name))", hint: Kind.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self.kind = kind
    // Keras keeps the name that it was given.
    self.name = name
  }

  /// A metric of a `compile_config`: a name, or a class with its configuration.
  package init(_ json: JSON) throws {
    if let name = json.stringValue {
      try self.init(name)
      return
    }
    guard let name = json["class_name"]?.stringValue else {
      throw KilnError(.unsupportedModel, "a metric is \(json.kind), which is none of Keras's own")
    }
    let config = json["config"]
    let isFunction = name == "function" || name == "MeanMetricWrapper"
    let function = isFunction ? config?.stringValue ?? config?["fn"]?.stringValue ?? config?["name"]?.stringValue ?? name : name
    try self.init(function)
    if !isFunction { self.name = kind.rawValue }
    if let own = config?["name"]?.stringValue { self.name = own }
    if let threshold = config?["thresholds"]?.doubleValue { options["threshold"] = threshold }
    for key in ["k", "threshold", "num_thresholds", "from_logits"] {
      if let value = config?[key] { options[key] = value.doubleValue ?? value.boolValue.map { $0 ? 1 : 0 } }
    }
    try refuseOthers(config)
  }

  /// - Throws: `KilnError` (`unsupportedModel`) for options that would give other numbers.
  private func refuseOthers(_ config: JSON?) throws {
    func refused(_ key: String) -> KilnError {
      KilnError(
        .unsupportedModel, "the metric \(KilnError.quoted(name)) has \(key) \(KilnError.escaped(config?[key]?.text() ?? "")), which is not supported",
        hint: "--metrics names others")
    }
    for key in ["k", "num_thresholds"] {
      if let number = options[key] { guard (1...65_536).contains(number), number == number.rounded() else { throw refused(key) } }
    }
    for key in ["top_k", "class_id", "label_weights", "thresholds"] {
      if let value = config?[key], !value.isNull, !(key == "thresholds" && value.doubleValue != nil) { throw refused(key) }
    }
    guard kind == .auc else { return }
    for (key, usual) in [("curve", "ROC"), ("summation_method", "interpolation")] {
      if let value = config?[key]?.stringValue, value != usual { throw refused(key) }
    }
    if config?["multi_label"]?.boolValue == true { throw refused("multi_label") }
  }

  /// Whether steps that a mask leaves out do not count: in Keras means of functions leave them out, counts do not.
  var heedsMasks: Bool {
    ![.precision, .recall, .truePositives, .falsePositives, .trueNegatives, .falseNegatives, .auc, .rootMeanSquaredError].contains(kind)
  }

  /// As Keras 3 writes it.
  package var json: JSON { .string(name) }
}

import TensorModule

/// Training configurations: `compile_config` of Keras 3 and `training_config` of `.h5` files.
enum KerasTraining {
  // MARK: To Keras 3

  /// A `training_config` of any Keras in the terms of Keras 3; nil when its optimizer or loss is not one of Keras's own.
  ///
  /// - Parameter notes: what is lost.
  static func modern(_ training: JSON, _ notes: inout [String]) -> JSON? {
    guard let optimizer = training["optimizer_config"].flatMap({ self.optimizer($0, &notes) }), let given = training["loss"], let loss = self.loss(given) else {
      notes.append("the training configuration is left out: its optimizer or loss is not one of Keras 3")
      return nil
    }
    var out = JSONObject([("optimizer", optimizer), ("loss", loss)])
    out["loss_weights"] = training["loss_weights"] ?? .null
    out["metrics"] = metrics(training["metrics"] ?? .null, &notes)
    out["weighted_metrics"] = metrics(training["weighted_metrics"] ?? .null, &notes)
    return .object(out)
  }

  /// The class of an optimizer that older files or a compile call by another name.
  static func optimizerClass(_ name: String) -> String {
    let known = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "Lion", "Lamb", "Adafactor"]
    return known.first { $0.lowercased() == name.lowercased() } ?? name
  }

  private static func optimizer(_ json: JSON, _ notes: inout [String]) -> JSON? {
    let json = withoutLossScale(json)
    guard let whole = json["class_name"]?.stringValue, let config = json["config"]?.objectValue else { return nil }
    // tf.keras 2.11 and later write `Custom>Adam`.
    let name = whole.hasPrefix("Custom>") ? String(whole.dropFirst("Custom>".count)) : whole
    let className = optimizerClass(name)
    guard let allowed = KerasArguments.optimizer(className, keras3: true) else { return nil }
    var out = JSONObject()
    for (key, value) in config.entries where !value.isNull {
      let key = key == "lr" ? "learning_rate" : key
      guard allowed.contains(key) else { continue }
      if value.objectValue != nil {
        guard key == "learning_rate", let schedule = schedule(value) else {
          notes.append("the optimizer's \(key) is left out")
          continue
        }
        out[key] = schedule
      } else {
        out[key] = value
      }
    }
    // `lr / (1 + decay · steps)`; Nadam's decay is another.
    if let decay = config["decay"]?.doubleValue, decay != 0, className != "Nadam" {
      if let rate = out["learning_rate"]?.doubleValue {
        out["learning_rate"] = object(
          "keras.optimizers.schedules", "InverseTimeDecay",
          JSONObject([
            ("initial_learning_rate", .double(rate)), ("decay_steps", .int(1)), ("decay_rate", .double(decay)), ("staircase", .bool(false)),
            ("name", .string("InverseTimeDecay")),
          ]))
      } else {
        notes.append("the optimizer's decay of the learning rate is left out")
      }
    }
    return object("keras.optimizers", className, out)
  }

  /// The optimizer that another one scales the loss for.
  static func withoutLossScale(_ optimizer: JSON) -> JSON {
    optimizer["class_name"]?.stringValue?.contains("LossScaleOptimizer") == true ? optimizer["config"]?["inner_optimizer"] ?? optimizer : optimizer
  }

  private static let schedules: Set = [
    "ExponentialDecay", "PiecewiseConstantDecay", "PolynomialDecay", "InverseTimeDecay", "CosineDecay", "CosineDecayRestarts",
  ]

  private static func schedule(_ json: JSON) -> JSON? {
    guard let name = json["class_name"]?.stringValue, schedules.contains(name), let config = json["config"]?.objectValue else { return nil }
    return object("keras.optimizers.schedules", name, config)
  }

  private static func object(_ module: String, _ className: String, _ config: JSONObject) -> JSON {
    .object(
      JSONObject([
        ("module", .string(module)), ("class_name", .string(className)), ("config", .object(config)), ("registered_name", .null),
      ]))
  }

  /// Losses and metrics of Keras 3 by the names that older ones gave them.
  private static let lossNames: Set = [
    "mse", "mean_squared_error", "mae", "mean_absolute_error", "mape", "mean_absolute_percentage_error", "msle", "mean_squared_logarithmic_error",
    "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "hinge", "squared_hinge", "categorical_hinge", "poisson",
    "kl_divergence", "cosine_similarity", "huber", "log_cosh",
  ]
  private static let renamed = [
    "kullback_leibler_divergence": "kl_divergence", "kld": "kl_divergence", "KLD": "kl_divergence", "cosine_proximity": "cosine_similarity", "logcosh": "log_cosh",
    "MSE": "mse", "MAE": "mae", "MAPE": "mape", "MSLE": "msle", "huber_loss": "huber",
  ]
  private static let lossClasses: Set = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy", "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError", "Hinge", "SquaredHinge", "CategoricalHinge", "Huber", "LogCosh", "Poisson", "KLDivergence", "CosineSimilarity",
  ]
  private static let lossOptions: Set = ["name", "from_logits", "label_smoothing", "axis", "delta", "ignore_class"]
  private static let metricNames = lossNames.union([
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy",
  ])

  private static func loss(_ json: JSON) -> JSON? {
    switch json {
    case .string(let text):
      let name = renamed[text] ?? text
      return lossNames.contains(name) ? .string(name) : nil
    case .array(let items):
      let found = items.compactMap { $0.isNull ? .null : loss($0) }
      return found.count == items.count ? .array(found) : nil
    case .object(let object):
      if let className = object["class_name"]?.stringValue {
        guard lossClasses.contains(className) else { return nil }
        var out = JSONObject()
        for (key, value) in object["config"]?.objectValue?.entries ?? [] where lossOptions.contains(key) { out[key] = value }
        return KerasTraining.object("keras.losses", className, out)
      }
      let found = object.entries.compactMap { entry in loss(entry.value).map { (entry.key, $0) } }
      return found.count == object.count ? .object(JSONObject(found)) : nil
    default: return nil
    }
  }

  /// The metrics that Keras 3 has under the same names.
  private static func metrics(_ json: JSON, _ notes: inout [String]) -> JSON {
    func metric(_ json: JSON) -> JSON? {
      if let text = json.stringValue {
        let name = renamed[text] ?? text
        return metricNames.contains(name) ? .string(name == "acc" ? "accuracy" : name) : nil
      }
      if let items = json.arrayValue { return .array(items.compactMap(metric)) }
      guard let object = json.objectValue else { return nil }
      if object["class_name"] != nil { return (object["config"]?["fn"] ?? object["config"]?["name"]).flatMap { $0.stringValue == nil ? nil : metric($0) } }
      return .object(JSONObject(object.entries.compactMap { entry in metric(entry.value).map { (entry.key, $0) } }))
    }
    if json.isNull { return json }
    // The one output's list stands in a list since tf.keras 2.
    let whole = json.arrayValue?.count == 1 && json[0]?.arrayValue != nil ? json[0] ?? json : json
    guard let found = metric(whole) else { return .null }
    if found.arrayValue?.count != whole.arrayValue?.count { notes.append("metrics that are not Keras 3's own are left out") }
    return found.arrayValue?.isEmpty == true ? .null : found
  }

  // MARK: To .h5 files

  /// A `compile_config` as the `training_config` of an `.h5` file.
  static func legacy(_ compile: JSON, keras3: Bool) -> JSON {
    var out = JSONObject()
    for key in ["loss", "metrics", "weighted_metrics"] { out[key] = spelled(plain(compile[key] ?? .null)) }
    out["loss_weights"] = compile["loss_weights"] ?? .null
    if let optimizer = compile["optimizer"], let name = optimizer["class_name"]?.stringValue, let config = optimizer["config"]?.objectValue {
      var values = JSONObject()
      let allowed = KerasArguments.optimizer(name, keras3: keras3)
      for (key, value) in config.entries where allowed?.contains(key) ?? true || key == "name" { values[key] = keras3 ? value : plain(value) }
      out["optimizer_config"] = .object(JSONObject([("class_name", .string(keras3 ? name : "Custom>\(name)")), ("config", .object(values))]))
    }
    return .object(out)
  }

  /// Keras 3 does not find short names when it reads an `.h5`.
  private static func spelled(_ json: JSON) -> JSON {
    switch json {
    case .string(let name):
      let long = [
        "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error", "msle": "mean_squared_logarithmic_error",
      ]
      return .string(long[name] ?? name)
    case .array(let items): return .array(items.map(spelled))
    case .object(let object) where object["class_name"] == nil: return .object(JSONObject(object.entries.map { ($0.key, spelled($0.value)) }))
    default: return json
    }
  }

  /// Objects without their modules.
  private static func plain(_ json: JSON) -> JSON {
    if let items = json.arrayValue { return .array(items.map(plain)) }
    guard let object = json.objectValue else { return json }
    var out = JSONObject()
    for (key, value) in object.entries where !["module", "registered_name", "build_config"].contains(key) { out[key] = plain(value) }
    return .object(out)
  }
}

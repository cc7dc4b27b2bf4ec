import TensorModule

/// Training configurations: `compile_config` of Keras 3 and `training_config` of `.h5` files.
enum KerasTraining {
  /// A `compile_config` as the `training_config` of an `.h5` file.
  static func legacy(_ compile: JSON, keras3: Bool) -> JSON {
    var out = JSONObject()
    for key in ["loss", "metrics", "weighted_metrics", "loss_weights"] { out[key] = compile[key] ?? .null }
    if let optimizer = compile["optimizer"], let name = optimizer["class_name"]?.stringValue, let config = optimizer["config"] {
      out["optimizer_config"] = .object(JSONObject([("class_name", .string(name)), ("config", config)]))
    }
    return .object(out)
  }
}

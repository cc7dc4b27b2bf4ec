import TensorModule

/// The options of a layer in the form of Keras 3.
enum ConfigUpgrade {
  /// Options that Keras 3 lacks and that mean nothing when predicting.
  private static let harmless: Set = [
    "batch_shape", "batch_input_shape", "input_shape", "input_dtype", "input_dim", "input_length", "batch_size", "build_config", "implementation",
    "consume_less", "unit_forget_bias", "ragged", "sparse", "fused", "virtual_batch_size", "adjustment", "mode", "groups", "momentum", "pool_function",
    "force_generator", "rng_type", "noise_shape", "kernel_initializer", "kernel_regularizer", "kernel_constraint", "robust_masking",
    "softmax_robust_masking", "output_shape", "output_mask", "use_cudnn", "standard_dtype", "dynamic", "time_major", "autocast", "data_format", "filters",
    "build_input_shape", "seed", "activity_regularizer", "reset_after", "recurrent_activation", "renorm", "renorm_clipping", "renorm_momentum",
    "has_input_shape", "name_scope", "weights", "stateful", "unroll", "trainable", "name", "dtype",
  ]

  static func config(_ values: JSONObject, _ className: String, _ layer: KerasLayer, _ upgrade: KerasUpgrade) -> JSONObject {
    let allowed = KerasArguments.layer(className, keras3: true) ?? []
    var out = JSONObject([("name", .string(layer.name)), ("trainable", .bool(layer.isTrainable))])
    if className.hasPrefix("SpatialDropout") || className == "Discretization" { out["trainable"] = nil }
    if let policy = policy(values["dtype"], className) { out["dtype"] = policy }
    for (key, value) in values.entries where !["name", "trainable", "dtype"].contains(key) {
      guard allowed.contains(key) else {
        if !harmless.contains(key), !value.isNull, value != .bool(false), !key.hasSuffix("_initializer"), !key.hasSuffix("_regularizer") {
          upgrade.note(layer, "the option \(KilnError.quoted(key)) is left out")
        }
        continue
      }
      if key.hasSuffix("_initializer") {
        if let found = initializer(value) { out[key] = found }
      } else if key.hasSuffix("_regularizer") {
        out[key] = regularizer(value)
      } else if key.hasSuffix("_constraint") {
        out[key] = constraint(value)
      } else {
        out[key] = value
      }
    }
    if let value = values["activity_regularizer"], !value.isNull, regularised.contains(className) { out["activity_regularizer"] = regularizer(value) }
    return out
  }

  /// Classes whose constructors take an `activity_regularizer`.
  private static let regularised: Set = [
    "Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv1D", "DepthwiseConv2D",
    "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "LSTM", "GRU", "Embedding", "EinsumDense", "MultiHeadAttention",
  ]

  /// The dtype policy; nil where the layer's default is to hold, as for layers that make integers.
  private static func policy(_ value: JSON?, _ className: String) -> JSON? {
    guard let name = value?.stringValue, ["float16", "float32", "float64", "bfloat16", "mixed_float16", "mixed_bfloat16"].contains(name) else { return nil }
    return WrittenModel.policy(name)
  }

  private static func object(_ module: String, _ className: String, _ config: JSONObject) -> JSON {
    .object(
      JSONObject([
        ("module", .string(module)), ("class_name", .string(className)), ("config", .object(config)), ("registered_name", .null),
      ]))
  }

  /// An initializer has no part in a model that has its weights: an unknown one gives way to the default.
  private static func initializer(_ value: JSON) -> JSON? {
    guard let className = value["class_name"]?.stringValue, let config = value["config"]?.objectValue,
      let allowed = KerasArguments.initializer(className, keras3: true)
    else { return nil }
    var out = JSONObject()
    for (key, value) in config.entries where allowed.contains(key) && value.objectValue == nil && value.arrayValue == nil { out[key] = value }
    if out["distribution"]?.stringValue == "normal" { out["distribution"] = .string("truncated_normal") }
    return object("keras.initializers", className, out)
  }

  private static func regularizer(_ value: JSON) -> JSON {
    // Keras 1 writes {"name": "L1L2Regularizer", "l1": …, "l2": …}.
    let config = value["config"] ?? value
    let (l1, l2) = (config["l1"]?.doubleValue ?? 0, config["l2"]?.doubleValue ?? 0)
    guard l1 != 0 || l2 != 0 else { return .null }
    return object("keras.regularizers", "L1L2", JSONObject([("l1", .double(l1)), ("l2", .double(l2))]))
  }

  private static func constraint(_ value: JSON) -> JSON {
    let names = ["max_norm": "MaxNorm", "MaxNorm": "MaxNorm", "NonNeg": "NonNeg", "UnitNorm": "UnitNorm", "MinMaxNorm": "MinMaxNorm"]
    let config = value["config"] ?? value
    guard let name = (value["class_name"] ?? value["name"])?.stringValue, let className = names[name] else { return .null }
    var out = JSONObject()
    let allowed: Set = className == "MaxNorm" ? ["max_value", "axis"] : className == "NonNeg" ? [] : className == "UnitNorm" ? ["axis"] : ["min_value", "max_value", "rate", "axis"]
    for (key, value) in config.objectValue?.entries ?? [] {
      let key = key == "m" ? "max_value" : key
      if allowed.contains(key) { out[key] = value }
    }
    return object("keras.constraints", className, out)
  }
}

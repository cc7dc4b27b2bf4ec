import TensorModule

/// One way in which configurations drifted between versions of Keras, and what brings an old one to today's form.
struct ConfigRewrite: Sendable {
  /// Class names that it is for; empty: every class.
  var classes: Set<String> = []
  var key: String
  /// Which versions write the old form.
  var versions: String
  /// Changes the configuration; called only when the key is there (or `whenAbsent`).
  var whenAbsent = false
  var rewrite: @Sendable (inout JSONObject, KerasDialect) -> Void

  /// Every known drift.
  static let all: [ConfigRewrite] = keras1 + [
    ConfigRewrite(key: "batch_input_shape", versions: "all before 3") { config, _ in
      config["batch_shape"] = config["batch_shape"] ?? config["batch_input_shape"]
      config["batch_input_shape"] = nil
    },
    ConfigRewrite(key: "dtype", versions: "objects since 2.4 (mixed precision) and 3.4") { config, _ in
      config["dtype"] = policyName(config["dtype"]).map { .string($0) }
    },
    ConfigRewrite(classes: ["LeakyReLU"], key: "alpha", versions: "all before 3") { config, _ in
      config["negative_slope"] = config["negative_slope"] ?? config["alpha"]
      config["alpha"] = nil
    },
    ConfigRewrite(
      classes: ["BatchNormalization", "LayerNormalization", "Softmax"], key: "axis",
      versions: "tf.keras 1.13 to 2.x write a list"
    ) { config, _ in
      if let list = config["axis"]?.arrayValue, list.count == 1 { config["axis"] = list.first }
    },
    ConfigRewrite(
      classes: ["LSTM", "GRU"], key: "recurrent_activation", versions: "default hard_sigmoid before 2.3, then sigmoid",
      whenAbsent: true
    ) { config, dialect in
      let old = dialect.generation < .keras3 && dialect.isBefore(2, 3) && !dialect.isTensorFlowKeras
      config["recurrent_activation"] = .string(old ? "hard_sigmoid" : "sigmoid")
    },
    ConfigRewrite(classes: ["GRU"], key: "reset_after", versions: "default false before tf.keras 2", whenAbsent: true) {
      config, dialect in
      config["reset_after"] = .bool(dialect.isKeras3)
    },
    ConfigRewrite(
      classes: ["Conv1D", "Conv2D", "Conv3D"], key: "groups", versions: "not written before 2.4", whenAbsent: true
    ) { config, _ in
      config["groups"] = .int(1)
    },
    ConfigRewrite(classes: ["LeakyReLU"], key: "negative_slope", versions: "default 0.3 in all", whenAbsent: true) {
      config, _ in
      config["negative_slope"] = .double(0.3)
    },
    // Flatten had no data_format before 2.2: elements stay in storage order.
    ConfigRewrite(classes: ["Flatten"], key: "data_format", versions: "not written before 2.1.3", whenAbsent: true) {
      config, _ in
      config["data_format"] = .string("channels_last")
    },
  ]

  /// The configuration of a layer in today's form.
  static func normalised(_ config: JSONObject, className: String, dialect: KerasDialect) -> JSONObject {
    var config = config
    for row in all where row.classes.isEmpty || row.classes.contains(className) {
      if (config[row.key] != nil) != row.whenAbsent { row.rewrite(&config, dialect) }
    }
    return config
  }

  /// Today's name of a class: `Model` is `Functional`, `Convolution2D` is `Conv2D`.
  static func currentClassName(_ name: String) -> String {
    if let current = renamedClasses[name] { return current }
    // Registered names of tf.keras 1.x carry a version.
    return name
  }

  private static let renamedClasses: [String: String] = [
    "Model": "Functional", "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "Convolution1D": "Conv1D", "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Convolution1DTranspose": "Conv1DTranspose", "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "Deconvolution2D": "Conv2DTranspose", "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D",
    "TimeDistributedDense": "Dense", "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "MaxPool1D": "MaxPooling1D", "MaxPool2D": "MaxPooling2D", "MaxPool3D": "MaxPooling3D",
    "AvgPool1D": "AveragePooling1D", "AvgPool2D": "AveragePooling2D", "AvgPool3D": "AveragePooling3D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D", "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D", "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "LSTMV1": "LSTM", "LSTMV2": "LSTM", "GRUV1": "GRU", "GRUV2": "GRU",
  ]

  /// The dtype or policy name in `dtype`, whatever its form.
  static func policyName(_ value: JSON?) -> String? {
    guard let value else { return nil }
    if let name = value.stringValue { return QuantizedPolicyName.split(name)?.source ?? name }
    // A map of policies by path: what holds for the layer itself.
    if value["config"]?["policy_map"] != nil {
      let own = value["config"]?["default_policy"] ?? .null
      return own.isNull ? "float32" : own["config"]?["policy_map"] == nil ? policyName(own) : nil
    }
    if let source = value["config"]?["source_name"]?.stringValue { return source }
    return value["config"]?["name"]?.stringValue
  }
}

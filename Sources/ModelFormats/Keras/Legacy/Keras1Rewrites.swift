import TensorModule

extension KerasDialect {
  /// Takes from a configuration of Keras 1 the order of axes that its layers agree on.
  ///
  /// - Returns: what is to be said of it: that it is assumed, when nothing tells.
  mutating func readImageFormat(_ config: JSON) -> String {
    var (first, last) = (0, 0)
    var wantsOne = false
    var stack = [config]
    while let json = stack.popLast() {
      if let items = json.arrayValue { stack += items }
      guard let object = json.objectValue else { continue }
      if let name = object["class_name"]?.stringValue, name.hasSuffix("2D") || name.hasSuffix("3D"),
        ["UpSampling", "ZeroPadding", "Cropping"].contains(where: name.hasPrefix)
      {
        wantsOne = true
      }
      if let text = object["dim_ordering"]?.stringValue { text == "th" ? (first += 1) : (last += 1) }
      for (_, value) in object.entries { stack.append(value) }
    }
    if first > 0 && last == 0 { imageFormat = .channelsFirst }
    if last > 0 && first == 0 { imageFormat = .channelsLast }
    guard wantsOne else { return "" }
    if let imageFormat { return "; dim_ordering of layers that do not write it is that of all others, \(imageFormat.rawValue)" }
    return "; dim_ordering is written by no layer, channels_last is assumed"
  }
}

extension ConfigRewrite {
  /// What Keras 2 renamed in configurations. They apply to files of Keras 1 alone.
  static let keras1: [ConfigRewrite] =
    [
      moved("bias", to: "use_bias"), moved("nb_filter", to: "filters"), moved("filter_length", to: "kernel_size"),
      moved("subsample", to: "strides"), moved("subsample_length", to: "strides"), moved("stride", to: "strides"),
      moved("pool_length", to: "pool_size"), moved("border_mode", to: "padding"),
      moved("atrous_rate", to: "dilation_rate"), moved("inner_activation", to: "recurrent_activation"),
      moved("output_dim", to: "units", ["Dense", "SimpleRNN", "LSTM", "GRU", "MaxoutDense"]),
      moved("length", to: "size", ["UpSampling1D"]),
      moved("input_dtype", to: "dtype", ["InputLayer"]),
      row("dim_ordering") { config in
        let isFirst = config["dim_ordering"]?.stringValue == "th"
        config["data_format"] = .string(isFirst ? "channels_first" : "channels_last")
        config["dim_ordering"] = nil
      },
      ConfigRewrite(
        classes: ["UpSampling2D", "UpSampling3D", "ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D"],
        key: "data_format", versions: "not written by Keras 1", whenAbsent: true
      ) { config, dialect in
        guard dialect.generation == .keras1, let format = dialect.imageFormat else { return }
        config["data_format"] = .string(format.rawValue)
      },
      row("nb_row") { config in join(&config, ["nb_row", "nb_col"]) },
      row("kernel_dim1") { config in join(&config, ["kernel_dim1", "kernel_dim2", "kernel_dim3"]) },
      row("padding", ["ZeroPadding1D", "ZeroPadding2D"]) { config in
        guard let value = config["padding"] else { return }
        func list(_ items: [JSON?]) -> JSON { .array(items.map { $0 ?? .int(0) }) }
        if value.objectValue != nil {
          config["padding"] =
            value["left_pad"] != nil && value["top_pad"] == nil || value["right_pad"] != nil && value["top_pad"] == nil
              && value["bottom_pad"] == nil
            ? list([value["left_pad"], value["right_pad"]])
            : .array([list([value["top_pad"], value["bottom_pad"]]), list([value["left_pad"], value["right_pad"]])])
        } else if let items = value.arrayValue, items.count == 4 {
          config["padding"] = .array([.array(Array(items[0..<2])), .array(Array(items[2..<4]))])
        }
      },
    ]
    + [
      "init", "inner_init", "forget_bias_init", "dropout_W", "dropout_U", "weights", "beta_init", "gamma_init",
      "dropout", "output_shape_type", "mode_type", "output_mask_type", "arguments", "alpha_init", "t_left_init",
      "a_left_init", "t_right_init", "a_right_init", "beta_init", "transform_bias",
    ].map { key in row(key) { $0[key] = nil } }

  private static func row(
    _ key: String, _ classes: Set<String> = [], _ change: @escaping @Sendable (inout JSONObject) -> Void
  ) -> ConfigRewrite {
    ConfigRewrite(classes: classes, key: key, versions: "Keras 1") { config, dialect in
      if dialect.generation == .keras1 { change(&config) }
    }
  }

  private static func moved(_ key: String, to new: String, _ classes: Set<String> = []) -> ConfigRewrite {
    row(key, classes) { config in
      config[new] = config[new] ?? config[key]
      config[key] = nil
    }
  }

  private static func join(_ config: inout JSONObject, _ keys: [String]) {
    config["kernel_size"] = .array(keys.map { config[$0] ?? .null })
    for key in keys { config[key] = nil }
  }
}

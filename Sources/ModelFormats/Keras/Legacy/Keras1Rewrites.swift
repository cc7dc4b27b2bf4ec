import TensorModule

extension KerasDialect {
  /// Takes from a configuration the order of axes that all its layers which write one agree on.
  ///
  /// - Returns: the orders that layers write.
  mutating func readImageFormat(_ config: JSON) -> Set<DataFormat> {
    var found: Set<DataFormat> = []
    var stack = [config]
    while let json = stack.popLast() {
      if let items = json.arrayValue { stack += items }
      guard let object = json.objectValue else { continue }
      if let text = object["dim_ordering"]?.stringValue { found.insert(text == "th" ? .channelsFirst : .channelsLast) }
      if let text = object["data_format"]?.stringValue, let format = DataFormat(rawValue: text) { found.insert(format) }
      for (_, value) in object.entries { stack.append(value) }
    }
    if found.count == 1 { imageFormat = found.first }
    return found
  }
}

extension LayerConfig {
  /// The order of axes of a layer for which Keras 1 does not write it.
  ///
  /// - Parameter isSymmetric: whether the layer does the same in either order.
  func imageFormat(rank: Int, isSymmetric: Bool) -> DataFormat {
    if rank > 1, dialect.generation == .keras1, !has("data_format"), dialect.imageFormat == nil, !isSymmetric {
      diagnostics.lacksImageFormat = true
      diagnostics.add(
        ImportProblem(
          kind: .unsupported, layer: path, className: className,
          message:
            "Keras 1 does not write the order of axes of this class, and nothing else in the file tells it: give "
            + "--data-format channels_first or --data-format channels_last", nearest: nil))
    }
    return choice("data_format", .channelsLast)
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
      ConfigRewrite(
        classes: [
          "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "SeparableConv2D", "DepthwiseConv2D", "MaxPooling2D",
          "MaxPooling3D", "AveragePooling2D", "AveragePooling3D", "GlobalMaxPooling2D", "GlobalAveragePooling2D",
        ], key: "data_format", versions: "written by all; lost in some files", whenAbsent: true
      ) { config, dialect in
        guard let format = dialect.imageFormat else { return }
        config["data_format"] = .string(format.rawValue)
      },
      row("nb_row") { config in join(&config, ["nb_row", "nb_col"]) },
      row("kernel_dim1") { config in join(&config, ["kernel_dim1", "kernel_dim2", "kernel_dim3"]) },
      ConfigRewrite(classes: ["ZeroPadding2D"], key: "padding", versions: "before 1.1.1 the first two numbers count") { config, dialect in
        guard dialect.generation == .keras1, dialect.isBefore(1, 1, 1), let items = config["padding"]?.arrayValue, items.count > 2
        else { return }
        config["padding"] = .array(Array(items.prefix(2)))
      },
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
      "dropout", "output_shape_type", "mode_type", "output_mask_type", "alpha_init", "t_left_init",
      "a_left_init", "t_right_init", "a_right_init", "beta_init", "transform_bias",
    ].map { key in row(key) { $0[key] = nil } }
    + [row("arguments", ["Merge"]) { $0["arguments"] = nil }]

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

import GraphModule
import TensorModule

/// A layer in the terms of Keras 3 with what stands before and after it.
struct UpgradedLayer {
  var before: [WrittenLayer] = []
  var main: WrittenLayer
  var after: [WrittenLayer] = []

  init(_ main: WrittenLayer) { self.main = main }

  var chain: [WrittenLayer] { before + [main] + after }
}

extension KerasUpgrade {
  func parts(_ layer: KerasLayer) -> UpgradedLayer {
    let className = ConfigRewrite.currentClassName(layer.className)
    if layer.reader is ReplacedLayer {
      problem(layer, "has a meaning here only, by --replace-layer")
      return UpgradedLayer(WrittenLayer("Identity", layer.name))
    }
    if layer.reader is FunctionNode || layer.reader is TensorFlowOp { return function(layer) }
    switch className {
    case "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D": return convolution(layer)
    case "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose": return transposedConvolution(layer)
    case "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D": return pooling(layer)
    case "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
      "GlobalAveragePooling3D", "UpSampling2D", "UpSampling3D", "ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D":
      return image(layer)
    case "SimpleRNN", "LSTM", "GRU": return recurrent(layer)
    case "CuDNNLSTM", "CuDNNGRU": return cuDNN(layer)
    case "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D": return convLSTM(layer)
    case "RNN": return cells(layer)
    case "Bidirectional": return bidirectional(layer)
    case "TimeDistributed", "SpectralNormalization": return wrapper(layer)
    case "BatchNormalization": return batchNormalization(layer)
    case "Merge": return merge(layer)
    case "Highway": return highway(layer)
    case "MaxoutDense": return maxoutDense(layer)
    case "SReLU": return sReLU(layer)
    case "ParametricSoftplus": return parametricSoftplus(layer)
    case "LocallyConnected1D", "LocallyConnected2D": return locallyConnected(layer)
    case "ThresholdedReLU":
      return UpgradedLayer(plain(layer, "ReLU") { $0["threshold"] = $0["theta"] ?? .double(1) })
    case "PReLU":
      return UpgradedLayer(
        plain(layer) { config in
          guard config["shared_axes"] == nil || self.dialect.generation == .keras1, let shape = layer.stored["alpha"]?.shape else { return }
          let shared = shape.indices.filter { shape[$0] == 1 && layer.inputTypes.first?.dims[min($0 + 1, (layer.inputTypes.first?.rank ?? 1) - 1)].fixed != 1 }
          config["shared_axes"] = shared.isEmpty ? .null : .array(shared.map { .int($0 + 1) })
        })
    case "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "AlphaDropout", "GaussianNoise":
      // Keras 1 has p and sigma.
      return UpgradedLayer(
        plain(layer) { config in
          config["rate"] = config["rate"] ?? config["p"] ?? .double(0)
          config["stddev"] = config["stddev"] ?? config["sigma"]
          (config["p"], config["sigma"]) = (nil, nil)
          // The shape of the noise matters when training only, and can hold the size of a batch.
          if let shape = config["noise_shape"], shape.arrayValue == nil { config["noise_shape"] = nil }
        })
    case "Activation": return activation(layer)
    case "Dense", "EinsumDense": return withActivation(layer, plain(layer))
    case "StringLookup", "IntegerLookup", "TextVectorization", "Discretization", "CategoryEncoding", "Hashing", "HashedCrossing":
      return preprocessing(layer)
    case "Attention", "AdditiveAttention", "MultiHeadAttention":
      if layer.config.object["causal"]?.boolValue == true { problem(layer, "causal is an argument of the call in Keras 3, which this file does not have") }
      return UpgradedLayer(plain(layer))
    case "Normalization": return UpgradedLayer(normalization(layer))
    case "RandomCrop": problem(layer, "resizes in Keras 2 when predicting, and crops in Keras 3")
    case "RandomHeight", "RandomWidth": return UpgradedLayer(WrittenLayer("Identity", layer.name, JSONObject([("name", .string(layer.name))])))
    default: break
    }
    if KerasArguments.layer(className, keras3: true) == nil { problem(layer, "Keras 3 has no such layer") }
    return UpgradedLayer(plain(layer))
  }

  // MARK: Activations

  /// A layer of this model beside `layer`.
  func extra(_ className: String, _ layer: KerasLayer, _ suffix: String, _ options: [(String, JSON)]) -> WrittenLayer {
    let name = layer.name + suffix
    let made = WrittenLayer(className, name, JSONObject([("name", .string(name))] + options))
    if layer.dtype == .float64 { made.config["dtype"] = WrittenModel.policy("float64") }
    return made
  }

  /// Keras 2's hard_sigmoid, clip(0.2 x + 0.5, 0, 1); that of Keras 3 is another.
  func hardSigmoid(_ layer: KerasLayer) -> [WrittenLayer] {
    note(layer, "hard_sigmoid of Keras 2 is written as Rescaling and ReLU, since that of Keras 3 is another function")
    return [
      extra("Rescaling", layer, "_rescaling", [("scale", .double(0.2)), ("offset", .double(0.5))]),
      extra("ReLU", layer, "_clip", [("max_value", .double(1))]),
    ]
  }

  /// The name of an activation as Keras 3 has it; nil when it stands for a layer.
  func activationName(_ value: JSON?) -> String? {
    guard let value, !value.isNull else { return "linear" }
    var name = value.stringValue
    if name == nil, let className = value["class_name"]?.stringValue {
      name = className == "function" || className == "builtin_function_or_method"
        ? value["config"]?.stringValue ?? value["registered_name"]?.stringValue
        : value["config"]?.objectValue == nil || !LayerCatalog.isKnown(className) ? className : nil
    }
    let renamed = ["swish": "silu", "softmax_v2": "softmax", "log_softmax_v2": "log_softmax", "exp": "exponential", "identity": "linear"]
    return name.map { renamed[$0] ?? $0 }
  }

  /// Puts a layer's activation in its options where Keras 3 has it, else after it.
  func withActivation(_ layer: KerasLayer, _ main: WrittenLayer) -> UpgradedLayer {
    var parts = UpgradedLayer(main)
    let value = layer.config.object["activation"]
    guard let name = activationName(value) else {
      main.config["activation"] = .string("linear")
      parts.after = activationLayer(layer, value)
      return parts
    }
    if name == "hard_sigmoid" {
      main.config["activation"] = .string("linear")
      parts.after = hardSigmoid(layer)
    } else {
      main.config["activation"] = .string(name)
    }
    return parts
  }

  /// A layer object that stands for a function.
  private func activationLayer(_ layer: KerasLayer, _ value: JSON?) -> [WrittenLayer] {
    guard let value, let className = value["class_name"]?.stringValue, let values = value["config"]?.objectValue,
      KerasArguments.layer(ConfigRewrite.currentClassName(className), keras3: true) != nil
    else {
      problem(layer, "its activation is not known to Keras 3")
      return []
    }
    let current = ConfigRewrite.currentClassName(className)
    var options = ConfigRewrite.normalised(values, className: current, dialect: dialect)
    options["name"] = nil
    let made = extra(current, layer, "_activation", [])
    for (key, option) in ConfigUpgrade.config(options, current, layer, self).entries where key != "name" { made.config[key] = option }
    return [made]
  }

  private func activation(_ layer: KerasLayer) -> UpgradedLayer {
    let value = layer.config.object["activation"]
    guard let name = activationName(value) else {
      var parts = activationLayer(layer, value)
      guard !parts.isEmpty else { return UpgradedLayer(WrittenLayer("Identity", layer.name)) }
      let first = parts.removeFirst()
      first.name = layer.name
      first.config["name"] = .string(layer.name)
      return UpgradedLayer(first)
    }
    guard name == "hard_sigmoid" else { return UpgradedLayer(plain(layer) { $0["activation"] = .string(name) }) }
    var chain = hardSigmoid(layer)
    let last = chain.removeLast()
    last.name = layer.name
    last.config["name"] = .string(layer.name)
    var parts = UpgradedLayer(last)
    parts.before = chain
    return parts
  }

  // MARK: Others

  /// Masks that TimeDistributed and SpectralNormalization pass are the same where there is but one layer inside.
  private func wrapper(_ layer: KerasLayer) -> UpgradedLayer {
    let made = plain(layer)
    if layer.reader is SpectralNormalization, layer.inputTypes.contains(where: { $0.dtype.isInteger }) {
      problem(layer, "gives integers for integers in Keras 3, whatever the layer inside makes of them")
    }
    if let child = layer.reader.children.first { made.children = [("layer", "layer", inner(child))] }
    return UpgradedLayer(made)
  }

  private func normalization(_ layer: KerasLayer) -> WrittenLayer {
    let made = plain(layer)
    for key in ["mean", "variance"] {
      guard let value = made.config[key] else { continue }
      // Arrays of NumPy are lists here.
      made.config[key] = value["config"]?["value"] ?? value["value"] ?? value
    }
    return made
  }

  private func batchNormalization(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? BatchNormalization else { return UpgradedLayer(plain(layer)) }
    if reader.isBatchWise || reader.isSampleWise {
      problem(layer, "mode \(reader.isBatchWise ? 2 : 1) of Keras 1 normalises by the data that is predicted, which Keras 3 does not")
    }
    if reader.axes.count > 1 { problem(layer, "normalises over several axes, which Keras 3 does not") }
    let made = plain(layer) { config in
      config["renorm"] = nil
      if let axis = reader.axes.first { config["axis"] = .int(axis) }
      config["epsilon"] = .double(reader.epsilon)
    }
    if reader.addsToDeviation || reader.addsToRoot, let stored = made.stored["moving_variance"] {
      let (epsilon, isVariance) = (reader.epsilon, reader.addsToRoot)
      made.stored["moving_variance"] = stored.mapped { tensor in
        let values = tensor.doubles.map { value in
          let sum = (isVariance ? value.squareRoot() : value) + epsilon
          return sum * sum - epsilon
        }
        return try Tensor(converting: values, to: tensor.dtype, shape: tensor.shape)
      }
    }
    return UpgradedLayer(made)
  }

  /// Layers over text and categories: a vocabulary of the archive goes in the configuration.
  private func preprocessing(_ layer: KerasLayer) -> UpgradedLayer {
    let made = plain(layer) { config in
      // The old name of tf.keras 2.4.
      if layer.className == "CategoryEncoding" { config["num_tokens"] = config["num_tokens"] ?? config["max_tokens"] }
    }
    // Their dtype is that of what they give in Keras 3, and has a default for each mode.
    made.config["dtype"] = nil
    if let reader = layer.reader as? HashingLayer { made.config["salt"] = reader.key.isEmpty ? .null : .array(reader.key.map { .int($0) }) }
    if layer.className == "Discretization", dialect.isBefore(2, 5) { problem(layer, "takes right boundaries in before Keras 2.5, and left ones since") }
    let allowed = KerasArguments.layer(made.className, keras3: true) ?? []
    for key in ["max_values", "oov_value", "mask_value", "bins"] where !allowed.contains(key) {
      if let value = layer.config.object[key], !value.isNull { problem(layer, "the option \(KilnError.quoted(key)) of older Keras is not written for Keras 3") }
    }
    if made.config["output_mode"]?.stringValue == "binary" { made.config["output_mode"] = .string("multi_hot") }
    if made.config["output_mode"]?.stringValue == "tf-idf" { made.config["output_mode"] = .string("tf_idf") }
    if KerasUpgrade.hasVocabulary.contains(made.className), (made.config["vocabulary"] ?? .null).isNull {
      do {
        if let text = try layer.assets.text("vocabulary.txt") {
          var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
          if lines.last == "" { lines.removeLast() }
          made.config["vocabulary"] = .array(lines.map { made.className == "IntegerLookup" ? Int($0).map { .int($0) } ?? .null : .string($0) })
        }
      } catch { problem(layer, "its vocabulary cannot be read: \((error as? KilnError)?.message ?? "\(error)")") }
    }
    return UpgradedLayer(made)
  }

  private static let hasVocabulary: Set = ["StringLookup", "IntegerLookup", "TextVectorization"]
}

extension StoredWeight {
  /// The weight with other elements of the same shape.
  func mapped(_ change: @escaping (Tensor) throws -> Tensor) -> StoredWeight {
    let load = load
    return StoredWeight(path: path, dtype: dtype, shape: shape) { try change(load()) }
  }

  /// A weight that no file holds.
  static func made(_ path: String, _ shape: Shape, _ values: @escaping () throws -> [Double]) -> StoredWeight {
    StoredWeight(path: path, dtype: .float32, shape: shape) { try Tensor(converting: values(), to: .float32, shape: shape) }
  }
}

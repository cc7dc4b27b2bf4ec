import TensorModule

/// Every layer class that is read: one row per class.
enum LayerCatalog {
  typealias Maker = @Sendable (LayerConfig, KerasModelReader) -> any KerasLayerReader

  private static let usualRows: [String: Maker] = [
    // Core
    "InputLayer": { config, _ in InputReader(config) },
    "Dense": { Dense($0, $1) },
    "Activation": { ActivationLayer($0, $1) },
    "Embedding": { config, _ in Embedding(config) },
    "Masking": { config, _ in Masking(config) },
    "Lambda": { config, _ in lambda(config) },
    // Activations
    "ReLU": { config, _ in ScalarLayer.relu(config) },
    "LeakyReLU": { config, _ in ScalarLayer.leakyRelu(config) },
    "ELU": { config, _ in ScalarLayer.elu(config) },
    "ThresholdedReLU": { config, _ in ScalarLayer.thresholdedRelu(config) },
    "PReLU": { config, _ in PReLU(config) },
    "Softmax": { config, _ in SoftmaxLayer(config) },
    // Convolution
    "Conv1D": { ConvLayer($0, $1, rank: 1) },
    "Conv2D": { ConvLayer($0, $1, rank: 2) },
    "Conv3D": { ConvLayer($0, $1, rank: 3) },
    "Conv1DTranspose": { ConvTransposeLayer($0, $1, rank: 1) },
    "Conv2DTranspose": { ConvTransposeLayer($0, $1, rank: 2) },
    "Conv3DTranspose": { ConvTransposeLayer($0, $1, rank: 3) },
    "DepthwiseConv1D": { DepthwiseConvLayer($0, $1, rank: 1) },
    "DepthwiseConv2D": { DepthwiseConvLayer($0, $1, rank: 2) },
    "SeparableConv1D": { SeparableConvLayer($0, $1, rank: 1) },
    "SeparableConv2D": { SeparableConvLayer($0, $1, rank: 2) },
    // Pooling
    "MaxPooling1D": { config, _ in PoolLayer(config, .max, rank: 1) },
    "MaxPooling2D": { config, _ in PoolLayer(config, .max, rank: 2) },
    "MaxPooling3D": { config, _ in PoolLayer(config, .max, rank: 3) },
    "AveragePooling1D": { config, _ in PoolLayer(config, .average, rank: 1) },
    "AveragePooling2D": { config, _ in PoolLayer(config, .average, rank: 2) },
    "AveragePooling3D": { config, _ in PoolLayer(config, .average, rank: 3) },
    "GlobalMaxPooling1D": { config, _ in GlobalPoolLayer(config, .max, rank: 1) },
    "GlobalMaxPooling2D": { config, _ in GlobalPoolLayer(config, .max, rank: 2) },
    "GlobalMaxPooling3D": { config, _ in GlobalPoolLayer(config, .max, rank: 3) },
    "GlobalAveragePooling1D": { config, _ in GlobalPoolLayer(config, .mean, rank: 1) },
    "GlobalAveragePooling2D": { config, _ in GlobalPoolLayer(config, .mean, rank: 2) },
    "GlobalAveragePooling3D": { config, _ in GlobalPoolLayer(config, .mean, rank: 3) },
    // Shapes
    "ZeroPadding1D": { config, _ in ZeroPadding(config, rank: 1) },
    "ZeroPadding2D": { config, _ in ZeroPadding(config, rank: 2) },
    "ZeroPadding3D": { config, _ in ZeroPadding(config, rank: 3) },
    "Cropping1D": { config, _ in Cropping(config, rank: 1) },
    "Cropping2D": { config, _ in Cropping(config, rank: 2) },
    "Cropping3D": { config, _ in Cropping(config, rank: 3) },
    "UpSampling1D": { config, _ in UpSampling(config, rank: 1) },
    "UpSampling2D": { config, _ in UpSampling(config, rank: 2) },
    "UpSampling3D": { config, _ in UpSampling(config, rank: 3) },
    "Flatten": { config, _ in Flatten(config) },
    "Reshape": { config, _ in ReshapeLayer(config) },
    "Permute": { config, _ in Permute(config) },
    "RepeatVector": { config, _ in RepeatVector(config) },
    // Merging
    "Add": { config, _ in Merge(config, .add) },
    "Subtract": { config, _ in Merge(config, .subtract) },
    "Multiply": { config, _ in Merge(config, .multiply) },
    "Average": { config, _ in Merge(config, .average) },
    "Maximum": { config, _ in Merge(config, .maximum) },
    "Minimum": { config, _ in Merge(config, .minimum) },
    "Concatenate": { config, _ in Concatenate(config) },
    "Dot": { config, _ in Dot(config) },
    // Normalisation
    "BatchNormalization": { config, _ in BatchNormalization(config) },
    "LayerNormalization": { config, _ in LayerNormalization(config) },
    "Rescaling": { config, _ in Rescaling(config) },
    "Normalization": { config, _ in Normalization(config) },
    // Nothing when predicting
    "Dropout": { config, _ in NoiseLayer(config, .dropout) },
    "SpatialDropout1D": { config, _ in NoiseLayer(config, .dropout, spatialRank: 1) },
    "SpatialDropout2D": { config, _ in NoiseLayer(config, .dropout, spatialRank: 2) },
    "SpatialDropout3D": { config, _ in NoiseLayer(config, .dropout, spatialRank: 3) },
    "GaussianNoise": { config, _ in NoiseLayer(config, .gaussianNoise) },
    "GaussianDropout": { config, _ in NoiseLayer(config, .gaussianDropout) },
    "AlphaDropout": { config, _ in NoiseLayer(config, .alphaDropout) },
    "ActivityRegularization": { config, _ in IdentityLayer(config) },
    "Identity": { config, _ in IdentityLayer(config, masking: config.dialect.isKeras3 ? .passes : .drops) },
    // TensorFlow functions between layers
    "TFOpLambda": { config, _ in FunctionCatalog.lambda(config) },
    "SlicingOpLambda": { config, _ in FunctionCatalog.lambda(config) },
    "TensorFlowOpLayer": { config, _ in TensorFlowOp(config) ?? UnknownLayer() as any KerasLayerReader },
    // Keras 1
    "Merge": { config, _ in LegacyMerge(config) },
    "Highway": { Highway($0, $1) },
    "MaxoutDense": { config, _ in MaxoutDense(config) },
    "SReLU": { config, _ in SReLU(config) },
    "ParametricSoftplus": { config, _ in ParametricSoftplus(config) },
    // Recurrent
    "SimpleRNN": { RecurrentLayer($0, $1, .simple) },
    "LSTM": { RecurrentLayer($0, $1, .lstm) },
    "GRU": { RecurrentLayer($0, $1, .gru) },
    "Bidirectional": { Bidirectional($0, $1) },
    "TimeDistributed": { TimeDistributed($0, $1) },
  ]

  private static let rows: [String: Maker] = {
    var all = usualRows
    for more in [attentionRows, furtherRows, preprocessingRows] { all.merge(more) { first, _ in first } }
    return all
  }()

  /// The names of all classes, sorted.
  static let names = (Array(rows.keys) + ["Functional", "Sequential"]).sorted()

  static func isKnown(_ className: String) -> Bool { rows[ConfigRewrite.currentClassName(className)] != nil }

  /// The meaning of a class; an unknown one is noted as a problem.
  static func reader(_ className: String, _ config: LayerConfig, _ models: KerasModelReader) -> any KerasLayerReader {
    rows[className]?(config, models) ?? unknown(className, config)
  }

  static func unknown(_ className: String, _ config: LayerConfig) -> UnknownLayer {
    if let file = config.json("vocabulary")?.stringValue {
      config.malformed("vocabulary given as a path (\(KilnError.quoted(file))); only inline vocabularies are loaded")
    }
    config.diagnostics.add(
      ImportProblem(
        kind: .unsupported, layer: config.path, className: className,
        message: "class \(KilnError.quoted(className)) is not a known layer",
        nearest: Nearest.name(to: className, among: names.filter { $0 != "Lambda" })))
    return UnknownLayer()
  }

  /// How a caller gives a layer its meaning.
  private static func replacementHint(_ config: LayerConfig) -> String {
    "--replace-layer '\(KilnError.escaped(config.path))=x * 2' gives the layer a meaning"
  }

  private static func lambda(_ config: LayerConfig) -> UnknownLayer {
    config.diagnostics.add(
      ImportProblem(
        kind: .unsupported, layer: config.path, className: "Lambda",
        message: "Lambda layers hold Python code and are not loaded; \(replacementHint(config))", nearest: nil))
    return UnknownLayer()
  }
}

/// Stands for a layer that cannot be read; its problem is noted.
struct UnknownLayer: KerasLayerReader {
  func call(_ call: LayerCall) throws -> [KerasTensor] {
    throw KilnError(.unsupportedModel, "class \(KilnError.quoted(call.layer.className)) is not a known layer")
  }
}

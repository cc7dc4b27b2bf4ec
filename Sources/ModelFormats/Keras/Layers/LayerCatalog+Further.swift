extension LayerCatalog {
  /// Cells and convolutional recurrence, further normalisation, adaptive pooling, local convolutions.
  static let furtherRows: [String: Maker] = [
    "RNN": { CellLayers.reader($0, $1) },
    "CuDNNLSTM": { CuDNNLayer($0, $1, lstm: true) },
    "CuDNNGRU": { CuDNNLayer($0, $1, lstm: false) },
    "ConvLSTM1D": { ConvLSTMLayer($0, $1, rank: 1) },
    "ConvLSTM2D": { ConvLSTMLayer($0, $1, rank: 2) },
    "ConvLSTM3D": { ConvLSTMLayer($0, $1, rank: 3) },
    "UnitNormalization": { config, _ in UnitNormalization(config) },
    "GroupNormalization": { config, _ in GroupNormalization(config) },
    "RMSNormalization": { config, _ in RMSNormalization(config) },
    "SpectralNormalization": { SpectralNormalization($0, $1) },
    "AdaptiveAveragePooling1D": { config, _ in AdaptivePoolLayer(config, .average, rank: 1) },
    "AdaptiveAveragePooling2D": { config, _ in AdaptivePoolLayer(config, .average, rank: 2) },
    "AdaptiveAveragePooling3D": { config, _ in AdaptivePoolLayer(config, .average, rank: 3) },
    "AdaptiveMaxPooling1D": { config, _ in AdaptivePoolLayer(config, .max, rank: 1) },
    "AdaptiveMaxPooling2D": { config, _ in AdaptivePoolLayer(config, .max, rank: 2) },
    "AdaptiveMaxPooling3D": { config, _ in AdaptivePoolLayer(config, .max, rank: 3) },
    "LocallyConnected1D": { LocallyConnectedLayer($0, $1, rank: 1) },
    "LocallyConnected2D": { LocallyConnectedLayer($0, $1, rank: 2) },
  ]
}

extension LayerCatalog {
  /// Preprocessing of numbers, categories and text, and augmentation.
  static let preprocessingRows: [String: Maker] = {
    var rows: [String: Maker] = [
      "Discretization": { config, _ in Discretization(config) },
      "CategoryEncoding": { config, _ in CategoryEncoding(config) },
      "IntegerLookup": { config, _ in IndexLookup(config, isString: false) },
      "StringLookup": { config, _ in IndexLookup(config, isString: true) },
      "TextVectorization": { config, _ in TextVectorization(config) },
      "Hashing": { config, _ in HashingLayer(config) },
      "HashedCrossing": { config, _ in HashedCrossingLayer(config) },
      "Resizing": { config, _ in Resizing(config) },
      "CenterCrop": { config, _ in CenterCrop(config) },
      "AutoContrast": { config, _ in AutoContrast(config) },
      "ContrastLimitedAdaptiveHistogramEqualization": { config, _ in ContrastLimitedEqualization(config) },
      "Pipeline": { PipelineLayer($0, $1) },
      "MaxNumBoundingBoxes": { config, _ in Augmentation(config) },
      "MelSpectrogram": { config, _ in MelSpectrogram(config) },
      "STFTSpectrogram": { config, _ in STFTSpectrogram(config) },
      "RandomCrop": { config, _ in RandomCrop(config) },
    ]
    rows["DenseFeatures"] = { config, _ in
      config.diagnostics.add(
        ImportProblem(
          kind: .unsupported, layer: config.path, className: "DenseFeatures",
          message: "feature columns are Python objects that the file only names; they are not loaded",
          nearest: "StringLookup, Hashing, Discretization, CategoryEncoding"))
      config.ignore("feature_columns", "partitioner")
      return UnknownLayer()
    }
    for name in augmentations { rows[name] = { config, _ in Augmentation(config) } }
    return rows
  }()

  /// Layers that change images only when training.
  private static let augmentations = [
    "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomHeight", "RandomWidth",
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomColorDegeneration", "RandomColorJitter", "RandomElasticTransform", "RandomErasing",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomSaturation",
    "RandomSharpness", "RandomShear", "Solarization", "Equalization",
  ]
}

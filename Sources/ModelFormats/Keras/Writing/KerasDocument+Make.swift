import TensorModule

extension KerasDocument {
  /// The document of a model that was read, with its weights matched.
  ///
  /// - Throws: `KilnError` when an array or an asset cannot be read.
  static func make(
    _ model: KerasModel, _ source: KerasSource, _ config: JSON, _ builder: KerasGraphBuilder, _ training: ImportedTraining?
  ) throws -> KerasDocument {
    let dialect = builder.dialect
    var document = dialect.isKeras3 ? try keras3(model, config) : try KerasUpgrade.document(model, builder)
    document.maskedLayers = model.layers.flatMap(\.flattened).filter(\.isMasked).map(\.path)
    if dialect.isKeras3 {
      document.assets = try source.assets.all()
      if let training { document.addTraining(training) }
    }
    return document
  }

  /// The training state of Keras 3's own files.
  private mutating func addTraining(_ training: ImportedTraining) {
    if training.configuration["optimizer"] != nil {
      compileConfig = training.configuration
      let names = training.variables.map(\.name)
      if names == names.indices.map({ "optimizer/vars/\($0)" }) {
        optimizerVariables = names
      } else if !names.isEmpty {
        notes.append("the optimizer's state is kept in a way that is not written again; training begins with a fresh one")
      }
    } else {
      notes.append("the training configuration is left out")
    }
  }
}

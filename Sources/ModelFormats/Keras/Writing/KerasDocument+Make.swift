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
    }
    if let training { document.addTraining(training, dialect) }
    return document
  }

  /// The training configuration, and the optimizer's variables in the order of Keras 3: iteration, learning rate, then for each
  /// variable what the optimizer keeps of it.
  private mutating func addTraining(_ training: ImportedTraining, _ dialect: KerasDialect) {
    let names = training.variables.map(\.name)
    if training.configuration["optimizer"] != nil {
      compileConfig = training.configuration
      if names == names.indices.map({ "optimizer/vars/\($0)" }) { optimizerVariables = names }
    } else {
      compileConfig = KerasTraining.modern(training.configuration, &notes)
      if dialect.isKeras3 { optimizerVariables = names } else { optimizerVariables = legacyState(training) ?? [] }
    }
    if compileConfig != nil, !names.isEmpty, optimizerVariables.isEmpty {
      notes.append("the optimizer's state is left out; training begins with a fresh one")
    }
  }

  /// The state of Adam and of SGD with momentum of tf.keras; nil for others, and where the variables are no longer the same.
  private func legacyState(_ training: ImportedTraining) -> [String]? {
    guard let optimizer = compileConfig?["optimizer"], let rate = optimizer["config"]?["learning_rate"]?.doubleValue, notes.isEmpty,
      training.variables.first?.tensor.dtype == .int64, training.variables.first?.tensor.shape == []
    else { return nil }
    let trainable = variables.filter(\.isTrainable).map(\.tensor.shape)
    let kept = Array(training.variables.dropFirst())
    let names = kept.map(\.name)
    let slots: Int
    switch optimizer["class_name"]?.stringValue {
    case "Adam" where optimizer["config"]?["amsgrad"]?.boolValue != true: slots = 2
    case "SGD" where (optimizer["config"]?["momentum"]?.doubleValue ?? 0) > 0: slots = 1
    default: return nil
    }
    guard !trainable.isEmpty, kept.count == slots * trainable.count else { return nil }
    // All first moments, then all second ones before tf.keras 2.11; both of each variable since.
    let byVariable = kept.map(\.tensor.shape) == trainable.flatMap { [Shape](repeating: $0, count: slots) } && (slots == 1 || names[1].contains("/v/"))
    let byMoment = kept.map(\.tensor.shape) == (0..<slots).flatMap { _ in trainable }
    guard byVariable || byMoment else { return nil }
    let order = byVariable ? names : trainable.indices.flatMap { index in (0..<slots).map { names[$0 * trainable.count + index] } }
    return [training.variables[0].name, "\(KerasDocument.number)\(Float(rate))"] + order
  }

  /// What a number begins with that stands for a variable of the optimizer which the source does not keep.
  static let number = "number:"
}

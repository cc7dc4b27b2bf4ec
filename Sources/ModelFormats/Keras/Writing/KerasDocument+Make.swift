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

  /// The training configuration, and the optimizer's variables in the order of `OptimizerOrder.document`.
  private mutating func addTraining(_ training: ImportedTraining, _ dialect: KerasDialect) {
    if dialect.isKeras3, training.configuration["optimizer_config"] == nil {
      // Keras's own archives may lack the optimizer; it takes its default then.
      if (training.configuration.objectValue?.count ?? 0) > 0 { compileConfig = training.configuration }
    } else {
      // The archives of tf.keras say `optimizer` as Keras 3 does.
      var configuration = training.configuration.objectValue ?? JSONObject()
      if let optimizer = configuration["optimizer"] { configuration["optimizer_config"] = optimizer }
      compileConfig = KerasTraining.modern(.object(configuration), &notes)
    }
    if let optimizer = compileConfig?["optimizer"], KerasTraining.withoutLossScale(optimizer) != optimizer, var object = compileConfig?.objectValue {
      // Keras scales losses again where the model's policy asks for it.
      object["optimizer"] = KerasTraining.withoutLossScale(optimizer)
      compileConfig = .object(object)
    }
    guard compileConfig != nil, training.variables.count > 1 else { return }
    switch state(training, dialect) {
    case .success(let names): optimizerVariables = names
    // An optimizer that took no step has its counter and its rate.
    case .failure where training.variables.allSatisfy { $0.tensor.shape.isEmpty }: break
    case .failure(let reason): notes.append("the optimizer's state is left out, training begins with a fresh one: \(reason.text)")
    }
  }

  private struct Reason: Error { let text: String }

  private func state(_ training: ImportedTraining, _ dialect: KerasDialect) -> Result<[String], Reason> {
    let trained = variables.filter(\.isTrainable)
    guard let optimizer = compileConfig?["optimizer"], let order = OptimizerOrder(optimizer, variableCount: trained.count) else {
      return .failure(Reason(text: "the optimizer is not one that Kiln trains with"))
    }
    if let other = trained.first(where: { $0.sourceName == nil }) {
      return .failure(Reason(text: "\(KilnError.quoted("\(other.layer)/\(other.name)")) is laid out otherwise than in the file"))
    }
    let matcher = OptimizerMatcher(trained, Self.withoutLossScale(training.variables).map { ($0.name, $0.tensor.shape) })
    var stored = order
    // Up to 2.0.5 sorted by the names of the variables in the file.
    if dialect.isBefore(2, 0, 6), !dialect.isTensorFlowKeras {
      let names = trained.map { $0.sourceName?.split(separator: "/").suffix(dialect.generation == .keras1 ? 1 : 2).joined(separator: "/") ?? "" }
      stored.variables = trained.indices.sorted { names[$0].utf8.lexicographicallyPrecedes(names[$1].utf8) }
    }
    let orders = dialect.isKeras3 ? [dialect.isBefore(3, 10) ? stored.keras30 : stored.keras3] : [stored.tfKeras(trained.map(\.tensor.shape))] + stored.legacy
    guard let found = matcher.match(orders) else {
      return .failure(Reason(text: "its \(training.variables.count) variables are not those that \(order.className) keeps of \(trained.count) weights"))
    }
    let known = Dictionary(training.variables.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    let steps = found[OptimizerEntry(.iteration)].flatMap { known[$0]?.doubles.first } ?? 0
    var names: [String] = []
    for entry in order.document {
      if let name = found[entry] {
        names.append(name)
      } else if let number = missing(entry, optimizer, steps, trained.map(\.tensor.shape)) {
        names.append("\(KerasDocument.number)\(number)")
      } else {
        return .failure(Reason(text: "it lacks what \(order.className) of Keras 3 keeps"))
      }
    }
    return .success(names)
  }

  /// An optimizer that scales losses keeps its own numbers beside the variables of the one inside it.
  private static func withoutLossScale(_ variables: [(name: String, tensor: Tensor)]) -> [(name: String, tensor: Tensor)] {
    let inner = variables.filter { $0.name.contains("inner_optimizer/") }
    if !inner.isEmpty { return inner }
    let own: Set = ["step_counter", "dynamic_scale", "current_loss_scale", "good_steps"]
    func isOwn(_ name: String) -> Bool {
      name.hasPrefix("loss_scale_optimizer/") || own.contains(name.split(separator: "/").last?.split(separator: ":").first.map(String.init) ?? "")
    }
    return variables.filter { !($0.tensor.shape.isEmpty && isOwn($0.name)) }
  }

  /// A number that some Kerases do not keep, since it follows from others.
  private func missing(_ entry: OptimizerEntry, _ optimizer: JSON, _ steps: Double, _ shapes: [Shape]) -> Float? {
    let config = optimizer["config"]
    switch entry.kind {
    case .iteration: return 0
    case .learningRate:
      let rate = config?["learning_rate"]
      return Float(rate?.doubleValue ?? rate?["config"]?["initial_learning_rate"]?.doubleValue ?? 0)
    case .rowMeans, .columnMeans: return entry.shape(shapes) == [] ? 0 : nil
    case .momentumProduct:
      guard steps >= 0 else { return nil }
      let beta = config?["beta_1"]?.doubleValue ?? 0.9
      var (product, power) = (1.0, 1.0)
      // Behind so many steps it moves no more.
      for _ in 0..<Int(min(steps, 1e6)) where product > 0 {
        power *= 0.96
        product *= beta * (1 - 0.5 * power)
      }
      return Float(product)
    default: return nil
    }
  }

  /// What a number begins with that stands for a variable of the optimizer which the source does not keep.
  static let number = "number:"
}

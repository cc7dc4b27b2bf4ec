import TensorModule

/// What a source says of the backend and of the order of image axes, and what the caller says where it does not.
struct KerasOrigin {
  var dialect: KerasDialect
  /// How `SourceFacts` names the backend; empty when nothing tells.
  var backendName = ""
  /// What the facts rest on.
  var evidence: [String] = []
  /// The backend and the order of axes, each with its evidence.
  var facts: [SourceFact] = []
  /// Whether layers for which Keras 1 writes no order of axes can be told only by what fits.
  var lacksImageFormat = false

  /// - Throws: `KilnError`: `usage` when the caller says something else than the file, `unsupportedModel` for a backend
  ///   that nobody knows.
  init(_ source: KerasSource, _ options: ImportOptions) throws {
    dialect = source.dialect
    if dialect.isTensorFlowKeras, dialect.isBefore(2, 2, 5), case .groups(let groups, _) = try source.weights() {
      dialect.countsRenorm = groups.contains { $0.weights.contains { $0.path.hasSuffix("/renorm_mean_weight:0") } }
    }
    try findBackend(source, options.backend.flatMap { KerasBackend(rawValue: $0.rawValue) })
    try findImageFormat(source, options.dataFormat)
  }

  private mutating func findBackend(_ source: KerasSource, _ wanted: KerasBackend?) throws {
    func conflict(_ evidence: String) -> KilnError {
      KilnError(.usage, "--backend \(wanted?.rawValue ?? ""): the file says otherwise (\(evidence))")
    }
    if let name = source.backend {
      let text = "attribute backend is '\(KilnError.escaped(name, limit: 40))'"
      backendName = name
      guard let known = KerasBackend(rawValue: name) else {
        guard let wanted else {
          throw KilnError(
            .unsupportedModel, "the backend \(KilnError.quoted(name)) is not known",
            hint: "--backend tensorflow reads the model as TensorFlow computes")
        }
        return settle([wanted], "\(text), --backend says to read it as \(wanted.rawValue)")
      }
      if let wanted, wanted != known { throw conflict(text) }
      return settle([known], text)
    }
    guard !dialect.isKeras3, !dialect.isTensorFlowKeras, case .groups(let groups, _) = try source.weights() else {
      if dialect.generation == .keras1 { throw KilnError(.badInput, "holds a tree of variables, which Keras 1 did not write") }
      if let wanted, wanted != .tensorflow { throw conflict("it is of \(dialect.isKeras3 ? "Keras 3" : "tf.keras")") }
      guard !dialect.isKeras3 else {
        facts.append(SourceFact("backend", "not said", evidence: "the file does not say; Keras 3 defines its layers alike on all"))
        (dialect.backend, dialect.possibleBackends) = (.tensorflow, [.tensorflow])
        return
      }
      return settle([.tensorflow], "no attribute backend; \(dialect.isTensorFlowKeras ? "tf.keras has no other" : "trees of variables are TensorFlow's")")
    }
    let (found, text) = dialect.backends(weightNames: groups.flatMap { $0.weights.map(\.path) })
    if let wanted {
      guard KerasBackend.candidates(dialect.generation).contains(wanted) else {
        throw conflict("\(dialect.generationName) has no backend \(wanted.rawValue)")
      }
      guard found.contains(wanted) else { throw conflict(text) }
      backendName = wanted.rawValue
      return settle([wanted], "backend given by --backend")
    }
    if found.count == 1 { backendName = found[0].rawValue }
    settle(found, text)
  }

  private mutating func settle(_ backends: [KerasBackend], _ text: String) {
    dialect.backend = backends.first ?? .tensorflow
    dialect.possibleBackends = backends
    evidence.append(text)
    let remark = backends.count > 1 ? "\(text); layers that differ between these are refused" : text
    facts.append(SourceFact("backend", backends.map(\.rawValue).joined(separator: " or "), evidence: remark))
  }

  private mutating func findImageFormat(_ source: KerasSource, _ wanted: DataFormat?) throws {
    guard let config = source.config else { return }
    let written = dialect.readImageFormat(config)
    if let wanted {
      guard written.isEmpty || written.contains(wanted) else {
        throw KilnError(
          .usage, "--data-format \(wanted.rawValue): the file says otherwise (its layers write \(written.first?.rawValue ?? ""))")
      }
      dialect.imageFormat = wanted
      note(wanted, "order of axes given by --data-format")
    } else if dialect.generation == .keras1 {
      lacksImageFormat = dialect.imageFormat == nil
      if let format = dialect.imageFormat {
        note(format, "dim_ordering of layers that do not write it is that of all others, \(format.rawValue)")
      }
    }
  }

  private mutating func note(_ format: DataFormat, _ text: String) {
    evidence.append(text)
    facts.append(SourceFact("assumed order of axes", format.rawValue, evidence: text))
  }
}

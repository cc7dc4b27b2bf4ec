import TensorModule

/// What one layer of the source became: a row of the table that `kconv check` prints.
public struct ImportReportRow: Sendable, Hashable {
  public enum Status: String, Sendable {
    /// Read with its exact meaning.
    case supported
    /// Has no meaning when predicting.
    case identity
    /// Has no meaning here; the model cannot be read.
    case unsupported
    /// Contradicts itself or its weights.
    case malformed
  }

  /// The path of layers, `outer/inner/conv`.
  public var layer: String
  public var className: String
  public var status: Status
  /// Why, and the nearest thing that is supported; empty when there is nothing to say.
  public var remark: String
  /// The number of elements of its weights, nested layers not counted.
  public var parameters: Int
  /// How many layers, or nodes of a graph, the row stands for.
  public var count: Int

  public init(layer: String, className: String, status: Status, remark: String, parameters: Int, count: Int = 1) {
    self.layer = layer
    self.className = className
    self.status = status
    self.remark = remark
    self.parameters = parameters
    self.count = count
  }
}

/// Everything that an importer has to say about a source, layer by layer.
public struct ImportReport: Sendable {
  public var rows: [ImportReportRow]

  public init(rows: [ImportReportRow] = []) { self.rows = rows }

  /// The number of layers or nodes of a status.
  public func count(_ status: ImportReportRow.Status) -> Int {
    rows.reduce(0) { $1.status == status ? $0 + $1.count : $0 }
  }

  /// Whether nothing stands in the way of importing.
  public var isImportable: Bool { count(.unsupported) == 0 && count(.malformed) == 0 }
}

/// Something that an importer noticed and that does not stop it.
public struct ImportWarning: Sendable, Hashable {
  /// The layer's path, or empty for the whole model.
  public var layer: String
  public var message: String

  public init(layer: String = "", _ message: String) {
    self.layer = layer
    self.message = message
  }

  /// One line, names escaped.
  public var line: String { layer.isEmpty ? message : "layer \(KilnError.quoted(layer)): \(message)" }
}

/// One thing that an importer found out or assumed about a source.
public struct SourceFact: Sendable, Hashable {
  public var name: String
  public var value: String
  /// What in the file, or whose word, it rests on.
  public var evidence: String

  public init(_ name: String, _ value: String, evidence: String) {
    self.name = name
    self.value = value
    self.evidence = evidence
  }
}

/// Where a model comes from, each fact with the evidence for it.
public struct SourceFacts: Sendable, Hashable {
  /// `keras`, `tf.keras` or `tf_keras or tf.keras`.
  public var framework: String
  /// The framework's version as the file gives it; empty when it does not.
  public var version: String
  /// `tensorflow`, `theano`, `cntk`, `jax`, `torch`; empty when the file does not say.
  public var backend: String
  /// `Keras 1`, `Keras 2`, `Keras 3`.
  public var generation: String
  /// What in the file tells all this.
  public var evidence: String
  /// What in the file tells the generation.
  var generationEvidence: String
  /// Whether the file holds a training configuration.
  public var hasTrainingConfig: Bool
  /// What rests on other evidence than the generation.
  var others: [SourceFact] = []

  /// Every fact with its own evidence, in the order in which people ask.
  public var list: [SourceFact] {
    var list = [SourceFact("framework", framework, evidence: "its generation and version"), SourceFact("generation", generation, evidence: generationEvidence)]
    list.append(SourceFact("version", version.isEmpty ? "not said" : version, evidence: generationEvidence))
    return list + others
  }
}

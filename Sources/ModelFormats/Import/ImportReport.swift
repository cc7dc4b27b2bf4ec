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

  public init(layer: String, className: String, status: Status, remark: String, parameters: Int) {
    self.layer = layer
    self.className = className
    self.status = status
    self.remark = remark
    self.parameters = parameters
  }

  /// The row as one line of text.
  public var line: String {
    "\(KilnError.escaped(layer)): \(KilnError.escaped(className)): \(status.rawValue)"
      + (remark.isEmpty ? "" : ": \(remark)")
  }
}

/// Everything that an importer has to say about a source, layer by layer.
public struct ImportReport: Sendable {
  public var rows: [ImportReportRow]

  public init(rows: [ImportReportRow] = []) { self.rows = rows }

  public func count(_ status: ImportReportRow.Status) -> Int { rows.count { $0.status == status } }

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
  /// What in the file tells the generation.
  public var evidence: String
  /// Whether the file holds a training configuration.
  public var hasTrainingConfig: Bool
}

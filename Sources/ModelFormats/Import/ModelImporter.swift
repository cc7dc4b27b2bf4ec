import GraphModule
import TensorModule

/// What a caller can ask of an import.
public struct ImportOptions: Sendable {
  /// Formats that a source can be forced to be read as.
  public enum Format: String, Sendable, CaseIterable { case auto, keras, tensorflow, onnx, cntk }

  /// The libraries that Keras 1 and 2 computed with.
  public enum Backend: String, Sendable, CaseIterable { case tensorflow, theano, cntk }

  public var format: Format = .auto
  /// Shapes to give inputs, by name: one length for each axis, the batch first; nil keeps an axis open.
  public var inputShapes: [String: [Int?]] = [:]
  /// Values or layers that become the model's inputs; the part before them is left out. Empty: the model's own.
  public var inputs: [String] = []
  /// Values or layers that become the model's outputs. Empty: the model's own.
  public var outputs: [String] = []
  /// The signature of a SavedModel; nil takes `serving_default`, or the only one.
  public var signature: String?
  /// The tags of a SavedModel's MetaGraph; empty takes the one with `serve`.
  public var tags: [String] = []
  /// The file with the architecture (`to_json`, `to_yaml`) of weights that stand alone; it takes the place of the model's
  /// own configuration.
  public var architecture: String?
  /// What Keras computed with, for a file that does not say; another one than the file's is an error.
  public var backend: Backend?
  /// The order of image axes, for layers whose file does not say; another one than the file's is an error.
  public var dataFormat: DataFormat?
  /// The meaning of Lambda layers and of layers of unknown classes, by the layer's name or path: an expression as
  /// `Docs/replace-layer.md` describes it.
  public var replacements: [(name: String, expression: String)] = []
  /// The most bytes that all weights together may take; nil: 2 GiB or 4 times the file.
  public var byteBudget: Int?
  /// Whether tensors of an ONNX file may be in other files in its folder.
  public var allowsExternalData = false
  /// Whether the optimizer's variables and the training configuration come along, for a trainer.
  public var keepsOptimizer = true
  /// Whether the source's layers come along, for a writer of its format.
  public var keepsLayers = true
  /// Whether the graph is to be trained: noise layers stay, and layers tell what training needs of them.
  public var isForTraining = false
  /// Of a graph to be trained: a loss of the caller's own, an expression of `y_true` and `y_pred` as `Docs/replace-layer.md` describes it.
  public var lossExpression: String?

  public init() {}
}

/// A model read from a foreign file.
package struct ImportResult: Sendable {
  package var graph: Graph
  package var warnings: [ImportWarning]
  package var facts: SourceFacts
  package var report: ImportReport
  /// What training left beside the model.
  package var training: ImportedTraining?
  /// The source's layers, for a writer of its format.
  package var document: KerasDocument?
}

/// What a look at a source without importing it gives: for `kconv check`.
package struct ImportCheck: Sendable {
  package var facts: SourceFacts?
  package var report: ImportReport
  package var warnings: [ImportWarning]
  /// What an import would throw; nil when it would succeed.
  package var error: KilnError?
}

/// Reads one source: what every family of formats has.
protocol SourceImporter: AnyObject {
  var diagnostics: ImportDiagnostics { get }
  var facts: SourceFacts? { get }
  var report: ImportReport { get }
  /// What training left beside the model; nil before reading, and where the format has none.
  var training: ImportedTraining? { get }
  /// The source's layers as a writer takes them; nil before reading, and where the format has none.
  var document: KerasDocument? { get }

  /// Reads everything.
  ///
  /// - Throws: `KilnError` that stands for all problems together.
  func read() throws -> (Graph, SourceFacts)
}

extension SourceImporter {
  var training: ImportedTraining? { nil }
  var document: KerasDocument? { nil }
}

/// Reads models of other frameworks into graphs.
package enum ModelImporter {
  /// Reads a source.
  ///
  /// - Throws: `KilnError`: `badInput` when the file is damaged or contradicts itself, `unsupportedModel` with everything
  ///   that is not supported. Its path starts with `path`.
  package static func read(path: String, options: ImportOptions = ImportOptions()) throws -> ImportResult {
    let importer = try importer(path: path, options: options)
    do {
      let (graph, facts) = try importer.read()
      return ImportResult(graph: graph, warnings: importer.diagnostics.warnings, facts: facts, report: importer.report, training: importer.training,
        document: importer.document)
    } catch let error as KilnError { throw error.inside(path) }
  }

  /// Says what an import of the source would find, every problem at once.
  ///
  /// - Throws: only when the file cannot be read as a model at all.
  package static func check(path: String, options: ImportOptions = ImportOptions()) throws -> ImportCheck {
    let importer = try importer(path: path, options: options)
    var error: KilnError?
    do { _ = try importer.read() } catch let found as KilnError { error = found.inside(path) }
    return ImportCheck(
      facts: importer.facts, report: importer.report, warnings: importer.diagnostics.warnings, error: error)
  }

  private static func importer(path: String, options: ImportOptions) throws -> any SourceImporter {
    let container: TFContainer?
    do { container = try TFContainer.detect(path) } catch let error as KilnError {
      throw error.path.first == path ? error : error.inside(path)
    }
    if let container {
      guard [.auto, .tensorflow].contains(options.format) else {
        throw KilnError(.badInput, "is \(container.description), not a \(options.format.rawValue) model", at: [path])
      }
      return TensorFlowImporter(container, options: options)
    }
    let format = try detect(path: path)
    do {
      if options.signature != nil || !options.tags.isEmpty {
        throw KilnError(.usage, "is \(format.description); only a SavedModel has signatures and tags")
      }
      switch (options.format, format) {
      case (.auto, .kerasH5), (.keras, .kerasH5), (.auto, .kerasZip), (.keras, .kerasZip), (.auto, .kerasShards), (.keras, .kerasShards):
        return KerasImporter(path: path, format: format, options: options)
      case (.auto, .onnx), (.onnx, .onnx): return ONNXImporter(path: path, options: options)
      case (.auto, .cntk), (.cntk, .cntk): return CNTKImporter(path: path, isLegacy: false, options: options)
      case (.auto, .cntkLegacy), (.cntk, .cntkLegacy): return CNTKImporter(path: path, isLegacy: true, options: options)
      case (.auto, _):
        throw KilnError(.unsupportedModel, "\(format.description) is not read", hint: "save the model as .keras or as a whole .h5 file")
      default:
        throw KilnError(.badInput, "is \(format.description), not a \(options.format.rawValue) model")
      }
    } catch let error as KilnError { throw error.inside(path) }
  }
}

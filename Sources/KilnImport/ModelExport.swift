import GraphModule
import ModelFile
import ModelFormats
import TensorModule

/// Writes models as files of Keras or ONNX.
public enum ModelExport {
  /// What an export tells.
  public struct Outcome: Sendable {
    /// What is not as it was in the source.
    public var notes: [String] = []
    /// Whether the file was read again and gave the same results as its source.
    public var wasChecked = false
  }

  /// Writes `source` as a file of Keras or ONNX, by the target's name, all of it or nothing.
  ///
  /// The source is a model file that the importer reads, or a `.kiln` of one. Unless `check` is false the file is imported
  /// under its temporary name and must give, for the check vector, what the source gives.
  ///
  /// - Parameters:
  ///   - generation: 2 or 3; nil: that of the target's name, else of the source.
  ///   - externalData: an ONNX model's tensors go to a file beside it, as those of over 2 GiB do anyway.
  ///   - newHead: an output for so many other classes, with weights drawn from the seed; goes without the check.
  ///   - overwriting: replace an existing file.
  ///   - isCancelled: asked while a child works; when true the export stops with an error and leaves nothing behind.
  /// - Throws: `KilnError`: `unsupportedModel` with everything that the target cannot express, `badInput` for a damaged file,
  ///   `failed` when the target exists or cannot be written, `toleranceExceeded` when the check fails.
  @discardableResult
  public static func export(
    _ source: String, to target: String, generation: Int? = nil, options: ImportOptions = ImportOptions(), externalData: Bool = false,
    check: Bool = true, newHead: (classes: Int, seed: Int)? = nil, overwriting: Bool = false,
    isolation: ModelImport.Isolation = .inProcess, isCancelled: () -> Bool = { false }
  ) throws -> Outcome {
    try ModelImport.refuse(target, from: source, overwriting: overwriting)
    let folder = try PrivateFolder.system()
    var kiln = source
    if try !ModelImport.isKilnFile(source) {
      kiln = folder.path + "/model.kiln"
      _ = try ModelImport.perform(ImportRequest(source: source, target: kiln, options: options), isolation, isCancelled)
    }
    if target.hasSuffix(".onnx") {
      var outcome = Outcome()
      do {
        outcome.notes = try exportONNX(kiln, to: target, externalData: externalData, overwriting: overwriting) { temporary, model in
          if check { outcome.wasChecked = try self.check(temporary, against: model, folder.path, isolation, isCancelled) }
          if isCancelled() { throw KilnError(.failed, "was interrupted", at: [source]) }
        }
      } catch let error as KilnError { throw error.path.isEmpty ? error.inside(source) : error }
      return outcome
    }
    let model = try KilnFile.load(path: kiln)
    let version = model.graph.metadata["keras_version"].flatMap { Int($0.prefix { $0 != "." }) } ?? 1
    let wanted = generation ?? (target.hasSuffix(".keras") ? 3 : max(version, 2))
    guard let form = KerasTarget(path: target, generation: wanted) else {
      throw KilnError(
        .usage, "\(KilnError.quoted(target)) does not tell what to write", hint: ".keras, .h5, .weights.h5 or .onnx")
    }
    do {
      guard let layers = try KilnFile.layers(path: kiln) else {
        throw KilnError(
          .unsupportedModel, "does not hold the layers of a Keras file",
          hint: "import the Keras file again, without --inputs, --outputs and --without-layers")
      }
      var document = try KerasDocument(layers.description, tensors: layers.variables)
      if let newHead {
        guard model.graph.outputs.count == 1, let output = model.graph.outputs.first else {
          throw KilnError(.unsupportedModel, "has \(model.graph.outputs.count) outputs; --new-head needs a single one")
        }
        let dims = model.graph.type(of: output.value).dims.map(\.fixed)
        try document.replaceHead(classes: newHead.classes, seed: newHead.seed, output: dims)
      }
      let state = try document.optimizerVariables.isEmpty ? [] : KilnFile.training(path: kiln)?.variables ?? []
      var outcome = Outcome(notes: document.notes)
      try KerasWriter.write(document, optimizer: state, as: form, to: target, overwriting: overwriting) { temporary in
        guard check, newHead == nil, !form.isWeightsOnly else { return }
        outcome.wasChecked = try self.check(temporary, against: model, folder.path, isolation, isCancelled)
        if isCancelled() { throw KilnError(.failed, "was interrupted", at: [source]) }
      }
      return outcome
    } catch let error as KilnError {
      throw error.path.isEmpty ? error.inside(source) : error
    }
  }

  /// Reads a written file again and compares its results with the source's.
  ///
  /// - Returns: whether there was something to compare by.
  private static func check(
    _ written: String, against model: StoredModel, _ folder: String, _ isolation: ModelImport.Isolation, _ isCancelled: () -> Bool
  ) throws -> Bool {
    var options = ImportOptions()
    options.keepsLayers = false
    options.keepsOptimizer = false
    options.allowsExternalData = true
    var request = ImportRequest(source: written, target: folder + "/written.kiln", options: options)
    request.simplifies = false
    do { _ = try ModelImport.perform(request, isolation, isCancelled) } catch let error as KilnError {
      throw KilnError(error.code, "the written file cannot be read again: \(error.message)")
    }
    let graph = try KilnFile.load(path: folder + "/written.kiln").graph
    guard let vector = model.checks.first else { return false }
    let outputs: [Tensor] = try ReferenceBackend.run(graph, vector.inputs.map(\.tensor))
    guard outputs.count == vector.outputs.count else {
      throw KilnError(.toleranceExceeded, "the written file has \(outputs.count) outputs, the source \(vector.outputs.count)")
    }
    for (output, expected) in zip(outputs, vector.outputs) {
      guard output.shape == expected.tensor.shape else {
        throw KilnError(
          .toleranceExceeded,
          "the written file gives \(output.shape.shapeText) for output \(KilnError.quoted(expected.name)), the source \(expected.tensor.shape.shapeText)")
      }
      if output.dtype == .string || expected.tensor.dtype == .string {
        guard output.strings == expected.tensor.strings else {
          throw KilnError(.toleranceExceeded, "the written file gives other texts for output \(KilnError.quoted(expected.name))")
        }
        continue
      }
      let (got, wanted) = (output.doubles, expected.tensor.doubles)
      for (left, right) in zip(got, wanted) where !(left == right || left.isNaN && right.isNaN) {
        guard abs(left - right) <= vector.tolerance.absolute + vector.tolerance.relative * abs(right) else {
          throw KilnError(
            .toleranceExceeded,
            "the written file gives \(Float(left)) where the source gives \(Float(right)), in output \(KilnError.quoted(expected.name))")
        }
      }
    }
    return true
  }
}

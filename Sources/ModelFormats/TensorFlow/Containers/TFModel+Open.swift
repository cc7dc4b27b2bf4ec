import CGraphSchemas
import TensorModule

/// What a caller chooses of a TensorFlow model.
struct TFSelection {
  /// The signature; nil takes `serving_default`, or the only one.
  var signature: String?
  /// Tags of the MetaGraph, `serve` unless given.
  var tags: [String] = []
}

extension TFModel {
  /// Opens a model in any container.
  ///
  /// - Throws: `KilnError`; the path inside the container comes with it.
  static func open(_ container: TFContainer, _ selection: TFSelection) throws -> TFModel {
    switch container {
    case .graph(let path):
      if let name = selection.signature {
        throw KilnError(.usage, "a graph has no signatures, so none is \(KilnError.quoted(name))", hint: "name its --outputs")
      }
      let file = try TFTextForm.mapped(path, as: kiln_tf_graph_def())
      var model = TFModel(graph: try TFGraph(contentsOf: file), container: "TensorFlow frozen graph")
      let restored = try RestoredVariables(model.graph, "")
      model.tables = restored.tables(in: nil, [:])
      model.fillings = restored.fillings
      return model
    case .checkpoint(let prefix, let meta): return try checkpoint(prefix, meta, selection)
    case .savedModel(let folder, let file): return try savedModel(folder, file, selection)
    }
  }

  private static func checkpoint(_ prefix: String, _ meta: String, _ selection: TFSelection) throws -> TFModel {
    let file = try TFTextForm.mapped(meta, as: kiln_tf_meta_graph_def())
    let message = try ParsedMessage<Tf__MetaGraphDef>(file.bytes, kiln_tf_meta_graph_def(), what: "MetaGraph")
    return try message.withFields { proto in
      try MetaGraph(proto, file).model(
        "TensorFlow checkpoint", try store(prefix), selection, initializers: try MetaGraph.nodes(proto, "table_initializer"))
    }
  }

  /// The variables of a checkpoint in either format; nil when there are none.
  private static func store(_ prefix: String) throws -> VariableStore? {
    if FilePath.kind(prefix + ".index") != .missing { return try TensorBundle(prefix: prefix) }
    if FilePath.kind(prefix) != .missing { return try OldCheckpoint(paths: [prefix]) }
    let stem = FilePath.name(of: prefix) + "-"
    let folder = FilePath.folder(of: prefix)
    let shards = try FilePath.names(in: folder).filter { name in
      guard name.hasPrefix(stem) else { return false }
      let rest = name.dropFirst(stem.count)
      return rest.count == 14 && rest.dropFirst(5).hasPrefix("-of-")
    }
    return shards.isEmpty ? nil : try OldCheckpoint(paths: shards.map { "\(folder)/\($0)" })
  }

  private static func savedModel(_ folder: String, _ name: String, _ selection: TFSelection) throws -> TFModel {
    _ = try FilePath.map("\(folder)/\(name)", "the file")
    let file = try TFTextForm.mapped("\(folder)/\(name)", as: kiln_tf_saved_model())
    let message = try ParsedMessage<Tf__SavedModel>(file.bytes, kiln_tf_saved_model(), what: "SavedModel")
    return try message.withFields { saved in
      guard saved.saved_model_schema_version <= 1 else {
        throw KilnError(.unsupportedModel, "is a SavedModel of version \(saved.saved_model_schema_version); 1 is read", at: [name])
      }
      let graphs = Repeated.messages(saved.meta_graphs, saved.n_meta_graphs)
      let tagged = try graphs.map { (tags: try MetaGraph.tags($0.pointee), graph: $0) }
      let wanted = selection.tags.isEmpty ? ["serve"] : selection.tags.sorted()
      let exact = tagged.first { $0.tags.sorted() == wanted } ?? tagged.first { selection.tags.isEmpty && $0.tags.contains("serve") }
      guard let found = exact ?? (selection.tags.isEmpty && tagged.count == 1 ? tagged.first : nil) else {
        let known = tagged.map { $0.tags.isEmpty ? "none" : $0.tags.joined(separator: ",") }
        throw KilnError(
          .badInput, "no MetaGraph has the tags \(wanted.joined(separator: ","))", at: [name],
          hint: known.isEmpty ? "it holds none at all" : "there are: " + known.map { KilnError.escaped($0) }.joined(separator: "; "))
      }
      let store: VariableStore? =
        FilePath.kind("\(folder)/variables") == .missing ? nil : try variables("\(folder)/variables")
      let meta = try MetaGraph(found.graph.pointee, file)
      return try meta.model(
        "TensorFlow SavedModel", store, selection, initializers: try meta.mainOp(found.graph.pointee),
        assets: try meta.assets(found.graph.pointee, folder))
    }
  }

  private static func variables(_ folder: String) throws -> VariableStore? {
    guard FilePath.kind(folder) == .folder else { throw KilnError(.badInput, "'variables' is not a folder") }
    if FilePath.kind("\(folder)/variables.index") == .missing { return nil }
    do { return try TensorBundle(prefix: "\(folder)/variables") } catch let error as KilnError { throw error.inside("variables") }
  }
}

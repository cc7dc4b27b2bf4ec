import TensorModule

/// A Keras model as a container gives it: the configuration, where it comes from, and its weights.
struct KerasSource {
  /// How the graph's metadata names the container.
  var format: String
  var version: String?
  var backend: String?
  /// The model's configuration; nil when only weights are there.
  var config: JSON?
  var hasTrainingConfig: Bool
  var dialect: KerasDialect
  /// Whether configuration and weights were written together, so that names in both must agree.
  var isWhole: Bool
  var assets = KerasAssets()
  var weights: () throws -> KerasStoredWeights
  /// The training configuration, and the optimizer's variables, arrays not yet read.
  var training: () throws -> (configuration: JSON, variables: [StoredWeight])? = { nil }

  /// Opens a source of any container, with its architecture from another file if one is given.
  ///
  /// - Throws: `KilnError`; its path starts with `path` or with the architecture's.
  static func open(_ path: String, _ format: SourceFormat, _ options: ImportOptions) throws -> KerasSource {
    var source =
      switch format {
      case .kerasZip: try zip(path, options)
      case .kerasShards: try shards(path, options)
      default: try h5(path, options)
      }
    guard let file = options.architecture else { return source }
    let architecture = try KerasArchitecture(path: file)
    source.config = architecture.config
    source.isWhole = false
    if let dialect = architecture.dialect {
      source.dialect = dialect
      source.version = architecture.version
    }
    source.backend = architecture.backend ?? source.backend
    return source
  }

  private static func zip(_ path: String, _ options: ImportOptions) throws -> KerasSource {
    let zip = try KerasZip(path: path, budget: options.byteBudget)
    var dialect = KerasDialect(versionText: zip.version)
    dialect.evidence = zip.version.map { "metadata.json has keras_version '\(KilnError.escaped($0, limit: 40))'" } ?? "metadata.json has no keras_version"
    if zip.version == nil { throw KilnError(.badInput, "has no keras_version", at: ["metadata.json"]) }
    var source = KerasSource(
      format: "keras_zip", version: zip.version, backend: nil, config: zip.config, hasTrainingConfig: zip.hasTrainingConfig,
      dialect: dialect, isWhole: true, assets: KerasAssets(zip.archive), weights: { .tree(try zip.variables()) })
    if zip.hasTrainingConfig, let configuration = zip.config["compile_config"] {
      source.training = { (configuration, try zip.optimizer()) }
    }
    return source
  }

  private static func h5(_ path: String, _ options: ImportOptions) throws -> KerasSource {
    let h5 = try KerasH5(path: path, budget: options.byteBudget)
    var isTree = false
    if h5.config == nil, try h5.file.strings("layer_names", of: h5.weightsPath) == nil {
      for name in ["layers", "_layer_checkpoint_dependencies", "vars"] where try h5.file.exists(name) { isTree = true }
    }
    var dialect = KerasDialect(versionText: h5.version)
    if isTree {
      let isOld = try h5.file.exists("_layer_checkpoint_dependencies")
      dialect = KerasDialect(versionText: isOld ? "2.13" : "3")
      dialect.evidence = isOld ? "the variables are under _layer_checkpoint_dependencies" : "the variables are under layers, as in Keras 3 and in tf.keras from 2.14 on"
    }
    var source = KerasSource(
      format: h5.config == nil ? "keras_weights" : "keras_h5", version: h5.version, backend: h5.backend, config: h5.config,
      hasTrainingConfig: h5.hasTrainingConfig, dialect: dialect, isWhole: h5.config != nil,
      weights: { isTree ? .tree(try VariableTree(h5.file)) : .groups(try h5.groups(), ownWeights: try h5.ownWeights()) })
    if h5.hasTrainingConfig { source.training = { try h5.training() } }
    return source
  }

  private static func shards(_ path: String, _ options: ImportOptions) throws -> KerasSource {
    let shards = try ShardedWeights(path: path, budget: options.byteBudget)
    var dialect = KerasDialect(versionText: "3")
    dialect.evidence = "the weights are sharded"
    return KerasSource(
      format: "keras_weights", config: nil, hasTrainingConfig: false, dialect: dialect, isWhole: false,
      weights: { .tree(try shards.variables()) })
  }

  /// Whether the model was compiled, and what tells it.
  var trainingFact: SourceFact {
    let (place, missing) =
      switch format {
      case "keras_zip": ("compile_config of config.json", "config.json has no compile_config")
      case "keras_h5": ("attribute training_config", "no attribute training_config")
      default: ("attribute training_config", "the file holds only weights")
      }
    return SourceFact("training", hasTrainingConfig ? "compiled" : "none", evidence: hasTrainingConfig ? place : missing + ": not compiled")
  }

  /// The error for weights without a configuration: what there is, and which Keras probably wrote it.
  func weightsOnly() throws -> KilnError {
    let (groups, layout) =
      switch try weights() {
      case .groups(let groups, _): (groups.filter { !$0.weights.isEmpty }, "its layout is that of Keras 1 and 2")
      case .tree(let tree): (tree.groups, "its layout is that of \(dialect.isKeras3 ? "Keras 3 and late tf.keras" : "tf.keras 2.13")")
      }
    guard !groups.isEmpty else { return KilnError(.badInput, "is an HDF5 file without a Keras model in it") }
    let list = groups.prefix(6).map { group in
      KilnError.quoted(group.layer) + " " + group.weights.prefix(4).map(\.shape.shapeText).joined(separator: " ")
    }
    let more = groups.count > 6 ? ", … (\(groups.count) in all)" : ""
    return KilnError(
      .badInput,
      "holds weights but no model configuration; \(version.map { "written by Keras \(KilnError.escaped($0, limit: 40))" } ?? layout); groups: "
        + list.joined(separator: ", ") + more,
      hint: "give --architecture model.json, or save the whole model")
  }
}

/// The weights of a container, by layer or by object.
enum KerasStoredWeights {
  /// `.h5` of Keras 1, 2 and 3: a group for each layer of the outer model, and the number of weights of the model itself.
  case groups([StoredGroup], ownWeights: Int)
  /// `.keras` and `.weights.h5`.
  case tree(VariableTree)
}

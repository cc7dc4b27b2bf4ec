import GraphModule
import GraphOptimizer
import InferenceRuntime
import ModelFile
import TensorModule
import Training

/// A model that is trained further, and written back with its layers and its optimizer's state.
///
/// It is made of a `.kiln` that was imported for training.
public final class FineTuning {
  /// How training differs from what the file says.
  public struct Options: Sendable {
    /// The optimizer; nil takes the file's, with its state.
    public var optimizer: OptimizerConfiguration?
    public var learningRate: Double?
    public var loss: LossConfiguration?
    /// Nil takes the file's.
    public var metrics: [MetricConfiguration]?
    public var clipNorm: Double?
    /// Layers or variables to leave as they are, and to train although the file freezes them: names with `*`.
    public var freeze: [String] = []
    public var unfreeze: [String] = []
    /// Only the last so many layers with variables are trained.
    public var trainLast: Int?
    public var seed = 0
    /// Computes activations again for the derivative instead of keeping them.
    public var recomputes = false
    public var precision = TrainingPrecision.float32
    public var threads: Int?
    /// Where steps run. Weights and the optimizer's state stay on the GPU between steps, in float32.
    public var device = DeviceOptions()

    public init() {}
  }

  public let trainer: Trainer
  let stored: StoredModel
  /// What the classes are called, in order; stored in the `.kiln` that is written.
  public var classNames: [String]?
  let layers: SourceLayers
  /// The place of the document's trainable variables, in Keras's order, among the trained ones.
  private let order: [Int?]
  private let shapes: [Shape]
  /// Why the file's optimizer state was not taken up; nil when it was, or there is none.
  public private(set) var stateProblem: String?

  /// - Parameter path: a `.kiln` of `kconv import --for-training`.
  public init(contentsOf path: String, options: Options = Options()) throws {
    stored = try KilnFile.load(path: path)
    guard let layers = try KilnFile.layers(path: path) else {
      throw KilnError(.unsupportedModel, "does not hold the layers of a Keras file", at: [path])
    }
    self.layers = layers
    classNames = stored.graph.metadata["class_names"].flatMap { try? JSON.parse($0) }?.arrayValue?.compactMap(\.stringValue)
    let model = try TrainingModel(stored.graph)
    let compile = layers.description["compile_config"] ?? .null
    let trained = try Self.trained(model, options)
    let configuration = try Self.configuration(compile, model, options)
    var device = options.device
    device.precision = .fp32
    trainer = try Trainer(model, configuration: configuration, trained: trained, device: try device.backend())
    let places = Dictionary(
      trainer.engine.trained.enumerated().compactMap { place, index in model.variables[index].document.map { ($0, place) } },
      uniquingKeysWith: { first, _ in first })
    let list = layers.description["variables"]?.arrayValue ?? []
    let trainable = list.indices.filter { list[$0][4]?.boolValue == true }
    order = trainable.map { places[$0] }
    shapes = trainable.map { layers.variables.indices.contains($0) ? layers.variables[$0].shape : [] }
    if options.optimizer == nil, let state = try KilnFile.training(path: path) { takeUp(state, options) }
  }

  // MARK: Choices

  private static func configuration(_ compile: JSON, _ model: TrainingModel, _ options: Options) throws -> TrainingConfiguration {
    var configuration: TrainingConfiguration
    var compile = compile
    if var object = compile.objectValue {
      // What options take the place of need not be known.
      if options.optimizer != nil { object["optimizer"] = nil }
      if options.metrics != nil { (object["metrics"], object["weighted_metrics"]) = (nil, nil) }
      compile = .object(object)
    }
    if var loss = options.loss {
      let optimizer = try options.optimizer ?? (compile["optimizer"].flatMap { $0.isNull ? nil : try OptimizerConfiguration($0) } ?? OptimizerConfiguration("adam"))
      configuration = TrainingConfiguration(optimizer: optimizer, losses: try model.outputs.map { output in
        guard loss.function == LossConfiguration.custom else { return loss }
        guard let text = model.graph.metadata["custom_loss \(output)"] else {
          throw KilnError(.usage, "the model was imported without a loss of its own for the output \(KilnError.quoted(output))")
        }
        loss.graph = text
        return loss
      })
      // The file's metrics stay, as far as they are known.
      if let own = try? TrainingConfiguration(compile: compile, outputs: model.outputs) { configuration.metrics = own.metrics }
    } else {
      guard !compile.isNull else {
        throw KilnError(.usage, "the file does not say how the model was compiled", hint: "--loss NAME, --optimizer NAME")
      }
      configuration = try TrainingConfiguration(compile: compile, outputs: model.outputs)
      if let optimizer = options.optimizer { configuration.optimizer = optimizer }
    }
    if let rate = options.learningRate {
      guard rate.isFinite, rate > 0 else { throw KilnError(.usage, "the learning rate must be a number over 0, found \(rate)") }
      configuration.optimizer.learningRate = rate
      configuration.optimizer.schedule = nil
    }
    if let metrics = options.metrics { configuration.metrics = configuration.losses.map { $0 == nil ? [] : metrics } }
    if let norm = options.clipNorm { configuration.optimizer.globalClipNorm = norm }
    configuration.seed = options.seed
    (configuration.recomputes, configuration.precision) = (options.recomputes, options.precision)
    configuration.threads = options.threads
    return configuration
  }

  /// The variables that are trained, by place.
  private static func trained(_ model: TrainingModel, _ options: Options) throws -> Set<Int> {
    func matches(_ pattern: String, _ variable: TrainingModel.Variable) -> Bool {
      let path = variable.layer
      // A pattern is for a layer, for all that is inside a layer of this name, or for one variable.
      return Glob.matches(pattern, path) || Glob.matches(pattern + "/*", path) || Glob.matches(pattern, "\(path)/\(variable.name)")
    }
    let isStatistic = { (variable: TrainingModel.Variable) in variable.name.hasPrefix("moving_") }
    var trained = Set(model.variables.indices.filter { model.variables[$0].isTrainable })
    for pattern in options.unfreeze {
      let found = model.variables.indices.filter { matches(pattern, model.variables[$0]) && !isStatistic(model.variables[$0]) }
      guard !found.isEmpty else { throw KilnError(.usage, "--unfreeze \(KilnError.quoted(pattern)) is no layer of the model") }
      trained.formUnion(found)
    }
    if let count = options.trainLast {
      var seen: [String] = []
      for variable in model.variables where !seen.contains(variable.layer) { seen.append(variable.layer) }
      let last = Set(seen.suffix(count))
      trained = trained.filter { last.contains(model.variables[$0].layer) }
    }
    for pattern in options.freeze {
      let found = model.variables.indices.filter { matches(pattern, model.variables[$0]) }
      guard !found.isEmpty else { throw KilnError(.usage, "--freeze \(KilnError.quoted(pattern)) is no layer of the model") }
      trained.subtract(found)
    }
    return trained
  }

  private static let stateNote = "the optimizer's state is left out, training begins with a fresh one: "

  private func takeUp(_ state: TrainingState, _ options: Options) {
    let names = layers.description["optimizer"]?.arrayValue?.compactMap(\.stringValue) ?? []
    if names.isEmpty {
      // Why, the importer has noted.
      let notes = layers.description["notes"]?.arrayValue?.compactMap(\.stringValue) ?? []
      stateProblem = notes.first { $0.hasPrefix(Self.stateNote) }.map { String($0.dropFirst(Self.stateNote.count)) }
      return
    }
    let known = Dictionary(state.variables.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    do {
      let list = try names.map { name -> Tensor in
        if let tensor = known[name] { return tensor }
        guard name.hasPrefix("number:"), let value = Double(name.dropFirst("number:".count)) else {
          throw KilnError(.badInput, "the optimizer's variable \(KilnError.quoted(name)) is missing")
        }
        return try Tensor(converting: [value], to: .float32, shape: [])
      }
      try trainer.restoreOptimizer(list, order: order)
      if let rate = options.learningRate { trainer.setRate(rate) }
    } catch { stateProblem = (error as? KilnError)?.message ?? "\(error)" }
  }

  /// The variables of the layers as they are now, in Keras's order.
  public func variables() throws -> [(name: String, tensor: Tensor)] {
    var found: [Int: Tensor] = [:]
    for (index, variable) in trainer.model.variables.enumerated() {
      if let document = variable.document, layers.variables.indices.contains(document) {
        found[document] = try trainer.engine.value(index).reshaped(layers.variables[document].shape)
      }
    }
    let list = layers.description["variables"]?.arrayValue ?? []
    return layers.variables.enumerated().map { index, tensor in
      let place = list.indices.contains(index) ? list[index] : .null
      return ("\(place[0]?.stringValue ?? "")/\(place[1]?.stringValue ?? "")", found[index] ?? tensor)
    }
  }

  // MARK: Saving

  /// Writes the model as it is now: the graph for predicting, its layers, and the optimizer's state.
  ///
  /// - Throws: `KilnError` when a trained variable has no place in the layers, or the file cannot be written.
  public func save(to path: String) throws {
    let model = trainer.model
    var layers = layers
    for (index, variable) in model.variables.enumerated() where trainer.engine.moves(index) {
      guard let document = variable.document, layers.variables.indices.contains(document) else {
        throw KilnError(.unsupportedModel, "is laid out otherwise than in Keras and cannot be written back", at: [variable.value])
      }
      let old = layers.variables[document]
      layers.variables[document] = try trainer.engine.value(index).reshaped(old.shape).converted(to: old.dtype)
    }
    let variables = try trainer.optimizerVariables(order: order, shapes: shapes)
    let names = variables.indices.map { "optimizer/vars/\($0)" }
    let compile = compileConfiguration()
    if var description = layers.description.objectValue {
      description["compile_config"] = compile
      description["optimizer"] = .array(names.map { .string($0) })
      // The file has the state of the training now.
      description["notes"] = .array((description["notes"]?.arrayValue ?? []).filter { $0.stringValue?.hasPrefix(Self.stateNote) != true })
      layers.description = .object(description)
    }
    let state = TrainingState(configuration: compile, variables: zip(names, variables).map { ($0, $1) })
    var graph = try trainer.engine.trainedGraph()
    graph.metadata = graph.metadata.filter { $0.key != TrainingModel.metadataKey && !$0.key.hasPrefix("custom_loss ") }
    if let classNames { graph.metadata["class_names"] = JSON.array(classNames.map { .string($0) }).text() }
    graph.outputs.removeAll { $0.name.hasPrefix(TrainingModel.maskPrefix) }
    graph = try Optimizer.run(withoutNoise(graph), .portable).graph
    try Verifier.verify(graph)
    try KilnFile.save(StoredModel(graph: graph, checks: ReferenceCheck.vector(for: graph).map { [$0] } ?? [], training: state, layers: layers), to: path)
  }

  private func withoutNoise(_ graph: Graph) -> Graph {
    var copy = graph
    for index in copy.nodes.indices where copy.nodes[index].op is Noise { copy.nodes[index].op = Elementwise(.identity) }
    return copy.compacted()
  }

  /// The source's, with the optimizer and losses in use.
  private func compileConfiguration() -> JSON {
    var compile = layers.description["compile_config"]?.objectValue ?? JSONObject()
    let configuration = trainer.configuration
    compile["optimizer"] = configuration.optimizer.json
    if trainer.usesOtherLoss(than: compile["loss"]) {
      let losses = configuration.losses.map { $0.flatMap { $0.graph == nil ? JSON.string($0.function) : nil } ?? .null }
      compile["loss"] = losses.count == 1 ? losses[0] : .array(losses)
      compile["loss_weights"] = .null
      let metrics = configuration.metrics.map { JSON.array($0.map { .string($0.name) }) }
      compile["metrics"] = metrics.count == 1 ? metrics[0] : .array(metrics)
      compile["weighted_metrics"] = .null
    }
    return .object(compile)
  }
}

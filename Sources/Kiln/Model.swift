import GPURuntime
import GraphModule
import InferenceRuntime
import ModelFile
import TensorModule

/// A model, loaded and ready to predict. Immutable: any number of tasks may predict at once, with equal results.
///
///     let model = try Model(contentsOf: "digits.kiln")
///     let scores = try model.predict(Tensor(pixels, shape: [1, 28, 28, 1]))
public final class Model: Sendable {
  public struct Options: Sendable {
    /// Threads that share the work of a prediction; nil takes all processors that this process may use.
    public var threads: Int?
    /// Only algorithms that round like plain sums.
    public var exact: Bool
    /// How many plans (one for each combination of input shapes) are kept.
    public var maximumPlans: Int
    /// How many iterations the model's loops may take in one prediction.
    public var maximumIterations: Int
    /// How many bytes the results of one prediction may take at a time, weights apart; nil for what the machine has left. A
    /// prediction that needs more is refused before anything is allocated.
    public var memoryLimit: Int?
    /// How weights are kept in layers that take as long as reading their weights: large dense layers on few samples.
    public var weights: Weights
    /// Leaves weights where the model file has them instead of keeping a faster layout beside them.
    public var lowMemory: Bool

    /// The bits of a weight; sums are float32 in all forms.
    public enum Weights: String, Sendable, CaseIterable {
      case float32 = "f32"
      case bfloat16 = "bf16"
      /// With a scale for each output channel.
      case int8
    }

    /// Where the model runs.
    public var device: DeviceOptions

    public init(
      threads: Int? = nil, exact: Bool = false, maximumPlans: Int = 16, maximumIterations: Int = 100_000_000,
      memoryLimit: Int? = nil, weights: Weights = .float32, lowMemory: Bool = false, device: DeviceOptions = DeviceOptions()
    ) {
      self.weights = weights
      self.lowMemory = lowMemory
      self.threads = threads
      self.exact = exact
      self.maximumPlans = maximumPlans
      self.maximumIterations = maximumIterations
      self.memoryLimit = memoryLimit
      self.device = device
    }
  }

  public let name: String
  /// What the model takes and gives, in its own order.
  public let inputs: [TensorDescription]
  public let outputs: [TensorDescription]
  /// Facts about the source: framework, version, backend.
  public let metadata: [String: String]
  /// Threads that share the work of a prediction.
  public let threads: Int

  let source: Graph
  let plans: PlanCache
  /// The GPU that takes a share of the nodes.
  let gpu: GPUBackend?
  private let reasonAgainstDevice: String?

  /// Which nodes of the plans made so far run on the processor although a GPU might have run them, and why; nil when nothing is to tell.
  public var placementNote: String? { gpu.map(\.placementNote) ?? reasonAgainstDevice.map { "all nodes run on the processor: \($0)" } }

  /// The state that a stateful model starts with.
  public let initialState: ModelState
  /// The number of samples that a stateful model takes at once, when it is fixed. Its inputs are then described with a
  /// free first axis; more samples are that many at a time, one batch after the other.
  public let stateBatch: Int?

  /// How many nodes the source file places on each device that this Kiln does not have, by the device's name. They run on the
  /// processor.
  public var missingDevices: [String: Int] {
    source.deviceCounts.filter { DeviceName($0.key).map { $0.kind != "CPU" && ($0.kind != "GPU" || gpu == nil) } ?? false }
  }

  /// Whether the model has layers that hand their state from one prediction to the next.
  public var isStateful: Bool { !initialState.tensors.isEmpty }

  /// Whether predictions can be prepared in a `Session`: not for strings, and not when sizes depend on the data.
  public var hasSessions: Bool { !plans.hasDataSizes && !(inputs + outputs).contains { $0.dtype == .string } }

  /// Loads a `.kiln` file. Its weights stay mapped from the file.
  ///
  /// - Throws: `KilnError` when the file cannot be read or is not a sound `.kiln` file.
  public convenience init(contentsOf path: String, options: Options = Options()) throws {
    // Checksums of large files are found beside what else is to be done.
    let (stored, checks) = try KilnFile.open(path: path) { checks in
      let helpers = checks.byteCount < 1 << 22 ? 0 : min(ThreadPool.shared(options.threads).count - 1, 3)
      for _ in 0..<helpers { SystemThread.startDetached { checks.help() } }
    }
    do { try self.init(graph: stored.graph, options: options) } catch {
      // A damaged tensor explains what else is wrong.
      try checks.finish()
      throw error
    }
    try checks.finish()
  }

  /// A model of a graph that is in memory already.
  package init(graph: Graph, options: Options = Options()) throws {
    try options.device.check(graph)
    var reason: String?
    let gpu = try options.device.backend(for: graph, exact: options.exact) { reason = $0 }
    self.gpu = gpu
    reasonAgainstDevice = reason
    let pool = ThreadPool.shared(options.threads)
    name = graph.name
    let types = graph.inputs.map(graph.type(of:)) + graph.outputs.map { graph.type(of: $0.value) }
    let batch = graph.states.isEmpty ? nil : types.first?.dims.first?.fixed
    let isFixed = batch.map { batch in types.allSatisfy { $0.dims.first?.fixed == batch } } ?? false
    stateBatch = isFixed ? batch : nil
    let examples = graph.serializedExamples
    let owners = graph.inputs.map { graph[$0].name }
    inputs = graph.inputs.map { input in
      let name = graph[input].name
      return TensorDescription(
        name, graph.type(of: input), alias: graph.metadata[TensorDescription.aliasKey(name)], isBatched: isFixed,
        holdsExamples: examples.contains(input), lengthsOf: owners.first { graph.metadata[TensorDescription.lengthsKey($0)] == name },
        lengthsInput: graph.metadata[TensorDescription.lengthsKey(name)])
    }
    outputs = graph.outputs.map { TensorDescription($0.name, graph.type(of: $0.value), isBatched: isFixed) }
    metadata = graph.metadata
    threads = pool.count
    source = graph
    let (lifted, initial) = try RuntimeGraph.prepare(graph).liftingStates()
    initialState = ModelState(tensors: initial)
    plans = PlanCache(
      lifted,
      options: PlanOptions(
        threads: pool.count, exact: options.exact, maximumIterations: options.maximumIterations, memoryLimit: options.memoryLimit,
        weights: WeightForm(rawValue: options.weights.rawValue) ?? .float32, lowMemory: options.lowMemory,
        device: gpu),
      pool: pool, limit: options.maximumPlans)
  }

  /// Predicts from named inputs.
  ///
  /// Numbers of another dtype are converted: anything to floats, and to integers when no value changes.
  ///
  /// - Parameter batchSize: splits inputs of more samples into batches of this size, which bounds the memory used. The
  ///   first axis of every input and output must be the batch; a model without one runs all at once.
  /// - Returns: the outputs in the model's order.
  /// - Throws: `KilnError` (`badInput`) when an input is missing, unknown or does not fit.
  public func predict(
    _ inputs: [String: Tensor], batchSize: Int? = nil
  ) throws -> [(name: String, tensor: Tensor)] {
    if let extra = inputs.keys.sorted().first(where: { name in !self.inputs.contains { $0.isCalled(name) } }) {
      throw KilnError(
        .badInput, "the model has no input \(KilnError.quoted(extra))",
        hint: "inputs: " + self.inputs.map { KilnError.escaped($0.name) }.joined(separator: ", "))
    }
    func given(_ description: TensorDescription) -> Tensor? { description.names.lazy.compactMap({ inputs[$0] }).first }
    let ordered = try self.inputs.map { description in
      guard let tensor = try given(description) ?? fullLengths(for: description, given) else {
        throw KilnError(.badInput, "input \(KilnError.quoted(description.name)) is missing: expected \(description.typeText)")
      }
      return tensor
    }
    let results = try predict(ordered, batchSize: batchSize)
    return zip(outputs, results).map { ($0.name, $1) }
  }

  /// The lengths of sequences that are all as long as their input; nil for an input that is something else.
  public func fullLengths(for description: TensorDescription, _ given: (TensorDescription) -> Tensor?) throws -> Tensor? {
    guard let owner = description.lengthsOf, let input = inputs.first(where: { $0.name == owner }), let shape = given(input)?.shape, shape.count >= 2
    else { return nil }
    return try Tensor([Int32](repeating: Int32(clamping: shape[1]), count: shape[0]), shape: [shape[0]])
  }

  /// Predicts with a model of one input; gives the first output.
  public func predict(_ input: Tensor, batchSize: Int? = nil) throws -> Tensor {
    if let only = inputs.first, inputs.dropFirst().allSatisfy({ $0.lengthsOf == only.name }), inputs.count > 1 {
      guard let first = try predict([only.name: input], batchSize: batchSize).first else { throw KilnError(.unsupportedModel, "the model has no output") }
      return first.tensor
    }
    guard inputs.count == 1 else {
      throw KilnError(
        .badInput, "the model has \(inputs.count) inputs, found 1",
        hint: "inputs: " + inputs.map { KilnError.escaped($0.name) }.joined(separator: ", "))
    }
    guard let first = try predict([input], batchSize: batchSize).first else {
      throw KilnError(.unsupportedModel, "the model has no output")
    }
    return first
  }

  /// Predicts from inputs in the model's order. A stateful model starts afresh, and hands its state from batch to batch.
  public func predict(_ inputs: [Tensor], batchSize: Int? = nil) throws -> [Tensor] {
    var state = initialState
    return try predict(inputs, batchSize: batchSize, state: &state)
  }

  /// Predicts from inputs in the model's order, going on from a state.
  ///
  /// - Parameter state: `initialState`, or what an earlier prediction left here.
  public func predict(_ inputs: [Tensor], batchSize: Int? = nil, state: inout ModelState) throws -> [Tensor] {
    guard inputs.count == self.inputs.count else {
      throw KilnError(.badInput, "the model has \(self.inputs.count) inputs, found \(inputs.count)")
    }
    let fitting = try zip(inputs, self.inputs).map { try InputConversion.fit($0, $1) }
    guard state.tensors.count == initialState.tensors.count else {
      throw KilnError(.usage, "the state is that of another model")
    }
    if let stateBatch { return try predictInTurn(fitting, stateBatch, batchSize, &state) }
    if let batchSize, let batched = try predictInBatches(fitting, batchSize, &state) { return batched }
    return try run(fitting, &state)
  }

  /// One run of the plan.
  func run(_ inputs: [Tensor], _ state: inout ModelState) throws -> [Tensor] {
    if state.tensors.isEmpty { return try plans.run(inputs) }
    let results = try plans.run(inputs + state.tensors)
    state.tensors = Array(results.suffix(state.tensors.count))
    return Array(results.dropLast(state.tensors.count))
  }
}

import CKernels
import GraphModule
import InferenceRuntime
import TensorModule

/// Takes steps: runs the gradient graph of a batch and moves the weights, which it holds. One task at a time uses it.
package final class TrainingEngine {
  package let model: TrainingModel
  package let options: StepOptions
  package let pool: ThreadPool
  /// The trained variables by place in the model's list, in the order of their places in memory.
  package let trained: [Int]
  /// Steps taken since the engine was made; numbers the noise.
  package var stepNumber = 0

  let weights: ParameterMemoryBlock
  let gradients: ParameterMemoryBlock
  let optimizer: OptimizerState
  let places: [Int: Int]
  /// Statistics that move, by place in the model's list.
  let statistics: [Int: (memory: RuntimeMemory, count: Int, momentum: Float)]
  let constraints: [(place: Int, constraint: Constraint)]
  /// What stateful layers keep from batch to batch, and what they begin with.
  let states: [(memory: RuntimeMemory, initial: Tensor)]
  /// The device that takes steps; nil once it failed, and where there is none.
  var backend: (any DeviceBackend)?
  /// What lies there, from the first step on.
  var device: DeviceState?
  var updates: [Bool: UpdatePlan] = [:]
  /// Whether the device failed and took steps with it that are nowhere else.
  package internal(set) var hasLostSteps = false
  var plans: [PlanKey: StepPlan] = [:]
  private let packed = WeightStore()

  struct PlanKey: Hashable {
    var shapes: StepShapes
    var isTraining: Bool
  }

  /// - Parameter device: what runs steps where it can; what it cannot run, the processor does.
  package init(
    _ model: TrainingModel, _ options: StepOptions, _ configuration: OptimizerConfiguration, threads: Int? = nil,
    device: (any DeviceBackend)? = nil
  ) throws {
    backend = device
    self.model = model
    var options = options
    options.rows = configuration.rowTreatment
    self.options = options
    pool = ThreadPool.shared(threads)
    trained = options.trained.sorted()
    let tensors = try trained.map { index -> Tensor in
      let variable = model.variables[index]
      guard let tensor = model.constant(variable).flatMap({ model.graph.constants[$0] }) else {
        throw KilnError(.internal, "the variable '\(variable.value)' is no constant")
      }
      guard tensor.dtype == .float32 else {
        throw KilnError(.unsupportedModel, "is \(tensor.dtype.name); only float32 variables are trained", at: [variable.value])
      }
      return tensor
    }
    let layout = ParameterLayout(
      zip(trained, tensors).map { index, tensor in
        let shape = model.variables[index].shape ?? tensor.shape
        return checkedProduct(shape) == tensor.count ? shape : tensor.shape
      }, alignment: device.map(DeviceState.floatAlignment) ?? 16)
    weights = try ParameterMemoryBlock(layout)
    gradients = try ParameterMemoryBlock(layout)
    for (place, tensor) in tensors.enumerated() { try weights.set(place, to: tensor) }
    optimizer = try OptimizerState(configuration, layout)
    places = Dictionary(uniqueKeysWithValues: trained.enumerated().map { ($1, $0) })
    var statistics: [Int: (memory: RuntimeMemory, count: Int, momentum: Float)] = [:]
    for (index, variable) in model.variables.enumerated() where options.movingLayers.contains(variable.layer) {
      guard variable.name.hasPrefix("moving_"), let tensor = model.constant(variable).flatMap({ model.graph.constants[$0] }) else { continue }
      let memory = try RuntimeMemory(byteCount: tensor.byteCount)
      memory.base.copyMemory(from: tensor.address, byteCount: tensor.byteCount)
      let momentum = model.layers.first { $0.path == variable.layer }?.momentum ?? 0.99
      statistics[index] = (memory, tensor.count, Float(momentum))
    }
    self.statistics = statistics
    states = try model.graph.liftingStates().initial.map { tensor in
      let memory = try RuntimeMemory(byteCount: max(1, tensor.byteCount))
      memory.base.copyMemory(from: tensor.address, byteCount: tensor.byteCount)
      return (memory, tensor)
    }
    constraints = try trained.enumerated().compactMap { place, index in
      try model.variables[index].constraint.map { (place, try Constraint($0, shape: layout.shapes[place])) }
    }
  }

  /// Trains on a batch.
  ///
  /// - Parameter rate: the learning rate of this step.
  /// - Returns: the loss before the step.
  /// - Throws: `StepDivergence` when the loss or a gradient is not finite; the weights then stay as they were.
  package func train(_ batch: StepBatch, rate: Double) throws -> StepResult {
    if let result = try onDevice({ try trainOnDevice(batch, rate: rate) }) { return result }
    try settle(changing: true)
    let plan = try plan(batch, isTraining: true)
    try plan.run(batch, number: stepNumber, memory)
    let result = result(plan)
    guard result.loss.isFinite else { throw diverged(result.loss) }
    if !kiln_all_finite(Int64(gradients.layout.count), gradients.floats) { throw divergedGradient() }
    let rows = options.rows.sum == nil ? [] : trained.map { plan.result(.rows($0)) }
    optimizer.step(weights, gradients, rows: rows, rate: rate, pool: pool)
    for (place, constraint) in constraints { constraint.apply(weights[place]) }
    for (index, statistic) in statistics {
      guard let found = plan.result(.statistic(variable: index)) else { continue }
      let moved = statistic.memory.base.assumingMemoryBound(to: Float.self)
      kiln_blend(Int64(statistic.count), moved, found, statistic.momentum, 1 - statistic.momentum)
    }
    stepNumber += 1
    return result
  }

  func diverged(_ loss: Double) -> StepDivergence { StepDivergence(message: "the loss is \(loss) at step \(stepNumber + 1)") }

  func divergedGradient() -> StepDivergence {
    let wrong = trained.indices.first { !kiln_all_finite(Int64(gradients.layout.size($0)), gradients[$0]) } ?? 0
    return StepDivergence(message: "the gradient of \(KilnError.quoted(model.variables[trained[wrong]].value)) is not finite at step \(stepNumber + 1)")
  }

  /// The loss and predictions of a batch as the model predicts.
  package func evaluate(_ batch: StepBatch) throws -> StepResult {
    if let result = try onDevice({ try evaluateOnDevice(batch) }) { return result }
    try settle(changing: !states.isEmpty)
    let plan = try plan(batch, isTraining: false)
    try plan.run(batch, number: stepNumber, memory)
    return result(plan)
  }

  /// Where the processor has what steps read and write.
  var memory: StepPlan.Places {
    StepPlan.Places(
      states: states.map(\.memory),
      variable: { [self] index in
        if let place = places[index] { return UnsafeRawPointer(weights[place]) }
        guard let statistic = statistics[index] else { throw KilnError(.internal, "variable \(index) has no memory") }
        return UnsafeRawPointer(statistic.memory.base)
      },
      gradient: { [self] index in
        guard let place = places[index] else { throw KilnError(.internal, "variable \(index) is not trained") }
        return UnsafeMutableRawPointer(gradients[place])
      })
  }

  func result(_ plan: StepPlan) -> StepResult {
    StepResult(
      loss: Double(plan.result(.loss)?.pointee ?? .nan),
      outputLosses: options.losses.indices.map { plan.result(.outputLoss($0)).map { Double($0.pointee) } },
      predictions: options.losses.indices.map { plan.tensor(.prediction($0)) }, masks: options.losses.indices.map { plan.tensor(.mask($0)) })
  }

  func plan(_ batch: StepBatch, isTraining: Bool) throws -> StepPlan {
    let key = PlanKey(shapes: batch.shapes, isTraining: isTraining)
    if let found = plans[key] { return found }
    // The last batch of an epoch is often smaller; more shapes than these come and go.
    if plans.count >= 8 { plans.removeAll() }
    let graph = try StepGraphBuilder.build(model, options, key.shapes, isTraining: isTraining)
    let plan = try StepPlan(graph, threads: pool, weights: packed, device: backend, residents: try residents(graph))
    plans[key] = plan
    return plan
  }

  /// What a step runs, after the optimizer: for people and tests.
  package func report(_ batch: StepBatch, isTraining: Bool = true) throws -> PlanReport {
    try plan(batch, isTraining: isTraining).executor.plan.report
  }

  /// Ends training: with averaged weights the averages become the weights, as at the end of Keras's `fit`.
  package func finish() throws {
    guard let averages = optimizer.averages, optimizer.iteration > 0 else { return }
    try settle(changing: true)
    weights.floats.update(from: averages.floats, count: weights.layout.count)
  }

  // MARK: Variables

  /// Whether training changes a variable.
  package func moves(_ index: Int) -> Bool { places[index] != nil || statistics[index] != nil }

  /// The present value of a variable of the model.
  package func value(_ index: Int) throws -> Tensor {
    guard let constant = model.constant(model.variables[index]), let tensor = model.graph.constants[constant] else {
      throw KilnError(.internal, "there is no variable \(index)")
    }
    if moves(index) { try settle() }
    if let place = places[index] { return try weights.tensor(place, shape: tensor.shape) }
    guard let statistic = statistics[index] else { return tensor }
    return try Tensor(dtype: .float32, shape: tensor.shape) {
      $0.baseAddress?.copyMemory(from: statistic.memory.base, byteCount: tensor.byteCount)
    }
  }

  /// Sets the value of a variable.
  package func setValue(_ index: Int, to tensor: Tensor) throws {
    try settle(changing: true)
    if let place = places[index] { try weights.set(place, to: tensor) } else if let statistic = statistics[index] {
      let wide = try tensor.converted(to: .float32)
      guard wide.count == statistic.count else { throw KilnError(.badInput, "a statistic has \(wide.count) numbers instead of \(statistic.count)") }
      statistic.memory.base.copyMemory(from: wide.address, byteCount: wide.byteCount)
    }
  }

  /// What stateful layers keep.
  package func keptStates() throws -> [Tensor] {
    if !states.isEmpty { try settle() }
    return try states.map { state in
      try Tensor(dtype: state.initial.dtype, shape: state.initial.shape) { $0.baseAddress?.copyMemory(from: state.memory.base, byteCount: state.initial.byteCount) }
    }
  }

  /// - Throws: `KilnError` (`badInput`) for states of another model.
  package func setState(_ index: Int, to tensor: Tensor) throws {
    guard states[index].initial.shape == tensor.shape, states[index].initial.dtype == tensor.dtype else {
      throw KilnError(.badInput, "the checkpoint is one of another model")
    }
    try settle(changing: true)
    states[index].memory.base.copyMemory(from: tensor.address, byteCount: tensor.byteCount)
  }

  /// The model's graph with the present values of its variables.
  package func trainedGraph() throws -> Graph {
    var graph = model.graph
    for index in model.variables.indices where places[index] != nil || statistics[index] != nil {
      if let id = model.constant(model.variables[index]) { graph.replaceConstant(id, with: try value(index)) }
    }
    return graph
  }
}

/// A step whose loss or gradients are not finite; it moved nothing.
struct StepDivergence: Error {
  var message: String
}

/// What a step came to. Predictions lie in memory that the next step overwrites.
package struct StepResult {
  package var loss: Double
  /// The loss of each output, when there are several.
  package var outputLosses: [Double?]
  package var predictions: [Tensor?]
  /// Keras's masks of the outputs.
  package var masks: [Tensor?]
}

import GraphModule
import InferenceRuntime
import TensorModule

/// A step's graph planned for its shapes, with the memory of its results. One call at a time.
final class StepPlan {
  /// Where things of a step lie that are not the batch's: in the processor's memory.
  struct Places {
    var states: [RuntimeMemory]
    var variable: (Int) throws -> UnsafeRawPointer
    var gradient: (Int) throws -> UnsafeMutableRawPointer
  }

  let executor: Executor
  /// Whether variables and gradients lie on a device.
  let isOnDevice: Bool
  /// The variables of which the step gives what their rows sum up to.
  let tables: [Int]
  /// What the plan takes and gives: all of the step, but for what lies on the device.
  private let inputRoles: [StepGraph.Input]
  private let outputRoles: [StepGraph.Output]
  /// The memory of what the step gives besides gradients, by place among its outputs.
  private let memories: [RuntimeMemory?]
  private let inputs: UnsafeMutablePointer<UnsafeRawPointer?>
  private let outputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let counter: UnsafeMutablePointer<Int64>

  /// - Parameters:
  ///   - device: the device that may run the step.
  ///   - residents: what of its inputs and outputs lies there if it does.
  init(
    _ step: StepGraph, threads: ThreadPool, weights: WeightStore, device: (any DeviceBackend)? = nil, residents: DeviceResidents = DeviceResidents()
  ) throws {
    let prepared = try RuntimeGraph.prepare(step.graph)
    guard prepared.inputs.count == step.inputs.count, prepared.outputs.count == step.outputs.count else {
      throw KilnError(.internal, "the optimizer changed the step's signature")
    }
    let shapes = prepared.inputs.map { prepared.type(of: $0).shape ?? [] }
    var options = PlanOptions(threads: threads.count, device: device)
    options.residents = residents
    let plan = try PlanBuilder.plan(prepared, shapes: shapes, options: options, weights: weights, pool: threads)
    let isOnDevice = plan.deviceProgram != nil
    self.isOnDevice = isOnDevice
    tables = step.outputs.compactMap { if case .rows(let index) = $0 { index } else { nil } }
    inputRoles = step.inputs.indices.filter { !isOnDevice || residents.inputs[$0] == nil }.map { step.inputs[$0] }
    let outputRoles = step.outputs.indices.filter { !isOnDevice || residents.outputs[$0] == nil }.map { step.outputs[$0] }
    self.outputRoles = outputRoles
    executor = Executor(plan, pool: threads)
    memories = try zip(outputRoles, plan.outputs).map { role, spec in
      if case .gradient = role { return nil }
      return try RuntimeMemory(byteCount: spec.byteCount)
    }
    inputs = .allocate(capacity: max(1, inputRoles.count))
    inputs.initialize(repeating: nil, count: max(1, inputRoles.count))
    outputs = .allocate(capacity: max(1, outputRoles.count))
    for (index, memory) in memories.enumerated() { (outputs + index).initialize(to: memory?.base) }
    counter = .allocate(capacity: 1)
    counter.initialize(to: 0)
  }

  deinit {
    inputs.deallocate()
    outputs.deallocate()
    counter.deallocate()
  }

  /// Runs the step.
  ///
  /// - Parameters:
  ///   - batch: of the plan's shapes and dtypes.
  ///   - places: where the variables are, where their gradients go, and what stateful layers keep, which the step replaces.
  func run(_ batch: StepBatch, number: Int, _ places: Places) throws {
    counter.pointee = Int64(number)
    for (place, role) in inputRoles.enumerated() {
      switch role {
      case .data(let index): inputs[place] = batch.data[index].address
      case .target(let index): inputs[place] = batch.targets[index]?.address
      case .sampleWeight(let index): inputs[place] = batch.weights[index]?.address
      case .counter: inputs[place] = UnsafeRawPointer(counter)
      case .variable(let index): inputs[place] = try places.variable(index)
      case .state(let index): inputs[place] = UnsafeRawPointer(places.states[index].base)
      }
    }
    for (place, role) in outputRoles.enumerated() {
      if case .gradient(let index) = role { outputs[place] = try places.gradient(index) }
    }
    try executor.run(inputs, outputs)
    for (place, role) in outputRoles.enumerated() {
      if case .state(let index) = role, let made = memories[place] {
        places.states[index].base.copyMemory(from: made.base, byteCount: executor.plan.outputs[place].byteCount)
      }
    }
  }

  /// Where an output of the last run is; nil when the step does not have it.
  func result(_ role: StepGraph.Output) -> UnsafeMutablePointer<Float>? {
    outputRoles.firstIndex(of: role).flatMap { memories[$0]?.base.assumingMemoryBound(to: Float.self) }
  }

  /// An output of the last run as a tensor over the plan's memory, which the next run overwrites.
  func tensor(_ role: StepGraph.Output) -> Tensor? {
    guard let place = outputRoles.firstIndex(of: role), let memory = memories[place] else { return nil }
    let spec = executor.plan.outputs[place]
    return Tensor(dtype: spec.dtype, shape: spec.shape, address: UnsafeRawPointer(memory.base), owner: memory)
  }
}

/// A batch as a step takes it: in the order of the model's inputs and outputs, in the step's dtypes.
package struct StepBatch {
  package var data: [Tensor]
  package var targets: [Tensor?]
  package var weights: [Tensor?]

  package init(data: [Tensor], targets: [Tensor?], weights: [Tensor?]) {
    self.data = data
    self.targets = targets
    self.weights = weights
  }

  var shapes: StepShapes {
    StepShapes(data: data.map(\.shape), targets: targets.map { $0?.shape }, weights: weights.map { $0?.shape })
  }
}

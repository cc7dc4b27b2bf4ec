import GraphModule
import InferenceRuntime
import TensorModule

/// A step's graph planned for its shapes, with the memory of its results. One call at a time.
final class StepPlan {
  let step: StepGraph
  let executor: Executor
  /// The memory of what the step gives besides gradients, by place among its outputs.
  private let memories: [RuntimeMemory?]
  private let inputs: UnsafeMutablePointer<UnsafeRawPointer?>
  private let outputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let counter: UnsafeMutablePointer<Int64>

  init(_ step: StepGraph, threads: ThreadPool, weights: WeightStore) throws {
    let prepared = try RuntimeGraph.prepare(step.graph)
    guard prepared.inputs.count == step.inputs.count, prepared.outputs.count == step.outputs.count else {
      throw KilnError(.internal, "the optimizer changed the step's signature")
    }
    let shapes = prepared.inputs.map { prepared.type(of: $0).shape ?? [] }
    let plan = try PlanBuilder.plan(prepared, shapes: shapes, options: PlanOptions(threads: threads.count), weights: weights, pool: threads)
    self.step = step
    executor = Executor(plan, pool: threads)
    memories = try zip(step.outputs, plan.outputs).map { role, spec in
      if case .gradient = role { return nil }
      return try RuntimeMemory(byteCount: spec.byteCount)
    }
    inputs = .allocate(capacity: max(1, step.inputs.count))
    inputs.initialize(repeating: nil, count: max(1, step.inputs.count))
    outputs = .allocate(capacity: max(1, step.outputs.count))
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
  ///   - states: the memory of what stateful layers keep, which the step replaces.
  ///   - variable, gradient: where the variables are, and where their gradients go.
  func run(
    _ batch: StepBatch, number: Int, states: [RuntimeMemory], variable: (Int) throws -> UnsafeRawPointer,
    gradient: (Int) throws -> UnsafeMutableRawPointer
  ) throws {
    counter.pointee = Int64(number)
    for (place, role) in step.inputs.enumerated() {
      switch role {
      case .data(let index): inputs[place] = batch.data[index].address
      case .target(let index): inputs[place] = batch.targets[index]?.address
      case .sampleWeight(let index): inputs[place] = batch.weights[index]?.address
      case .counter: inputs[place] = UnsafeRawPointer(counter)
      case .variable(let index): inputs[place] = try variable(index)
      case .state(let index): inputs[place] = UnsafeRawPointer(states[index].base)
      }
    }
    for (place, role) in step.outputs.enumerated() {
      if case .gradient(let index) = role { outputs[place] = try gradient(index) }
    }
    try executor.run(inputs, outputs)
    for (place, role) in step.outputs.enumerated() {
      if case .state(let index) = role, let made = memories[place] { states[index].base.copyMemory(from: made.base, byteCount: executor.plan.outputs[place].byteCount) }
    }
  }

  /// Where an output of the last run is; nil when the step does not have it.
  func result(_ role: StepGraph.Output) -> UnsafeMutablePointer<Float>? {
    step.outputs.firstIndex(of: role).flatMap { memories[$0]?.base.assumingMemoryBound(to: Float.self) }
  }

  /// An output of the last run as a tensor over the plan's memory, which the next run overwrites.
  func tensor(_ role: StepGraph.Output) -> Tensor? {
    guard let place = step.outputs.firstIndex(of: role), let memory = memories[place] else { return nil }
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

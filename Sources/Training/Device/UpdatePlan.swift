import InferenceRuntime
import TensorModule

/// An `UpdateGraph` planned for a device. One call at a time.
final class UpdatePlan {
  private let update: UpdateGraph
  private let executor: Executor
  private let numbers: [UpdateGraph.Number]
  /// The numbers, 16 floats apart.
  private let memory: RuntimeMemory
  private let result: RuntimeMemory
  private let inputs: UnsafeMutablePointer<UnsafeRawPointer?>
  private let outputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>

  init(_ form: UpdateForm, _ state: DeviceState, _ pool: ThreadPool) throws {
    update = try UpdateGraphBuilder.build(form)
    let prepared = try RuntimeGraph.prepare(update.graph)
    guard prepared.inputs.count == update.inputs.count, prepared.outputs.count == update.outputs.count else {
      throw KilnError(.internal, "the optimizer changed the update's signature")
    }
    var options = PlanOptions(threads: pool.count, device: state.backend)
    for (index, value) in update.inputs.enumerated() { options.residents.inputs[index] = state.place(value) }
    for (index, value) in update.outputs.enumerated() { options.residents.outputs[index] = state.place(value) }
    options.residents.mustStay = true
    let plan = try PlanBuilder.plan(prepared, shapes: prepared.inputs.map { prepared.type(of: $0).shape ?? [] }, options: options, pool: pool)
    numbers = update.inputs.compactMap { if case .number(let number) = $0 { number } else { nil } }
    guard plan.inputs.count == numbers.count, plan.outputs.count == 1 else { throw KilnError(.internal, "an update is not on the device") }
    executor = Executor(plan, pool: pool)
    memory = try RuntimeMemory(byteCount: max(1, numbers.count) * 64)
    result = try RuntimeMemory(byteCount: 64)
    inputs = .allocate(capacity: max(1, numbers.count))
    outputs = .allocate(capacity: 1)
    for index in numbers.indices { (inputs + index).initialize(to: UnsafeRawPointer(memory.base + index * 64)) }
    outputs.initialize(to: result.base)
  }

  deinit {
    inputs.deallocate()
    outputs.deallocate()
  }

  /// Moves weights and states.
  ///
  /// - Returns: false, and nothing moved, when a gradient is not finite.
  func run(_ values: [UpdateGraph.Number: Float]) throws -> Bool {
    for (index, number) in numbers.enumerated() { memory.base.storeBytes(of: values[number] ?? 0, toByteOffset: index * 64, as: Float.self) }
    try executor.run(inputs, outputs)
    return result.base.load(as: UInt8.self) != 0
  }
}

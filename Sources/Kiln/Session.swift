import InferenceRuntime
import TensorModule

/// A prediction prepared for fixed input shapes, in memory that the caller sees: running it again allocates nothing.
///
/// A stateful model goes on from run to run, until `resetStates`. A session holds the memory of one prediction, so one task uses it at a time; make one for each task.
///
///     let session = try model.session(shapes: ["input": [1, 28, 28, 1]])
///     session.inputBytes(0).copyMemory(from: pixels)
///     try session.run()
///     let scores = session.outputBytes(0).bindMemory(to: Float.self)
public final class Session {
  private var executor: Executor
  private var workspace: Workspace
  private let plans: PlanCache
  private let owned: [RuntimeMemory]
  private var inputs: [UnsafeMutableRawBufferPointer]
  private var outputs: [UnsafeMutableRawBufferPointer]
  /// What the states start with; their inputs and outputs stand behind the model's own.
  private let initialStates: [Tensor]
  private let inputCount: Int
  private let outputCount: Int

  init(_ plans: PlanCache, _ shapes: [Shape], _ initialStates: [Tensor]) throws {
    self.plans = plans
    let executor = try plans.executor(shapes)
    self.initialStates = initialStates
    inputCount = executor.plan.inputs.count - initialStates.count
    outputCount = executor.plan.outputs.count - initialStates.count
    var made = executor
    do { workspace = try executor.take() } catch let error as KilnError {
      made = try plans.processor(after: error).executor(shapes)
      workspace = try made.take()
    }
    self.executor = made
    for spec in executor.plan.inputs + executor.plan.outputs where spec.dtype == .string {
      throw KilnError(.unsupportedModel, "\(KilnError.quoted(spec.name)) holds strings: use predict")
    }
    let blocks = try (executor.plan.inputs + executor.plan.outputs).map { try RuntimeMemory(byteCount: $0.byteCount) }
    let buffers = zip(blocks, executor.plan.inputs + executor.plan.outputs)
      .map { UnsafeMutableRawBufferPointer(start: $0.base, count: $1.byteCount) }
    owned = blocks
    inputs = Array(buffers.prefix(executor.plan.inputs.count))
    outputs = Array(buffers.dropFirst(executor.plan.inputs.count))
    for (index, buffer) in inputs.enumerated() {
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      workspace.setInput(index, buffer.baseAddress)
    }
    for (index, buffer) in outputs.enumerated() { workspace.setOutput(index, buffer.baseAddress) }
    resetStates()
  }

  deinit { executor.give(workspace) }

  /// The dtypes and shapes, in the model's order.
  public var inputShapes: [Shape] { executor.plan.inputs.prefix(inputCount).map(\.shape) }
  public var outputShapes: [Shape] { executor.plan.outputs.prefix(outputCount).map(\.shape) }

  /// The memory that input `index` is read from.
  public func inputBytes(_ index: Int) -> UnsafeMutableRawBufferPointer { inputs[index] }

  /// The memory that output `index` is written to by `run`.
  public func outputBytes(_ index: Int) -> UnsafeMutableRawBufferPointer { outputs[index] }

  /// Reads input `index` from the caller's memory from now on; it must stay valid and unchanged while `run` runs.
  ///
  /// - Throws: `KilnError` (`usage`) when the size differs or the address is not aligned to the elements.
  public func bindInput(_ index: Int, to memory: UnsafeMutableRawBufferPointer) throws {
    try check(memory, executor.plan.inputs[index])
    inputs[index] = memory
    workspace.setInput(index, memory.baseAddress)
  }

  /// Writes output `index` to the caller's memory from now on; it must not overlap another buffer of the session.
  ///
  /// - Throws: `KilnError` (`usage`) when the size differs or the address is not aligned to the elements.
  public func bindOutput(_ index: Int, to memory: UnsafeMutableRawBufferPointer) throws {
    try check(memory, executor.plan.outputs[index])
    outputs[index] = memory
    workspace.setOutput(index, memory.baseAddress)
  }

  /// Computes the outputs from the inputs.
  public func run() throws {
    do { try executor.run(workspace) } catch let error as KilnError {
      try moveToProcessor(after: error)
      try executor.run(workspace)
    }
    // What was made is what the next run reads.
    for index in initialStates.indices {
      let (input, output) = (inputCount + index, outputCount + index)
      swap(&inputs[input], &outputs[output])
      workspace.setInput(input, inputs[input].baseAddress)
      workspace.setOutput(output, outputs[output].baseAddress)
    }
  }

  /// Goes on without a device that failed.
  private func moveToProcessor(after error: KilnError) throws {
    let moved = try plans.processor(after: error).executor(executor.plan.inputs.map(\.shape))
    executor.give(workspace)
    executor = moved
    workspace = try moved.take()
    for (index, buffer) in inputs.enumerated() { workspace.setInput(index, buffer.baseAddress) }
    for (index, buffer) in outputs.enumerated() { workspace.setOutput(index, buffer.baseAddress) }
  }

  /// Makes the next run begin with the states that the model starts with.
  public func resetStates() {
    for (index, tensor) in initialStates.enumerated() { inputs[inputCount + index].copyMemory(from: tensor.bytes) }
  }

  private func check(_ memory: UnsafeMutableRawBufferPointer, _ spec: TensorSpec) throws {
    guard memory.count == spec.byteCount else {
      throw KilnError(
        .usage, "\(KilnError.quoted(spec.name)): \(spec.dtype.name)\(spec.shape.shapeText) needs \(spec.byteCount) bytes, found \(memory.count)")
    }
    guard let base = memory.baseAddress else { return }
    guard Int(bitPattern: base) % max(1, spec.dtype.byteCount) == 0 else {
      throw KilnError(.usage, "\(KilnError.quoted(spec.name)): the memory is not aligned to \(spec.dtype.name)")
    }
  }
}

extension Model {
  /// Prepares predictions for fixed input shapes.
  ///
  /// - Parameter shapes: by input name; an input whose dims are all known may be left out.
  /// - Throws: `KilnError` (`badInput`) when a shape is missing or does not fit.
  public func session(shapes: [String: Shape] = [:]) throws -> Session {
    let ordered = try inputs.map { input in
      if let shape = shapes[input.name] { return shape }
      var known = input.dims.compactMap { $0 }
      if let stateBatch { known.insert(stateBatch, at: 0) }
      guard known.count == input.dims.count else {
        throw KilnError(.badInput, "input \(KilnError.quoted(input.name)): a shape is needed for \(input.typeText)")
      }
      return known
    }
    return try Session(plans, ordered + initialState.tensors.map(\.shape), initialState.tensors)
  }
}

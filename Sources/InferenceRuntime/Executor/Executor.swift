import CKernels
import Synchronization
import TensorModule

/// Runs a plan. Any number of calls may run at once: each takes a workspace, which is kept for later calls.
package final class Executor: Sendable {
  package let plan: Plan
  package let pool: ThreadPool
  private let free: Mutex<[Workspace]>

  /// Workspaces kept while no call uses them.
  private static let keptWorkspaces = 16

  package init(_ plan: Plan, pool: ThreadPool) {
    self.plan = plan
    self.pool = pool
    var list: [Workspace] = []
    list.reserveCapacity(Self.keptWorkspaces)
    free = Mutex(list)
  }

  /// Computes the outputs from the inputs.
  ///
  /// - Parameters:
  ///   - inputs: one address for each input of the plan, aligned to its element; read only. Ignored for strings.
  ///   - outputs: one address for each output, aligned to its element, not overlapping any input. Ignored for strings.
  package func run(
    _ inputs: UnsafePointer<UnsafeRawPointer?>, _ outputs: UnsafePointer<UnsafeMutableRawPointer?>
  ) throws {
    let workspace = try take()
    bind(workspace, inputs, outputs)
    defer { give(workspace) }
    try run(workspace)
  }

  /// Computes the outputs as new tensors.
  ///
  /// - Parameter inputs: one for each input, of the plan's dtypes and shapes.
  package func run(_ inputs: [Tensor]) throws -> [Tensor] {
    try withTensors(inputs) { try run($0) }
  }

  /// Runs one prediction and notes what each node took.
  ///
  /// - Parameter keepsEvents: also when each thread did what.
  package func timed(_ inputs: [Tensor], keepsEvents: Bool = false) throws -> StepRecorder {
    let recorder = StepRecorder(plan, keepsEvents: keepsEvents)
    _ = try withTensors(inputs) { workspace in
      workspace.record(recorder)
      defer { workspace.record(nil) }
      try run(workspace)
    }
    return recorder
  }

  private func withTensors(_ inputs: [Tensor], _ body: (Workspace) throws -> Void) throws -> [Tensor] {
    guard inputs.count == plan.inputs.count else {
      throw KilnError(.badInput, "the model has \(plan.inputs.count) inputs, found \(inputs.count)")
    }
    for (tensor, spec) in zip(inputs, plan.inputs) where tensor.dtype != spec.dtype || tensor.shape != spec.shape {
      throw KilnError(
        .badInput,
        "input \(KilnError.quoted(spec.name)): expected \(spec.dtype.name)\(spec.shape.shapeText), found \(tensor.dtype.name)\(tensor.shape.shapeText)")
    }
    let workspace = try take()
    workspace.allowIterations(plan.maximumIterations)
    defer { give(workspace) }
    for (index, tensor) in inputs.enumerated() {
      if let slot = plan.inputStrings[index] { workspace.strings[slot] = tensor } else {
        workspace.setInput(index, UnsafeMutableRawPointer(mutating: tensor.address))
      }
    }
    let memories = try plan.outputs.map { try RuntimeMemory(byteCount: $0.byteCount) }
    for (index, memory) in memories.enumerated() { workspace.setOutput(index, memory.base) }
    try body(workspace)
    return try zip(plan.outputs, zip(plan.outputStrings, memories)).map { spec, place in
      guard let slot = place.0 else {
        return Tensor(dtype: spec.dtype, shape: spec.shape, address: UnsafeRawPointer(place.1.base), owner: place.1)
      }
      guard let tensor = workspace.strings[slot] else { throw KilnError(.internal, "a string output was not made") }
      return tensor
    }
  }

  /// Runs with the addresses that are in the workspace.
  package func run(_ workspace: Workspace) throws {
    workspace.allowIterations(plan.maximumIterations)
    try Self.run(plan, workspace, pool)
  }

  /// Runs a plan, also one inside another, with the addresses that are in its workspace.
  static func run(_ plan: Plan, _ workspace: Workspace, _ pool: ThreadPool) throws {
    if let recorder = workspace.recorder {
      try recorder.run(workspace, pool)
      return try workspace.checkFlags(plan.flagErrors)
    }
    for segment in plan.segments {
      if segment.host >= 0 {
        try plan.hostActions[Int(segment.host)].run(workspace, pool)
      } else {
        kiln_execute(
          plan.steps + Int(segment.firstStep), segment.stepCount, plan.operands, workspace.bases, pool.handle)
      }
    }
    try workspace.checkFlags(plan.flagErrors)
  }

  @inline(__always)
  private func bind(
    _ workspace: Workspace, _ inputs: UnsafePointer<UnsafeRawPointer?>, _ outputs: UnsafePointer<UnsafeMutableRawPointer?>
  ) {
    for index in 0..<plan.inputs.count { workspace.setInput(index, UnsafeMutableRawPointer(mutating: inputs[index])) }
    for index in 0..<plan.outputs.count { workspace.setOutput(index, outputs[index]) }
  }

  /// A workspace for one caller at a time; `give` returns it.
  package func take() throws -> Workspace {
    if let found = free.withLock({ $0.popLast() }) { return found }
    return try Workspace(plan)
  }

  package func give(_ workspace: Workspace) {
    free.withLock { if $0.count < Self.keptWorkspaces { $0.append(workspace) } }
  }
}

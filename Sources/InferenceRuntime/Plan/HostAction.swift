/// What runs between two runs of native steps.
enum HostAction: Sendable {
  /// A node without a fast kernel.
  case op(HostStep)
  case loop(LoopStep)
  case branch(BranchStep)
  /// A loop or branch whose graphs have no plans of fixed shapes.
  case interpreted(InterpretedStep)
  /// Nodes on a device.
  case device(DeviceStep)

  func run(_ workspace: Workspace, _ pool: ThreadPool) throws {
    switch self {
    case .op(let step): try step.run(workspace)
    case .loop(let step): try step.run(workspace, pool)
    case .branch(let step): try step.run(workspace, pool)
    case .interpreted(let step): try step.run(workspace)
    case .device(let step): try step.run(workspace)
    }
  }

  /// The action with its operands placed, where it works on tensors.
  func with(inputs: [HostStep.Operand], outputs: [HostStep.Operand]) -> HostAction {
    switch self {
    case .op(var step):
      (step.inputs, step.outputs) = (inputs, outputs)
      return .op(step)
    case .interpreted(var step):
      (step.inputs, step.outputs) = (inputs, outputs)
      return .interpreted(step)
    case .device(var step):
      (step.inputs, step.outputs) = (inputs, outputs)
      return .device(step)
    case .loop, .branch: return self
    }
  }

  /// Whether it runs native steps only, and so allocates nothing.
  var isNative: Bool {
    switch self {
    case .op, .interpreted: false
    case .device: true
    case .loop(let step): step.body.isNative && (step.condition?.isNative ?? true)
    case .branch(let step): step.branches.allSatisfy(\.isNative)
    }
  }

  /// The plans that it runs, and where the arena of each begins in the outer arena: in the order of `Workspace.nested`.
  var nestedPlans: [(plan: Plan, offset: Int64)] {
    switch self {
    case .op, .interpreted, .device: []
    case .loop(let step): [(step.body, step.bodyArena)] + (step.condition.map { [($0, step.conditionArena)] } ?? [])
    case .branch(let step): step.branches.map { ($0, step.arena) }
    }
  }
}

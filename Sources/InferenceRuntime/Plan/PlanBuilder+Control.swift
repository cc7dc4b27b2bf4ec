import CKernels
import GraphModule
import TensorModule

/// A loop or branch before memory is planned.
struct PendingControl {
  enum Kind {
    case loop(Loop, body: Plan, condition: Plan?)
    case branch(Branch, [Plan])
  }

  var kind: Kind
  var name: String
  /// What `operands` holds is said where they are made.
  var operands: [StepOperand] = []
  var temporaries: [Int] = []

  mutating func temporary(_ bytes: Int) -> StepOperand {
    temporaries.append(max(64, bytes))
    return .temporary(temporaries.count - 1, byteOffset: 0)
  }
}

extension PlanBuilder {
  /// Whether the graphs of a control flow op have plans: their inputs and outputs are numbers, their sizes known.
  static func isPlannable(_ op: any ControlFlowOp) -> Bool {
    op.subgraphs.allSatisfy { graph in
      !graph.hasDataSizes
        && (graph.inputs + graph.outputs.map(\.value)).allSatisfy { graph.type(of: $0).dtype != .string }
    }
  }

  /// The plan of a subgraph, which shares packed weights with this one.
  ///
  /// - Parameter overwritable: inputs that it may write over, each with the output that takes its place.
  /// - Parameter times: how often it runs in each run of this plan; nil when that is not known.
  private func nested(_ graph: Graph, _ inputs: [TensorType], times: Int?, overwritable: [Int: Int] = [:]) throws -> Plan {
    try PlanBuilder.plan(
      graph, shapes: inputs.compactMap(\.shape), options: options.inside(times: times), weights: store, pool: pool, overwritable: overwritable)
  }

  func pending(_ op: any ControlFlowOp, _ node: Node, name: String) throws -> PendingControl {
    switch op {
    case let op as Loop: return try loop(op, node, name)
    case let op as Branch: return try branch(op, node, name)
    default: throw KilnError(.internal, "op '\(op.opName)' has no plan", at: [name])
    }
  }

  /// Operands: the number, the flag, the count of iterations; for each carried value its first value, its result and a
  /// spare; slices; captures; stacked results; the arenas of body and condition.
  private func loop(_ op: Loop, _ node: Node, _ name: String) throws -> PendingControl {
    let types = node.inputs.map(graph.type(of:))
    let pairs = Dictionary(uniqueKeysWithValues: (0..<op.carried).map { (1 + $0, $0) })
    let times = op.condition == nil ? (op.sliced > 0 ? types[op.carried].shape?.first : op.maxTrips) : nil
    let body = try nested(op.body, op.bodyInputs(types), times: times, overwritable: pairs)
    let condition = try op.condition.map { try nested($0, op.conditionInputs(types), times: nil) }
    var pending = PendingControl(kind: .loop(op, body: body, condition: condition), name: name)
    pending.operands = [pending.temporary(8), pending.temporary(8), value(node.outputs[node.outputs.count - 1])]
    for index in 0..<op.carried {
      let spare: StepOperand =
        body.inPlaceOutputs.contains(index) ? .absent : pending.temporary(byteCount(node.inputs[index]))
      pending.operands += [operand(node.inputs[index]), value(node.outputs[index]), spare]
    }
    pending.operands += node.inputs[op.carried...].map(operand)
    pending.operands += node.outputs[op.carried..<node.outputs.count - 1].map(value)
    pending.operands.append(pending.temporary(body.workspaceBytes))
    if let condition { pending.operands.append(pending.temporary(condition.workspaceBytes)) }
    return pending
  }

  /// Operands: the selector, captures, results, the arena.
  private func branch(_ op: Branch, _ node: Node, _ name: String) throws -> PendingControl {
    let plans = try op.branches.map { try nested($0, node.inputs.dropFirst().map(graph.type(of:)), times: 1) }
    var pending = PendingControl(kind: .branch(op, plans), name: name)
    pending.operands = node.inputs.map(operand) + node.outputs.map(value)
    pending.operands.append(pending.temporary(plans.map(\.workspaceBytes).max() ?? 0))
    return pending
  }

  private func operand(_ id: ValueID) -> StepOperand {
    constantOf[id.index].map { .memory($0.address) } ?? value(id)
  }

  private func value(_ id: ValueID) -> StepOperand { .value(id, byteOffset: 0) }

  /// The action, with operands resolved.
  func action(_ pending: PendingControl, _ node: Node, _ places: [kiln_operand], nested: Int) -> HostAction {
    switch pending.kind {
    case .branch(let op, let plans):
      let captures = node.inputs.count - 1
      return .branch(
        BranchStep(
          name: pending.name, op: op, branches: plans, nested: nested, arena: places[places.count - 1].offset,
          selector: places[0], selectorType: graph.type(of: node.inputs[0]).dtype, captures: Array(places[1..<1 + captures]),
          results: Array(places[(1 + captures)..<(places.count - 1)])))
    case .loop(let op, let body, let condition):
      func rows(_ id: ValueID, _ place: kiln_operand) -> LoopStep.Rows {
        let length = graph.type(of: id).shape?.first ?? 0
        return LoopStep.Rows(place: place, rowBytes: length == 0 ? 0 : byteCount(id) / length, count: length)
      }
      let firstOperand = 3 + 3 * op.carried
      let firstResult = firstOperand + node.inputs.count - op.carried
      let carried = (0..<op.carried).map { index in
        let spoils = body.overwrittenInputs.contains(1 + index)
        return LoopStep.Carried(
          initial: places[3 + 3 * index], result: places[4 + 3 * index], spare: places[5 + 3 * index],
          byteCount: byteCount(node.inputs[index]),
          passing: body.inPlaceOutputs.contains(index) ? (spoils ? .inPlace : .same) : .alternating(copied: spoils))
      }
      let bound = min(op.sliced > 0 ? graph.type(of: node.inputs[op.carried]).shape?.first ?? 0 : Int.max, op.maxTrips ?? Int.max)
      let arenas = places[(firstResult + op.stacked)...].map(\.offset)
      return .loop(
        LoopStep(
          name: pending.name, body: body, condition: condition, nested: nested, bodyArena: arenas.first ?? 0,
          conditionArena: arenas.last ?? 0, bound: bound, number: places[0], flag: places[1], trips: places[2],
          carried: carried,
          slices: (0..<op.sliced).map { rows(node.inputs[op.carried + $0], places[firstOperand + $0]) },
          captures: Array(places[(firstOperand + op.sliced)..<firstResult]),
          stacked: (0..<op.stacked).map { rows(node.outputs[op.carried + $0], places[firstResult + $0]) }))
    }
  }

  /// A control flow op whose graphs run on tensors.
  func interpreted(_ op: any ControlFlowOp, _ node: Node, name: String) throws -> InterpretedStep {
    let kind: InterpretedStep.Op
    switch op {
    case let op as Loop: kind = .loop(op)
    case let op as Branch: kind = .branch(op)
    default: throw KilnError(.internal, "op '\(op.opName)' has no plan", at: [name])
    }
    return InterpretedStep(
      op: kind, name: name, plans: op.subgraphs.map { PlanCache($0, options: options.inside(times: nil), pool: pool) }, inputs: [],
      outputs: [], outputTypes: node.outputs.map(graph.type(of:)))
  }
}

import CKernels
import GraphModule
import TensorModule

extension PlanBuilder {
  mutating func assemble(_ copies: [(value: ValueID, output: Int)]) throws -> Plan {
    let concurrent = concurrentGroups()
    for group in concurrent {
      // What is alive at one of them is alive at all.
      for index in buffers.indices {
        if group.contains(buffers[index].first) { buffers[index].first = group.lowerBound }
        if group.contains(buffers[index].last) { buffers[index].last = group.upperBound - 1 }
      }
    }
    var requests: [ArenaPlanner.Request] = []
    var arenaBuffers: [Int] = []
    for (index, buffer) in buffers.enumerated() {
      if case .arena = buffer.place {
        requests.append(ArenaPlanner.Request(byteCount: buffer.byteCount, first: buffer.first, last: buffer.last))
        arenaBuffers.append(index)
      }
    }
    for (index, item) in items.enumerated() {
      let span = concurrent.first { $0.contains(index) } ?? index..<index + 1
      requests += item.temporaries.map {
        ArenaPlanner.Request(byteCount: $0, first: span.lowerBound, last: span.upperBound - 1)
      }
    }
    // The single buffers first: what is left is small enough to be added up.
    try checkMemory(requests.map(\.byteCount).max() ?? 0)
    let layout = ArenaPlanner.plan(requests)
    try checkMemory(graph.outputs.reduce(layout.byteCount) { $0.addingReportingOverflow(byteCount($1.value)).partialValue })
    for (position, index) in arenaBuffers.enumerated() { buffers[index].offset = layout.offsets[position] }
    report.arenaBytes = layout.byteCount
    report.arenaLowerBound = ArenaPlanner.lowerBound(requests)
    report.arenaGreedyBytes = layout.greedyByteCount

    let anchor = weightsAnchor()
    let outputBase = Plan.firstInputBase + Int32(graph.inputs.count)
    var steps: [kiln_step] = []
    var operands: [kiln_operand] = []
    var segments: [Plan.Segment] = []
    var hostActions: [HostAction] = []
    var nestedCount = 0
    var temporaryOffset = arenaBuffers.count
    var runStart = 0
    var together: [(step: PendingStep, temporaries: Int, firstFlag: Int)] = []

    func append(_ pending: PendingStep, _ temporaries: Int, _ firstFlag: Int) throws {
      let first = operands.count
      for operand in pending.operands { operands.append(try resolve(operand, anchor, layout, temporaries, firstFlag)) }
      steps.append(
        kiln_step(
          kernel: pending.kernel, params: pending.params, first_operand: Int32(first),
          operand_count: Int32(pending.operands.count), parts: pending.parts))
    }
    func closeRun() {
      if steps.count > runStart {
        segments.append(Plan.Segment(firstStep: Int32(runStart), stepCount: Int32(steps.count - runStart), host: -1))
      }
      runStart = steps.count
    }

    /// Independent steps as one, with a part for each.
    func appendConcurrent(_ members: [(step: PendingStep, temporaries: Int, firstFlag: Int)]) throws {
      var params = kiln_concurrent_params()
      let first = operands.count
      for member in members {
        let own = kiln_concurrent_step(
          kernel: member.step.kernel, params: member.step.params, first_operand: Int32(operands.count - first))
        withUnsafeMutableBytes(of: &params.steps) {
          $0.bindMemory(to: kiln_concurrent_step.self)[Int(params.count)] = own
        }
        params.count += 1
        for operand in member.step.operands {
          operands.append(try resolve(operand, anchor, layout, member.temporaries, member.firstFlag))
        }
      }
      steps.append(
        kiln_step(
          kernel: kiln_concurrent, params: UnsafeRawPointer(try parameters.store(params)), first_operand: Int32(first),
          operand_count: Int32(operands.count - first), parts: Int32(members.count)))
    }

    func append(_ action: HostAction, _ node: Int) {
      closeRun()
      report.nodes[node].host = hostActions.count
      segments.append(Plan.Segment(firstStep: 0, stepCount: 0, host: Int32(hostActions.count)))
      nestedCount += action.nestedPlans.count
      hostActions.append(action)
    }

    for (index, item) in items.enumerated() {
      switch item {
      case .native(let pending, let temporaries, let firstFlag):
        let start = steps.count
        let group = concurrent.first { $0.contains(index) }
        for step in group == nil ? pending : pending.dropLast() { try append(step, temporaryOffset, firstFlag) }
        if let group, let last = pending.last {
          together.append((last, temporaryOffset, firstFlag))
          if index == group.upperBound - 1 {
            try appendConcurrent(together)
            together = []
          }
        }
        temporaryOffset += temporaries.count
        report.nodes[index].steps = start..<steps.count
      case .host(let action, let values, let results):
        append(action.with(inputs: try values.map(hostOperand), outputs: try results.map(hostOperand)), index)
      case .control(let pending):
        let places = try pending.operands.map { try resolve($0, anchor, layout, temporaryOffset, 0) }
        temporaryOffset += pending.temporaries.count
        append(action(pending, graph.nodes[index], places, nested: nestedCount), index)
      }
    }
    for copy in copies {
      let source = constantOf[copy.value.index].map { StepOperand.memory($0.address) } ?? .value(copy.value, byteOffset: 0)
      guard var pending = copyStep(from: source, .absent, byteCount(copy.value)) else { continue }
      pending.operands = [source]
      try append(pending, 0, 0)
      operands.append(kiln_operand(base: outputBase + Int32(copy.output), offset: 0))
      steps[steps.count - 1].operand_count = 2
    }
    closeRun()

    func spec(_ name: String, _ id: ValueID) -> TensorSpec {
      TensorSpec(name: name, dtype: graph.type(of: id).dtype, shape: graph.type(of: id).shape ?? [])
    }
    for output in graph.outputs where graph.type(of: output.value).dtype == .string {
      if let tensor = constantOf[output.value.index] { constantStrings(tensor, output.value, &hostActions, &segments) }
    }
    return Plan(
      Plan.Parts(
        inputs: graph.inputs.map { spec(graph[$0].name, $0) },
        outputs: graph.outputs.map { spec($0.name, $0.value) },
        report: report, stepCount: steps.count,
        steps: UnsafePointer(try parameters.store(steps)),
        operands: UnsafePointer(try parameters.store(operands)),
        segments: segments, hostActions: hostActions, overwrittenInputs: overwrittenInputs, inPlaceOutputs: inPlaceOutputs,
        maximumIterations: options.maximumIterations, stringSlotCount: stringSlots.count, flagErrors: flagMessages,
        inputStrings: graph.inputs.map { stringSlots[$0] },
        outputStrings: graph.outputs.map { stringSlots[$0.value] },
        weightsBase: anchor, deviceProgram: deviceProgram, memory: parameters, weights: weights, constants: constantOf.compactMap { $0 }))
  }

  /// A string output that is a constant: handed over by a step that does nothing but that.
  mutating func constantStrings(
    _ tensor: Tensor, _ value: ValueID, _ hostActions: inout [HostAction], _ segments: inout [Plan.Segment]
  ) {
    let place = HostStep.Operand.strings(slot: slot(value))
    segments.append(Plan.Segment(firstStep: 0, stepCount: 0, host: Int32(hostActions.count)))
    hostActions.append(
      .op(
        HostStep(
          op: Elementwise(.identity), name: graph[value].name, inputs: [.constant(tensor)], outputs: [place],
          outputTypes: [graph.type(of: value)])))
  }

  /// The lowest address that steps read weights from; their operands are offsets from it.
  func weightsAnchor() -> UnsafeRawPointer? {
    var lowest: UnsafeRawPointer?
    for operands in items.flatMap(\.operands) {
      for case .memory(let address) in operands where lowest.map({ address < $0 }) ?? true { lowest = address }
    }
    for output in graph.outputs {
      if let address = constantOf[output.value.index]?.address, lowest.map({ address < $0 }) ?? true { lowest = address }
    }
    return lowest
  }

  func resolve(
    _ operand: StepOperand, _ anchor: UnsafeRawPointer?, _ layout: ArenaPlanner.Layout, _ temporaries: Int,
    _ firstFlag: Int
  ) throws -> kiln_operand {
    switch operand {
    case .absent: return kiln_operand(base: -1, offset: 0)
    case .temporary(let index, let byteOffset):
      return kiln_operand(base: Plan.arenaBase, offset: Int64(layout.offsets[temporaries + index] + byteOffset))
    case .errorFlag(let index):
      // Flags lie behind the arena's planned part.
      return kiln_operand(base: Plan.arenaBase, offset: Int64(layout.byteCount + (firstFlag + index) * 4))
    case .memory(let address):
      guard let anchor else { throw KilnError(.internal, "weights without an anchor") }
      return kiln_operand(base: Plan.weightBase, offset: Int64(address - anchor))
    case .value(let id, let byteOffset):
      guard let place = place(of: id) else { throw KilnError(.internal, "'\(graph[id].name)' has no memory") }
      return kiln_operand(base: place.base, offset: place.offset + Int64(byteOffset))
    }
  }

  func place(of id: ValueID) -> (base: Int32, offset: Int64)? {
    guard let storage = storage[id.index] else { return nil }
    let buffer = buffers[storage.buffer]
    let offset = Int64(storage.byteOffset)
    switch buffer.place {
    case .arena: return (Plan.arenaBase, Int64(buffer.offset) + offset)
    case .input(let index): return (Plan.firstInputBase + Int32(index), offset)
    case .output(let index): return (Plan.firstInputBase + Int32(graph.inputs.count + index), offset)
    case .merged: return nil
    }
  }

  func hostOperand(_ id: ValueID) throws -> HostStep.Operand {
    if let slot = stringSlots[id] { return .strings(slot: slot) }
    if let tensor = constantOf[id.index] { return .constant(tensor) }
    guard let place = place(of: id) else { throw KilnError(.internal, "'\(graph[id].name)' has no memory") }
    return .memory(graph.type(of: id), base: place.base, offset: place.offset)
  }
}

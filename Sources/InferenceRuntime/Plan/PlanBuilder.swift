import CKernels
import GraphModule
import TensorModule

/// Makes a plan from a graph: picks kernels node by node, then places values in memory.
///
/// Values live in *buffers*. A reshape puts its result in its operand's buffer; a result that may be written in place
/// takes over the buffer of an operand that dies there. A buffer is alive from the node that first writes it to the last
/// node that reads any value in it. In the end a buffer is an input, an output (then results are written where the
/// caller wants them) or a part of the arena.
package struct PlanBuilder {
  enum Place {
    case arena
    case input(Int)
    case output(Int)
    /// Its values have moved to another buffer.
    case merged
  }

  struct Buffer {
    var byteCount: Int
    var first: Int
    var last: Int
    var place: Place = .arena
    var offset = 0
  }

  struct Storage {
    var buffer: Int
    var byteOffset: Int
  }

  enum Item {
    case native([PendingStep], temporaries: [Int], firstFlag: Int)
    case host(HostAction, values: [ValueID], results: [ValueID])
    case control(PendingControl)

    var temporaries: [Int] {
      switch self {
      case .native(_, let temporaries, _): temporaries
      case .control(let pending): pending.temporaries
      case .host: []
      }
    }

    /// Those of each step.
    var operands: [[StepOperand]] {
      switch self {
      case .native(let steps, _, _): steps.map(\.operands)
      case .control(let pending): [pending.operands]
      case .host: []
      }
    }
  }

  let graph: Graph
  let options: PlanOptions
  let store: WeightStore
  let pool: ThreadPool
  /// Inputs that may be written over, each with the output that takes its place.
  let overwritable: [Int: Int]
  let deviceProgram: (any DeviceProgram)?
  let parameters = ParameterMemory()
  var lastUse: [Int]
  var storage: [Storage?]
  private(set) var constantOf: [Tensor?]
  var stringSlots: [ValueID: Int] = [:]
  var buffers: [Buffer] = []
  var items: [Item] = []
  var weights: [RuntimeMemory] = []
  var overwrittenInputs: Set<Int> = []
  var inPlaceOutputs: Set<Int> = []
  var flagMessages: [KilnError] = []
  var report = PlanReport()
  /// Nodes whose sequences run at the same time.
  let groups: [Range<Int>]
  let prologues: Prologues
  /// By the result of a pooling.
  let poolActivations: [ValueID: Activation]

  /// The plan of `graph` for inputs of the given shapes.
  ///
  /// - Parameters:
  ///   - weights: shared by the plans of one graph.
  ///   - pool: packs the weights.
  ///   - overwritable: inputs that the plan may write over, each with the output that takes its place (as the carried
  ///     values of a loop); the plan says which it did.
  /// - Throws: `KilnError` (`badInput`) when a shape does not fit.
  package static func plan(
    _ graph: Graph, shapes: [Shape], options: PlanOptions = PlanOptions(), weights: WeightStore = WeightStore(),
    pool: ThreadPool = .single, overwritable: [Int: Int] = [:]
  ) throws -> Plan {
    let specialized = try graph.specialized(to: shapes)
    let placement = options.referenceOnly ? nil : try options.device?.place(specialized, options.residents)
    var builder = PlanBuilder(placement?.graph ?? specialized, options, weights, pool, overwritable, placement?.program)
    return try builder.build()
  }

  /// The names of the ops that have a fast kernel for some types and attributes.
  package static var opsWithKernels: [String] {
    OpCatalog.all.filter { $0 is any CPUBinding.Type }.map { $0.name }.sorted()
  }

  private init(
    _ graph: Graph, _ options: PlanOptions, _ store: WeightStore, _ pool: ThreadPool, _ overwritable: [Int: Int],
    _ deviceProgram: (any DeviceProgram)?
  ) {
    self.overwritable = overwritable
    self.deviceProgram = deviceProgram
    // Parts of a device's program read what earlier parts left there: they keep their order.
    let most = deviceProgram == nil ? min(options.threads, Int(KILN_MOST_CONCURRENT)) : 1
    let joined = options.referenceOnly ? (graph: graph, activations: [:]) : graph.joiningPoolActivations()
    poolActivations = joined.activations
    let paired = joined.graph.groupingSequences(atMost: most)
    groups = paired.groups
    (self.graph, prologues) = options.referenceOnly ? (paired.graph, Prologues()) : paired.graph.absorbingPrologues(options)
    self.options = options
    self.store = store
    self.pool = pool
    lastUse = [Int](repeating: -1, count: graph.values.count)
    storage = [Storage?](repeating: nil, count: graph.values.count)
    constantOf = [Tensor?](repeating: nil, count: graph.values.count)
  }

  mutating func build() throws -> Plan {
    for (id, tensor) in graph.constants { constantOf[id.index] = tensor }
    let end = graph.nodes.count
    for (index, node) in graph.nodes.enumerated() { for input in node.inputs { lastUse[input.index] = index } }
    for output in graph.outputs { lastUse[output.value.index] = end }
    for index in graph.nodes.indices {
      for value in prologues.operands(of: index) { lastUse[value.index] = max(lastUse[value.index], index) }
    }
    for (index, input) in graph.inputs.enumerated() {
      if graph.type(of: input).dtype == .string { slot(input) } else {
        storage[input.index] = Storage(buffer: buffers.count, byteOffset: 0)
        let last = overwritable[index] == nil ? end : 0
        buffers.append(Buffer(byteCount: byteCount(input), first: 0, last: last, place: .input(index)))
      }
    }
    for (index, node) in graph.nodes.enumerated() { try lower(node, index) }
    store.fill(pool)
    let copies = try claimOutputs()
    return try assemble(copies)
  }

  // MARK: Nodes

  mutating func lower(_ node: Node, _ index: Int) throws {
    let name = node.outputs.first.map { graph[$0].name } ?? ""
    var entry = PlanReport.NodeEntry(
      name: name, scope: node.scope, device: node.device, op: node.op.opName, kernel: "", outputType: node.outputs.first.map { graph.type(of: $0).message } ?? "",
      flops: node.op.flops(node.inputs.map(graph.type(of:)), node.outputs.map(graph.type(of:))),
      bytes: (node.inputs + node.outputs).reduce(0) { $0 + byteCount($1) }, parts: 1, steps: 0..<0, inPlace: false)
    for other in prologues.leading(index).map({ graph.nodes[$0] }) {
      entry.flops += other.op.flops(other.inputs.map(graph.type(of:)), other.outputs.map(graph.type(of:)))
      entry.bytes += other.inputs.reduce(-byteCount(other.outputs[0])) { $0 + byteCount($1) }
    }
    if let attention = prologues.attentions[index] {
      entry.flops = (attention.nodes + [index]).map { graph.nodes[$0] }.reduce(0) { $0 + $1.op.flops($1.inputs.map(graph.type(of:)), $1.outputs.map(graph.type(of:))) }
      entry.bytes = (attention.operands + node.outputs).reduce(0) { $0 + byteCount($1) }
    }
    let hasStrings = (node.inputs + node.outputs).contains { graph.type(of: $0).dtype == .string }
    let isEmpty = !hasStrings && node.outputs.allSatisfy { byteCount($0) == 0 }
    if let run = node.op as? DeviceRun {
      for output in node.outputs { define(output, at: index) }
      entry.kernel = PlanReport.deviceKernel
      entry.deviceNodes = deviceProgram?.nodes(of: run.part) ?? []
      items.append(.host(.device(DeviceStep(part: run.part, name: name)), values: node.inputs, results: node.outputs))
    } else if prologues.absorbed.contains(index) {
      entry.kernel = "in the reader"
      entry.reason = "the product or pooling that follows does it on the way in"
      items.append(.native([], temporaries: [], firstFlag: 0))
    } else if prologues.isInTurns(index) {
      entry.kernel = "in turns"
      entry.reason = "a node that follows computes it by a few rows at a time"
      entry.flops = 0
      items.append(.native([], temporaries: [], firstFlag: 0))
    } else if prologues.inAttention.contains(index) {
      entry.kernel = "in attention"
      entry.reason = "the attention that follows does it by blocks of rows"
      entry.flops = 0
      items.append(.native([], temporaries: [], firstFlag: 0))
    } else if isEmpty {
      entry.kernel = "empty"
      entry.reason = "no elements"
      for output in node.outputs { define(output, at: index) }
      items.append(.native([], temporaries: [], firstFlag: 0))
    } else if !hasStrings, !options.referenceOnly, let op = node.op as? any CPUBinding,
      let lowering = try attempt(op, node, index)
    {
      adopt(lowering, index, &entry)
    } else if !options.referenceOnly, let op = node.op as? any ControlFlowOp {
      for output in node.outputs {
        if graph.type(of: output).dtype == .string { slot(output) } else { define(output, at: index) }
      }
      entry.kernel = op.opName
      entry.reason = Self.isPlannable(op) ? "its graphs have plans of their own" : "its graphs have strings or sizes known only when it runs"
      if Self.isPlannable(op) { items.append(.control(try pending(op, node, name: name))) } else {
        items.append(.host(.interpreted(try interpreted(op, node, name: name)), values: node.inputs, results: node.outputs))
      }
    } else {
      entry.kernel = PlanReport.referenceKernel
      entry.reason = fallbackReason(node)
      for output in node.outputs {
        if graph.type(of: output).dtype == .string { slot(output) } else { define(output, at: index) }
      }
      let step = HostStep(
        op: node.op, name: name, inputs: [], outputs: [], outputTypes: node.outputs.map(graph.type(of:)))
      items.append(.host(.op(step), values: node.inputs, results: node.outputs))
    }
    for input in node.inputs { extend(input, to: index) }
    report.nodes.append(entry)
  }

  /// Why a node runs by its op's definition.
  func fallbackReason(_ node: Node) -> String {
    if options.referenceOnly { return "asked for" }
    guard node.op is any CPUBinding else { return "the op has no kernel" }
    let types = (node.inputs + node.outputs).map { graph.type(of: $0).dtype.name }
    let distinct = types.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    return "no kernel for \(distinct.joined(separator: ", ")) with these attributes"
  }

  func attempt(_ op: any CPUBinding, _ node: Node, _ index: Int) throws -> NodeLowering? {
    let lastUse = lastUse
    let (storage, buffers) = (storage, buffers)
    let lowering = try NodeLowering(
      node, in: graph, isUsed: { lastUse[$0.index] >= 0 },
      canMerge: { input in
        // A buffer that the operand alone fills, and no other operand of the node lies in.
        guard let place = storage[node.inputs[input].index], place.byteOffset == 0 else { return false }
        let buffer = buffers[place.buffer]
        guard case .arena = buffer.place else { return false }
        let type = graph.type(of: node.inputs[input])
        return buffer.byteCount == (type.elementCount.fixed ?? 0) * type.dtype.byteCount
          && node.inputs.indices.allSatisfy { $0 == input || storage[node.inputs[$0].index]?.buffer != place.buffer }
      },
      options: options, parameters: parameters, store: store, hasCompanion: groups.contains { $0.contains(index) },
      prologue: prologues.byReader[index], activation: poolActivations[node.outputs[0]] ?? .identity,
      band: prologues.bands[index]?.map { graph.nodes[$0] }, first: prologues.pairs[index].map { graph.nodes[$0] },
      attention: prologues.attentions[index])
    if lowering.attention != nil {
      try lowering.lowerAttention()
      return lowering
    }
    return try op.lower(lowering) ? lowering : nil
  }

  mutating func adopt(_ lowering: NodeLowering, _ index: Int, _ entry: inout PlanReport.NodeEntry) {
    let node = lowering.node
    var aliasCopies: [PendingStep] = []
    for (number, output) in node.outputs.enumerated() {
      if let alias = lowering.aliases.first(where: { $0.output == number }) {
        let source = node.inputs[alias.input]
        if var place = storage[source.index] {
          place.byteOffset += alias.byteOffset
          storage[output.index] = place
          extend(output, to: max(index, lastUse[output.index]))
        } else {
          // A constant under another shape.
          define(output, at: index)
          if let step = copyStep(from: lowering.input(alias.input, byteOffset: alias.byteOffset), to: output) {
            aliasCopies.append(step)
          }
        }
      } else if let buffer = takeOver(number, lowering, index) {
        storage[output.index] = Storage(buffer: buffer, byteOffset: 0)
        if case .input(let input) = buffers[buffer].place { overwrittenInputs.insert(input) }
        extend(output, to: max(index, lastUse[output.index]))
        entry.inPlace = true
      } else {
        define(output, at: index)
      }
    }
    for part in lowering.merged { merge(node.inputs[part.input], into: node.outputs[0], at: part.byteOffset) }
    weights += lowering.weights
    let firstFlag = flagMessages.count
    flagMessages += lowering.errorMessages.map { KilnError(.badInput, $0, at: [entry.name]) }
    let steps = lowering.steps + aliasCopies
    entry.kernel = steps.isEmpty ? "alias" : lowering.labels.isEmpty ? "copy" : lowering.labels.joined(separator: " + ")
    entry.parts = Int(steps.map(\.parts).max() ?? 1)
    entry.reason = lowering.reason
    if entry.reason.isEmpty { entry.reason = steps.isEmpty ? "its bytes are those of an operand" : "the op's kernel for \(graph.type(of: node.outputs[0]).dtype.name)" }
    items.append(.native(steps, temporaries: lowering.temporaries, firstFlag: firstFlag))
  }

  /// The buffer of an operand that the result may overwrite: in the arena, exactly filled by the operand, dead after
  /// this node, and not read by this node in any other way.
  func takeOver(_ output: Int, _ lowering: NodeLowering, _ index: Int) -> Int? {
    let node = lowering.node
    let size = byteCount(node.outputs[output])
    let candidates = lowering.inPlace.filter { $0.output == output }.map(\.input)
    for candidate in candidates {
      guard let place = storage[node.inputs[candidate].index], place.byteOffset == 0 else { continue }
      let buffer = buffers[place.buffer]
      guard isFree(buffer.place), buffer.byteCount == size, buffer.last <= index,
        lastUse[node.inputs[candidate].index] == index
      else { continue }
      let others = node.inputs.indices.filter { storage[node.inputs[$0].index]?.buffer == place.buffer }
      guard others.allSatisfy({ candidates.contains($0) && storage[node.inputs[$0].index]?.byteOffset == 0 }),
        prologues.operands(of: index).allSatisfy({ storage[$0.index]?.buffer != place.buffer })
      else { continue }
      // Two results must not take the same buffer.
      let taken = node.outputs.prefix(output).contains { storage[$0.index]?.buffer == place.buffer }
      if !taken { return place.buffer }
    }
    return nil
  }

  /// Whether results may be written to the buffer.
  func isFree(_ place: Place) -> Bool {
    switch place {
    case .arena: true
    case .input(let index): overwritable[index] != nil
    case .output, .merged: false
    }
  }

  /// Moves every value of the operand's buffer into the result's buffer. Their contents stay, so the result's buffer is
  /// alive from the first of them on, and nothing may overwrite it while one of them is still read.
  mutating func merge(_ operand: ValueID, into result: ValueID, at byteOffset: Int) {
    guard let from = storage[operand.index]?.buffer, let target = storage[result.index] else { return }
    for index in storage.indices where storage[index]?.buffer == from {
      storage[index]?.byteOffset += target.byteOffset + byteOffset
      storage[index]?.buffer = target.buffer
    }
    buffers[target.buffer].first = min(buffers[target.buffer].first, buffers[from].first)
    buffers[target.buffer].last = max(buffers[target.buffer].last, buffers[from].last)
    buffers[from].place = .merged
  }

  mutating func define(_ value: ValueID, at index: Int) {
    storage[value.index] = Storage(buffer: buffers.count, byteOffset: 0)
    buffers.append(Buffer(byteCount: byteCount(value), first: index, last: max(index, lastUse[value.index])))
  }

  mutating func extend(_ value: ValueID, to index: Int) {
    guard let place = storage[value.index] else { return }
    buffers[place.buffer].last = max(buffers[place.buffer].last, index, lastUse[value.index])
  }

  @discardableResult
  mutating func slot(_ value: ValueID) -> Int {
    if let found = stringSlots[value] { return found }
    stringSlots[value] = stringSlots.count
    return stringSlots.count - 1
  }

  func byteCount(_ value: ValueID) -> Int {
    let type = graph.type(of: value)
    return (type.elementCount.fixed ?? 0) * type.dtype.byteCount
  }

  /// The groups all of whose nodes end in a sequence.
  func concurrentGroups() -> [Range<Int>] {
    groups.filter { group in
      group.allSatisfy {
        guard case .native(let steps, _, _) = items[$0] else { return false }
        return steps.last?.isSequence == true
      }
    }
  }

  // MARK: Outputs

  struct CopyParameters {
    var byteCount: Int
  }

  static let copyKernel: kiln_kernel = { params, operands, _, _ in
    guard let params, let operands, let source = operands[0], let target = operands[1] else { return }
    target.copyMemory(from: source, byteCount: params.load(as: CopyParameters.self).byteCount)
  }

  func copyStep(from source: StepOperand, to target: ValueID) -> PendingStep? {
    copyStep(from: source, .value(target, byteOffset: 0), byteCount(target))
  }

  func copyStep(from source: StepOperand, _ target: StepOperand, _ bytes: Int) -> PendingStep? {
    guard bytes > 0, let params = try? parameters.store(CopyParameters(byteCount: bytes)) else { return nil }
    return PendingStep(kernel: Self.copyKernel, params: UnsafeRawPointer(params), operands: [source, target], parts: 1)
  }

  /// Gives buffers to outputs where a buffer holds just that output; the rest are copied in the end.
  mutating func claimOutputs() throws -> [(value: ValueID, output: Int)] {
    var copies: [(ValueID, Int)] = []
    for (index, output) in graph.outputs.enumerated() {
      let type = graph.type(of: output.value)
      if type.dtype == .string { continue }
      if let place = storage[output.value.index], place.byteOffset == 0, case .arena = buffers[place.buffer].place,
        buffers[place.buffer].byteCount == byteCount(output.value)
      {
        buffers[place.buffer].place = .output(index)
      } else if let place = storage[output.value.index], place.byteOffset == 0,
        case .input(let input) = buffers[place.buffer].place, overwritable[input] == index,
        buffers[place.buffer].byteCount == byteCount(output.value)
      {
        inPlaceOutputs.insert(index)
      } else if byteCount(output.value) > 0 {
        copies.append((output.value, index))
      }
    }
    return copies
  }
}

import GraphModule
import InferenceRuntime
import TensorModule

/// Places values of the device's nodes in the device's memory, and turns kernel calls into commands.
///
/// Values live in *buffers*, as in the processor's plans: a reshape puts its result in its operand's buffer, a result that may be
/// written in place takes over the buffer of an operand that dies there. Time runs over the runs in turn: the uploads of a run, its
/// nodes one by one, its downloads.
struct GPUPlanBuilder {
  private struct Buffer {
    var byteCount: Int
    var first: Int
    var last: Int
    /// Where it is when it is no part of the arena.
    var resident: ResidentValues.Place?
  }

  private struct Storage {
    var buffer: Int
    var byteOffset: Int
  }

  private enum PendingArgument {
    case ready(GPUPlan.Argument)
    case place(buffer: Int, byteOffset: Int, byteCount: Int)
  }

  private enum PendingWork {
    case kernel(GPUProgram, String, [PendingArgument], global: [Int], local: [Int])
    case product(BlasProduct, [PendingArgument])
    case copy(from: PendingArgument, to: PendingArgument)
    case flags(to: PendingArgument)
  }

  let graph: Graph
  let context: GPUContext
  let precision: GPUPrecision
  let store: GPUWeightStore
  let queue: GPUQueue
  let failure: GPUFailure
  let residents: ResidentValues

  private var storage: [Storage?]
  private var buffers: [Buffer] = []
  private var lastUse: [Int]
  private var work: [(work: PendingWork, node: Int)] = []
  private var flagErrors: [KilnError] = []
  private var parts: [GPUPlan.Part] = []
  private var boxes: [(inbox: Int?, outbox: Int?)] = []

  init(
    _ graph: Graph, _ context: GPUContext, _ precision: GPUPrecision, _ store: GPUWeightStore, _ queue: GPUQueue, _ failure: GPUFailure,
    _ residents: ResidentValues
  ) {
    self.failure = failure
    self.residents = residents
    self.graph = graph
    self.context = context
    self.precision = precision
    self.store = store
    self.queue = queue
    storage = [Storage?](repeating: nil, count: graph.values.count)
    lastUse = [Int](repeating: -1, count: graph.values.count)
  }

  /// - Parameters:
  ///   - runs: the nodes that run on the device, run by run, with what each takes from the processor and gives to it.
  mutating func build(_ runs: [DeviceRunNodes]) throws -> GPUPlan {
    var time = 0
    for run in runs {
      for (position, entry) in run.nodes.enumerated() { for input in graph.nodes[entry.index].inputs { lastUse[input.index] = time + 1 + position } }
      for output in run.outputs { lastUse[output.index] = max(lastUse[output.index], time + 1 + run.nodes.count) }
      time += run.nodes.count + 2
    }
    guard residents.inputs.isEmpty && residents.outputs.isEmpty || precision == .float32 else {
      throw KilnError(.internal, "values that stay on the GPU are float32 there")
    }
    for output in residents.outputs.keys { lastUse[output.index] = time }
    for (input, place) in residents.inputs {
      storage[input.index] = Storage(buffer: buffers.count, byteOffset: 0)
      buffers.append(Buffer(byteCount: deviceBytes(input), first: 0, last: lastUse[input.index], resident: place))
    }
    time = 0
    for (number, run) in runs.enumerated() {
      try append(run, at: time, isLast: number == runs.count - 1)
      time += run.nodes.count + 2
    }
    return try assemble()
  }

  // MARK: Runs

  private mutating func append(_ run: DeviceRunNodes, at time: Int, isLast: Bool) throws {
    var part = GPUPlan.Part()
    part.operandCount = run.inputs.count
    part.resultCount = run.outputs.count
    let firstCommand = work.count
    let inbox = try upload(run, &part, at: time)
    let firstFlag = flagErrors.count
    for (position, entry) in run.nodes.enumerated() {
      part.nodes.append(try append(graph.nodes[entry.index], entry.lowering, position, at: time + 1 + position))
    }
    part.flags = firstFlag..<flagErrors.count
    if isLast { keepResidents() }
    let outbox = try download(run, &part, at: time + 1 + run.nodes.count)
    part.commands = firstCommand..<work.count
    parts.append(part)
    boxes.append((inbox, outbox))
  }

  private mutating func upload(_ run: DeviceRunNodes, _ part: inout GPUPlan.Part, at time: Int) throws -> Int? {
    var size = 0
    for (index, value) in run.inputs.enumerated() {
      let bytes = hostBytes(value)
      if bytes == 0 {
        storage[value.index] = Storage(buffer: add(1, time, lastUse[value.index]), byteOffset: 0)
        continue
      }
      part.uploads.append(GPUPlan.Piece(operand: index, boxOffset: size, byteCount: bytes))
      size += aligned(bytes)
    }
    if size == 0 { return nil }
    let box = add(size, time, time)
    for piece in part.uploads {
      let value = run.inputs[piece.operand]
      if hostBytes(value) == deviceBytes(value) {
        storage[value.index] = Storage(buffer: box, byteOffset: piece.boxOffset)
        buffers[box].last = max(buffers[box].last, lastUse[value.index])
      } else {
        let target = add(deviceBytes(value), time, lastUse[value.index])
        storage[value.index] = Storage(buffer: target, byteOffset: 0)
        try convert(
          "narrow", from: .place(buffer: box, byteOffset: piece.boxOffset, byteCount: piece.byteCount),
          to: .place(buffer: target, byteOffset: 0, byteCount: deviceBytes(value)), count: hostBytes(value) / 4)
      }
    }
    return box
  }

  private mutating func download(_ run: DeviceRunNodes, _ part: inout GPUPlan.Part, at time: Int) throws -> Int? {
    let wanted = run.outputs.enumerated().filter { hostBytes($0.element) > 0 }
    var size = 0
    for (index, value) in wanted {
      part.downloads.append(GPUPlan.Piece(operand: index, boxOffset: size, byteCount: hostBytes(value)))
      size += aligned(hostBytes(value))
    }
    part.flagOffset = size
    size += part.flags.count * context.device.alignment
    if size == 0 { return nil }
    if let only = part.downloads.first, part.downloads.count == 1, part.flags.isEmpty {
      let value = run.outputs[only.operand]
      // A result that fills its buffer is read from there.
      if let place = storage[value.index], place.byteOffset == 0, hostBytes(value) == deviceBytes(value),
        buffers[place.buffer].byteCount == hostBytes(value)
      {
        buffers[place.buffer].last = max(buffers[place.buffer].last, time)
        return place.buffer
      }
    }
    let box = add(size, time, time)
    for piece in part.downloads {
      let value = run.outputs[piece.operand]
      guard let place = place(value) else { throw KilnError(.internal, "'\(graph[value].name)' is not on the GPU") }
      let target = PendingArgument.place(buffer: box, byteOffset: piece.boxOffset, byteCount: piece.byteCount)
      if hostBytes(value) == deviceBytes(value) { work.append((.copy(from: place, to: target), -1)) } else {
        try convert("widen", from: place, to: target, count: hostBytes(value) / 4)
      }
    }
    if !part.flags.isEmpty {
      work.append((.flags(to: .place(buffer: box, byteOffset: part.flagOffset, byteCount: part.flags.count * context.device.alignment)), -1))
    }
    return box
  }

  /// Adds a conversion between float32 and the device's `real`.
  private mutating func convert(_ name: String, from: PendingArgument, to: PendingArgument, count: Int) throws {
    let program = try context.program(KernelSource(Prelude.conversions).program(precision))
    let group = min(64, context.device.maximumGroup)
    work.append(
      (
        .kernel(
          program, name, [from, to, .ready(.int(Int32(clamping: count)))], global: [(count + group - 1) / group * group], local: [group]), -1
      ))
  }

  // MARK: Nodes

  private mutating func append(_ node: Node, _ lowering: GPULowering, _ position: Int, at time: Int) throws -> PlanReport.NodeEntry {
    var isInPlace = false
    for (number, output) in node.outputs.enumerated() {
      let last = max(time, lastUse[output.index])
      if let alias = lowering.aliases.first(where: { $0.output == number }), var place = storage[node.inputs[alias.input].index] {
        place.byteOffset += alias.byteOffset
        storage[output.index] = place
        buffers[place.buffer].last = max(buffers[place.buffer].last, last)
      } else if let place = residents.outputs[output], let buffer = residentBuffer(place, number, lowering, time) {
        storage[output.index] = Storage(buffer: buffer, byteOffset: 0)
        buffers[buffer].last = max(buffers[buffer].last, last)
      } else if let buffer = takeOver(number, lowering, time) {
        storage[output.index] = Storage(buffer: buffer, byteOffset: 0)
        buffers[buffer].last = max(buffers[buffer].last, last)
        isInPlace = true
      } else {
        storage[output.index] = Storage(buffer: add(deviceBytes(output), time, last), byteOffset: 0)
      }
    }
    let temporaries = lowering.temporaries.map { add($0, time, time) }
    let firstFlag = flagErrors.count
    let name = node.outputs.first.map { graph[$0].name } ?? ""
    flagErrors += lowering.errorMessages.map { KilnError(.badInput, $0, at: [name]) }
    for kernel in lowering.kernels {
      let arguments = try kernel.arguments.map { try argument($0, temporaries, lowering, firstFlag) }
      if let product = kernel.product {
        work.append((.product(product, arguments), position))
        continue
      }
      let program: GPUProgram
      do { program = try context.program(kernel.source.program(precision)) } catch let error as KilnError { throw error.inside(name) }
      work.append((.kernel(program, kernel.name, arguments, global: kernel.global, local: kernel.local), position))
    }
    let types = (node.inputs + node.outputs).map(graph.type(of:))
    var entry = PlanReport.NodeEntry(
      name: name, scope: node.scope, device: node.device, op: node.op.opName,
      kernel: lowering.kernels.isEmpty ? "alias" : lowering.kernelText,
      outputType: node.outputs.first.map { graph.type(of: $0).message } ?? "",
      flops: node.op.flops(node.inputs.map(graph.type(of:)), node.outputs.map(graph.type(of:))),
      bytes: types.reduce(0) { $0 + ($1.elementCount.fixed ?? 0) * precision.storedBytes($1.dtype) }, parts: lowering.kernels.count, steps: 0..<0,
      inPlace: isInPlace)
    entry.reason = lowering.reason
    return entry
  }

  private mutating func argument(
    _ argument: GPUArgument, _ temporaries: [Int], _ lowering: GPULowering, _ firstFlag: Int
  ) throws -> PendingArgument {
    switch argument {
    case .absent: return .ready(.absent)
    case .int(let value): return .ready(.int(value))
    case .long(let value): return .ready(.long(value))
    case .float(let value): return .ready(.float(value))
    case .double(let value): return .ready(.double(value))
    case .errorFlag(let index): return .ready(.flag(firstFlag + index))
    case .temporary(let index): return .place(buffer: temporaries[index], byteOffset: 0, byteCount: lowering.temporaries[index])
    case .weights(let weights): return .ready(.weights(try store.buffer(weights, context, queue)))
    case .value(let value):
      guard let place = place(value) else { throw KilnError(.internal, "'\(graph[value].name)' is not on the GPU") }
      return place
    }
  }

  /// The buffer of an operand that the result may overwrite: exactly filled by the operand, dead after this node, and not read
  /// by this node in any other way.
  private func takeOver(_ output: Int, _ lowering: GPULowering, _ time: Int) -> Int? {
    let node = lowering.node
    let candidates = lowering.inPlace.filter { $0.output == output }.map(\.input)
    for candidate in candidates {
      let value = node.inputs[candidate]
      guard let place = storage[value.index], place.byteOffset == 0, lastUse[value.index] == time else { continue }
      let buffer = buffers[place.buffer]
      guard buffer.resident == nil else { continue }
      guard buffer.byteCount == deviceBytes(node.outputs[output]), buffer.byteCount == deviceBytes(value), buffer.last <= time else { continue }
      let others = node.inputs.indices.filter { storage[node.inputs[$0].index]?.buffer == place.buffer }
      guard others.allSatisfy({ candidates.contains($0) && storage[node.inputs[$0].index]?.byteOffset == 0 }) else { continue }
      if !node.outputs.prefix(output).contains(where: { storage[$0.index]?.buffer == place.buffer }) { return place.buffer }
    }
    return nil
  }

  // MARK: Residents

  /// The buffer of a place that a result may be written to at once: nobody reads later what was there before.
  private mutating func residentBuffer(_ place: ResidentValues.Place, _ output: Int, _ lowering: GPULowering, _ time: Int) -> Int? {
    let node = lowering.node
    guard let old = residents.inputs.first(where: { $0.value == place })?.key, let buffer = storage[old.index]?.buffer else {
      if let known = buffers.firstIndex(where: { $0.resident == place }) { return known }
      buffers.append(Buffer(byteCount: deviceBytes(node.outputs[output]), first: time, last: time, resident: place))
      return buffers.count - 1
    }
    let size = deviceBytes(node.outputs[output])
    guard buffers[buffer].byteCount == size, lastUse[old.index] <= time, buffers[buffer].last <= time else { return nil }
    let readers = node.inputs.indices.filter { storage[node.inputs[$0].index]?.buffer == buffer }
    let allowed = lowering.inPlace.filter { $0.output == output }.map(\.input)
    guard readers.allSatisfy({ allowed.contains($0) && storage[node.inputs[$0].index]?.byteOffset == 0 && deviceBytes(node.inputs[$0]) == size }) else { return nil }
    return node.outputs.prefix(output).contains { storage[$0.index]?.buffer == buffer } ? nil : buffer
  }

  /// Copies the residents that were made elsewhere to their places; those that read a place before those that replace it.
  private mutating func keepResidents() {
    var copies: [(from: PendingArgument, to: PendingArgument, readsPlace: Bool)] = []
    for (output, target) in residents.outputs.sorted(by: { $0.key.index < $1.key.index }) {
      guard deviceBytes(output) > 0, let own = storage[output.index], let from = place(output) else { continue }
      if buffers[own.buffer].resident == target, own.byteOffset == 0 { continue }
      buffers.append(Buffer(byteCount: deviceBytes(output), first: 0, last: 0, resident: target))
      copies.append((from, .place(buffer: buffers.count - 1, byteOffset: 0, byteCount: deviceBytes(output)), buffers[own.buffer].resident != nil))
    }
    for copy in copies.filter(\.readsPlace) + copies.filter({ !$0.readsPlace }) { work.append((.copy(from: copy.from, to: copy.to), -1)) }
  }

  // MARK: Memory

  private mutating func add(_ byteCount: Int, _ first: Int, _ last: Int) -> Int {
    buffers.append(Buffer(byteCount: byteCount, first: first, last: max(first, last)))
    return buffers.count - 1
  }

  private func place(_ value: ValueID) -> PendingArgument? {
    storage[value.index].map { .place(buffer: $0.buffer, byteOffset: $0.byteOffset, byteCount: deviceBytes(value)) }
  }

  private func aligned(_ bytes: Int) -> Int { (bytes + context.device.alignment - 1) / context.device.alignment * context.device.alignment }

  private func hostBytes(_ value: ValueID) -> Int {
    let type = graph.type(of: value)
    return (type.elementCount.fixed ?? 0) * type.dtype.byteCount
  }

  private func deviceBytes(_ value: ValueID) -> Int {
    let type = graph.type(of: value)
    return (type.elementCount.fixed ?? 0) * precision.storedBytes(type.dtype)
  }

  private func assemble() throws -> GPUPlan {
    // Sizes that are multiples of the device's alignment give offsets that are.
    let own = buffers.indices.filter { buffers[$0].resident == nil }
    let layout = ArenaPlanner.plan(
      own.map { ArenaPlanner.Request(byteCount: max(context.device.alignment, aligned(buffers[$0].byteCount)), first: buffers[$0].first, last: buffers[$0].last) })
    var offsets = [Int](repeating: 0, count: buffers.count)
    for (place, buffer) in own.enumerated() { offsets[buffer] = layout.offsets[place] }
    func region(_ buffer: Int, _ byteOffset: Int = 0, _ byteCount: Int) -> GPUPlan.Region {
      if let place = buffers[buffer].resident { return GPUPlan.Region(memory: place.memory, offset: place.offset + byteOffset, byteCount: byteCount) }
      return GPUPlan.Region(offset: offsets[buffer] + byteOffset, byteCount: byteCount)
    }
    func argument(_ pending: PendingArgument) -> GPUPlan.Argument {
      switch pending {
      case .ready(let argument): argument
      case .place(let buffer, let byteOffset, let byteCount): .region(region(buffer, byteOffset, byteCount))
      }
    }
    func region(_ pending: PendingArgument) throws -> GPUPlan.Region {
      guard case .place(let buffer, let byteOffset, let byteCount) = pending else { throw KilnError(.internal, "a copy has no memory") }
      return region(buffer, byteOffset, byteCount)
    }
    let commands = try work.map { entry in
      let done: GPUPlan.Command.Work =
        switch entry.work {
        case .kernel(let program, let name, let arguments, let global, let local):
          .kernel(program, name, arguments.map(argument), global: global, local: local)
        case .product(let product, let arguments): .product(product, precision, arguments.map(argument))
        case .copy(let from, let to): .copy(from: try region(from), to: try region(to))
        case .flags(let to): .flags(to: try region(to))
        }
      return GPUPlan.Command(work: done, node: entry.node)
    }
    var parts = parts
    for (index, box) in boxes.enumerated() {
      if let inbox = box.inbox { parts[index].inbox = region(inbox, 0, buffers[inbox].byteCount) }
      if let outbox = box.outbox { parts[index].outbox = region(outbox, 0, buffers[outbox].byteCount) }
    }
    return GPUPlan(context, failure, commands, parts, arenaBytes: layout.byteCount, flagErrors: flagErrors, memories: residents.memories)
  }
}

/// Nodes that run on the device one after the other, with what they take from the processor and give to it.
struct DeviceRunNodes {
  var nodes: [(index: Int, lowering: GPULowering)]
  var inputs: [ValueID]
  var outputs: [ValueID]
}

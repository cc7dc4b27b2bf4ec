import GraphModule
import InferenceRuntime
import Synchronization
import TensorModule

/// A device that takes a share of one model's nodes.
package final class GPUBackend: DeviceBackend {
  package struct Options: Sendable {
    package var precision: GPUPrecision
    /// Every node must run on the device.
    package var isStrict: Bool
    package var rules: [PlacementRule]
    /// Whether work-items are vector loops; nil asks the device.
    package var prefersVectors: Bool?
    /// Whether nodes go to the device wherever a kernel exists, whatever it costs.
    package var ignoresCost: Bool
    /// How many batches may run at once; nil leaves it to the device.
    package var lanes: Int?
    /// Only algorithms whose rounding is that of plain sums (no Winograd).
    package var exact: Bool
    package var tuning: GPUTuning

    /// Gets one line when the device fails and the processor goes on, or when a part of a model stays there.
    package var report: (@Sendable (String) -> Void)?

    package init(
      precision: GPUPrecision = .float32, isStrict: Bool = false, rules: [PlacementRule] = [], prefersVectors: Bool? = nil,
      ignoresCost: Bool = false, exact: Bool = false, tuning: GPUTuning = .off, report: (@Sendable (String) -> Void)? = nil
    ) {
      self.precision = precision
      self.isStrict = isStrict
      self.rules = rules
      self.prefersVectors = prefersVectors
      self.ignoresCost = ignoresCost
      self.exact = exact
      self.tuning = tuning
      self.report = report
    }
  }

  package let context: GPUContext
  package let options: Options
  private let store = GPUWeightStore()
  // Uploads weights; used while a plan is made, which is done by one caller at a time.
  private let queue: GPUQueue
  private let failure = GPUFailure()
  private let note = Mutex<String?>(nil)
  private let largestArena = Mutex(0)
  // Seconds spent on timing variants of kernels.
  private let tuned = Mutex(0.0)

  /// - Parameter context: the device's shared one when nil.
  package init(_ device: GPUDevice, options: Options = Options(), context: GPUContext? = nil) throws {
    let context = try context ?? GPUContext.shared(device)
    self.context = context
    queue = try GPUQueue(context)
    self.options = options
  }

  private var prefersVectors: Bool { options.prefersVectors ?? (context.device.kind == .cpu) }

  /// Bytes of weights on the device.
  package var weightBytes: Int { store.byteCount }

  /// How many batches run at once, each in a queue and an arena of its own: while one computes, the next goes up and the last comes
  /// down. A processor that stands for a GPU has nothing to do them with, and memory must hold both.
  package var lanes: Int {
    if let lanes = options.lanes { return max(1, lanes) }
    let room = context.device.memoryBytes / 5 * 4 - store.byteCount
    return context.device.kind != .cpu && largestArena.withLock { $0 } <= room / 2 ? 2 : 1
  }

  package func fallBack(after error: KilnError) -> Bool {
    guard !options.isStrict, error.code == .failed, let failed = failure.first else { return false }
    if failed.isNew { options.report?("warning: the processor goes on without the GPU: \(failed.error.message)") }
    return true
  }

  package func memory(byteCount: Int) throws -> any DeviceMemory {
    try failure.noting { try GPUMemory(context, queue, failure, byteCount: byteCount) }
  }

  package var mayFallBack: Bool { !options.isStrict }

  package var alignment: Int { context.device.alignment }

  package func place(_ graph: Graph, _ residents: DeviceResidents) throws -> DevicePlacement? {
    try failure.noting { try placement(graph, residents) }
  }

  private func placement(_ given: Graph, _ residents: DeviceResidents) throws -> DevicePlacement? {
    var graph = given
    var lent = try ResidentValues(graph, residents)
    var consumed = Set(graph.outputs.map(\.value))
    for node in graph.nodes { consumed.formUnion(node.inputs) }
    var candidates = try candidates(of: graph, consumed)
    let choice = try choose(graph, candidates, residents, held: Set(lent.inputs.keys))
    var onDevice = choice.onDevice
    tell(choice)
    guard onDevice.contains(true) else { return nil }
    if !residents.isEmpty {
      try lent.bridge(&graph, &onDevice)
      for node in graph.nodes[candidates.count...] { candidates.append(try candidate(node, in: graph, consumed.union(node.outputs), GPUTuner(context, .off, options.precision))) }
    }
    let schedule = Schedule(graph, onDevice)
    let runs = schedule.deviceRuns(graph, held: Set(lent.inputs.keys)) { index in
      if case .runs(let lowering) = candidates[index] { lowering } else { nil }
    }
    var builder = GPUPlanBuilder(graph, context, options.precision, store, queue, failure, lent)
    let plan = try builder.build(runs)
    largestArena.withLock { $0 = max($0, plan.arenaBytes) }
    var placed = graph
    var next = 0
    placed.nodes = schedule.runs.flatMap { run -> [Node] in
      guard run.isDevice else { return run.nodes.map { graph.nodes[$0] } }
      let nodes = runs[next]
      let op = DeviceRun(part: next, types: nodes.outputs.map(graph.type(of:)))
      next += 1
      return [Node(op: op, inputs: nodes.inputs, outputs: nodes.outputs, scope: "")]
    }
    return DevicePlacement(graph: placed, program: plan)
  }

  /// Which nodes of the plans made so far stay on the processor, and why; nil when none does.
  package var placementNote: String? { note.withLock { $0 } }

  /// Notes when a model runs on both sides, or not on the device at all, and says it once.
  private func tell(_ choice: Placement.Choice) {
    guard choice.onDevice.contains(false), !options.isStrict else { return }
    let count = choice.onDevice.count { !$0 }
    let notes = choice.notes + choice.costs
    let reasons = notes.isEmpty ? "" : ": " + Placement.list(notes, most: 4)
    let total = choice.onDevice.count
    let split = count == total ? "all \(total) nodes run on the processor" : "\(count) of \(total) nodes run on the processor, the rest on \(context.device.name)"
    let text = split + reasons
    let isFirst = note.withLock { note in
      defer { note = note ?? text }
      return note == nil
    }
    if isFirst { options.report?("note: \(text)") }
  }

  /// What the device says of each node. Those with the most work come first, for as long as variants may be timed.
  private func candidates(of graph: Graph, _ consumed: Set<ValueID>) throws -> [NodeCandidate] {
    let tuner = GPUTuner(context, GPUTuning(seconds: max(0, options.tuning.seconds - tuned.withLock { $0 }), number: options.tuning.number), options.precision)
    defer { tuner.finish() }
    let work = graph.nodes.map { $0.op.flops($0.inputs.map(graph.type(of:)), $0.outputs.map(graph.type(of:))) }
    var candidates = [NodeCandidate](repeating: .refused(""), count: graph.nodes.count)
    for index in graph.nodes.indices.sorted(by: { (work[$0], $1) > (work[$1], $0) }) {
      candidates[index] = try candidate(graph.nodes[index], in: graph, consumed, tuner)
    }
    tuned.withLock { $0 += tuner.spent }
    if tuner.timed > 0 {
      let tenths = Int((tuner.spent * 10).rounded())
      options.report?(
        "note: timed kernels for \(tuner.timed) \(tuner.timed == 1 ? "shape" : "shapes") on \(context.device.name), \(tenths / 10).\(tenths % 10) s, kept for the next time (KILN_GPU_TUNING=0: never)")
    }
    return candidates
  }

  /// Whether the device can run a node.
  private func candidate(_ node: Node, in graph: Graph, _ consumed: Set<ValueID>, _ tuner: GPUTuner) throws -> NodeCandidate {
    guard let op = node.op as? any GPUBinding else {
      return .refused(GPUCatalog.reason(node.op.opName) ?? "it has no kernel")
    }
    guard
      let lowering = GPULowering(
        node, in: graph, isUsed: { consumed.contains($0) }, device: context.device, precision: options.precision,
        prefersVectors: prefersVectors, exact: options.exact, tuner: tuner)
    else {
      let hasTexts = (node.inputs + node.outputs).contains { graph.type(of: $0).dtype == .string }
      return .refused(hasTexts ? GPUCatalog.strings : "a tensor has 2^31 elements or more")
    }
    // Nothing runs for results without elements.
    if lowering.outputs.allSatisfy({ $0.elementCount.fixed == 0 }) { return .runs(lowering) }
    if options.precision == .float16, let constant = node.inputs.lazy.compactMap({ graph.constants[$0] }).first(where: { !store.fitsHalf($0) }) {
      return .refused("a constant has numbers beyond ±65504 (\(constant.shape.shapeText)), which fp16 does not hold")
    }
    switch try op.lower(lowering) {
    case .runs: return .runs(lowering)
    case .refused(let reason): return .refused(reason)
    }
  }
}

/// Remembers that the device failed: only then may the processor take over, in all predictions that met the failure.
final class GPUFailure: Sendable {
  private let state = Mutex<(error: KilnError?, isTold: Bool)>((nil, false))

  func noting<Result>(_ work: () throws -> Result) throws -> Result {
    do { return try work() } catch let failed as KilnError {
      if failed.code == .failed { state.withLock { $0.error = $0.error ?? failed } }
      throw failed
    }
  }

  /// What failed first, and whether nobody has asked before.
  var first: (error: KilnError, isNew: Bool)? {
    state.withLock { state in
      guard let error = state.error else { return nil }
      defer { state.isTold = true }
      return (error, !state.isTold)
    }
  }
}

/// What a device says of a node.
enum NodeCandidate {
  case runs(GPULowering)
  case refused(String)
}

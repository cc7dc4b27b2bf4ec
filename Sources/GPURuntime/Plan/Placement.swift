import GraphModule
import InferenceRuntime
import TensorModule

/// Where the nodes of a scope are to run, as `--place 'SCOPE=cpu'` says.
package struct PlacementRule: Sendable {
  /// As it was written.
  package var scope: String
  package var isDevice: Bool
  /// Whether it means a scope or a value's name.
  package var matches: @Sendable (String) -> Bool

  package init(scope: String, isDevice: Bool, matches: @escaping @Sendable (String) -> Bool) {
    self.scope = scope
    self.isDevice = isDevice
    self.matches = matches
  }
}

/// Decides which nodes run on the device.
///
/// Rules come first (the last that matches), then the device that the node's file names. All other nodes go to the device where it has
/// a kernel; then runs on the device that do not pay for their transfers go back to the processor, as long as there are any.
struct Placement {
  let graph: Graph
  let candidates: [NodeCandidate]
  let options: GPUBackend.Options
  let cost: PlacementCost

  struct Choice {
    /// One for each node.
    var onDevice: [Bool]
    /// The nodes that stay on the processor, and why, where that was not asked for.
    var notes: [String]
    /// What went back to the processor since it is not worth its transfers.
    var costs: [String]
  }

  /// - Throws: `KilnError` (`unsupportedModel`) when all must run on the device and some cannot.
  func choose() throws -> Choice {
    let wishes = graph.nodes.indices.map(wish)
    let refused = graph.nodes.indices.compactMap { index -> String? in
      guard wishes[index] != false, case .refused(let reason) = candidates[index] else { return nil }
      return "\(KilnError.quoted(name(index))) (\(graph.nodes[index].op.opName)): \(reason)"
    }
    if options.isStrict, !refused.isEmpty {
      throw KilnError(
        .unsupportedModel,
        "\(refused.count) of \(graph.nodes.count) nodes cannot run on the GPU: " + Self.list(refused, most: 12),
        hint: "--device auto runs them on the processor")
    }
    var onDevice = graph.nodes.indices.map { index in
      guard wishes[index] != false, case .runs = candidates[index] else { return false }
      return true
    }
    var costs: [String] = []
    if !options.isStrict, !options.ignoresCost { sendBack(&onDevice, wishes, &costs) }
    return Choice(onDevice: onDevice, notes: refused, costs: costs)
  }

  static func list(_ items: [String], most: Int) -> String {
    items.prefix(most).joined(separator: "; ") + (items.count > most ? "; … (\(items.count - most) more)" : "")
  }

  /// Where a node is asked to run; nil where nobody says.
  private func wish(_ index: Int) -> Bool? {
    let node = graph.nodes[index]
    let names = [node.scope] + node.outputs.map { graph[$0].name }
    if let rule = options.rules.last(where: { rule in names.contains(where: rule.matches) }) { return rule.isDevice }
    if options.isStrict { return nil }
    switch DeviceName(node.device)?.kind {
    case "CPU": return false
    case "GPU": return true
    default: return nil
    }
  }

  private func name(_ index: Int) -> String { graph.nodes[index].outputs.first.map { graph[$0].name } ?? "" }

  /// Moves runs that cost more than they save to the processor, until none is left.
  private func sendBack(_ onDevice: inout [Bool], _ wishes: [Bool?], _ costs: inout [String]) {
    for _ in 0..<32 {
      let schedule = Schedule(graph, onDevice)
      var moved = false
      for run in schedule.deviceRuns(graph, lowering: lowering) where run.nodes.allSatisfy({ wishes[$0.index] != true }) {
        let weighed = cost.weigh(run, graph)
        if weighed.isWorth { continue }
        costs.append("\(KilnError.quoted(run.nodes.first.map { name($0.index) } ?? ""))\(run.nodes.count > 1 ? " and \(run.nodes.count - 1) more" : ""): \(weighed.text)")
        for entry in run.nodes { onDevice[entry.index] = false }
        moved = true
      }
      if !moved { return }
    }
  }

  private func lowering(_ index: Int) -> GPULowering? { if case .runs(let lowering) = candidates[index] { lowering } else { nil } }
}

/// What work and transfers take, in nanoseconds: rough numbers of a desktop's processor and GPU, which only have to tell runs that are
/// plainly too small. A processor that stands for a GPU (PoCL) is treated like one.
package struct PlacementCost {
  var hostFlops = 50.0
  var hostBytes = 10.0
  var hostStep = 1_000.0
  var deviceFlops = 1_000.0
  var deviceBytes = 100.0
  var deviceKernel = 5_000.0
  var transfer = 20_000.0
  var transferBytes = 6.0

  private init() {}

  init(_ device: GPUDevice) {
    if device.isUnified { (transfer, transferBytes) = (10_000, 10) }
  }

  /// What a run takes on both sides, and its transfers.
  struct Weighed {
    var host = 0.0
    var device = 0.0
    var transfers = 0.0

    var isWorth: Bool { host > device + transfers }

    var text: String { "about \(Self.time(host)) on the processor, \(Self.time(device)) on the GPU and \(Self.time(transfers)) for transfers" }

    static func time(_ nanoseconds: Double) -> String {
      nanoseconds < 1e6 ? "\(Int((nanoseconds / 1e3).rounded())) us" : "\(Int((nanoseconds / 1e6).rounded())) ms"
    }
  }

  func weigh(_ run: DeviceRunNodes, _ graph: Graph) -> Weighed {
    var sum = Weighed()
    for entry in run.nodes where !entry.lowering.kernels.isEmpty {
      let (flops, bytes) = work(graph.nodes[entry.index], graph)
      sum.host += max(flops / hostFlops, bytes / hostBytes) + hostStep
      sum.device += max(flops / deviceFlops, bytes / deviceBytes) + Double(entry.lowering.kernels.count) * deviceKernel
    }
    for values in [run.inputs, run.outputs] where !values.isEmpty {
      sum.transfers += transfer + values.reduce(0.0) { $0 + size(graph.type(of: $1)) } / transferBytes
    }
    return sum
  }

  /// Whether the device saves more than the transfers take.
  func isWorth(_ run: DeviceRunNodes, _ graph: Graph) -> Bool { weigh(run, graph).isWorth }

  private func work(_ node: Node, _ graph: Graph) -> (flops: Double, bytes: Double) {
    let (inputs, outputs) = (node.inputs.map(graph.type(of:)), node.outputs.map(graph.type(of:)))
    return (Double(node.op.flops(inputs, outputs)), (inputs + outputs).reduce(0.0) { $0 + size($1) })
  }

  // MARK: Before a device is opened

  /// Opening a driver and building its programs take longer than a prediction of such models.
  private static let leastWork = 10e6
  /// What unknown sizes are taken to be.
  private static let usualSize = 32

  /// Why a device is not even looked for, when nobody asks for one: the model is done before a driver is open. Nil when it may be worth it.
  package static func reasonAgainstOpening(_ graph: Graph) -> String? {
    let bindings = Dictionary(uniqueKeysWithValues: graph.symbols.map { ($0, usualSize) })
    guard let bound = try? graph.substituting(bindings) else { return nil }
    let cost = PlacementCost()
    let host = bound.nodes.reduce(0.0) { sum, node in
      let (flops, bytes) = cost.work(node, bound)
      return sum + max(flops / cost.hostFlops, bytes / cost.hostBytes)
    }
    guard host < leastWork else { return nil }
    let sizes = bindings.isEmpty ? "" : ", with \(usualSize) for unknown sizes"
    return "a prediction takes it about \(Weighed.time(host))\(sizes), too little for opening a GPU"
  }

  private func size(_ type: TensorType) -> Double { Double((type.elementCount.fixed ?? 0) * type.dtype.byteCount) }
}

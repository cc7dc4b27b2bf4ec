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
    if !options.isStrict, !options.ignoresCost { sendBack(&onDevice, wishes) }
    return Choice(onDevice: onDevice, notes: refused)
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
  private func sendBack(_ onDevice: inout [Bool], _ wishes: [Bool?]) {
    for _ in 0..<32 {
      let schedule = Schedule(graph, onDevice)
      var moved = false
      for run in schedule.deviceRuns(graph, lowering: lowering) where run.nodes.allSatisfy({ wishes[$0.index] != true }) {
        if cost.isWorth(run, graph) { continue }
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
struct PlacementCost {
  var hostFlops = 50.0
  var hostBytes = 10.0
  var hostStep = 1_000.0
  var deviceFlops = 1_000.0
  var deviceBytes = 100.0
  var deviceKernel = 5_000.0
  var transfer = 20_000.0
  var transferBytes = 6.0

  init(_ device: GPUDevice) {
    if device.isUnified { (transfer, transferBytes) = (10_000, 10) }
  }

  /// Whether the device saves more than the transfers take.
  func isWorth(_ run: DeviceRunNodes, _ graph: Graph) -> Bool {
    var gain = 0.0
    for entry in run.nodes {
      let node = graph.nodes[entry.index]
      let (inputs, outputs) = (node.inputs.map(graph.type(of:)), node.outputs.map(graph.type(of:)))
      let flops = Double(node.op.flops(inputs, outputs))
      let bytes = (inputs + outputs).reduce(0.0) { $0 + size($1) }
      if entry.lowering.kernels.isEmpty { continue }
      gain += max(flops / hostFlops, bytes / hostBytes) + hostStep
      gain -= max(flops / deviceFlops, bytes / deviceBytes) + Double(entry.lowering.kernels.count) * deviceKernel
    }
    for values in [run.inputs, run.outputs] where !values.isEmpty {
      gain -= transfer + values.reduce(0.0) { $0 + size(graph.type(of: $1)) } / transferBytes
    }
    return gain > 0
  }

  private func size(_ type: TensorType) -> Double { Double((type.elementCount.fixed ?? 0) * type.dtype.byteCount) }
}

import GraphModule
import InferenceRuntime

extension GPUBackend {
  /// Decides which nodes run on the device. Where values stay there, a node alone on the processor costs transfers of them: so the costs are
  /// weighed for all nodes together, and none or all that can go there.
  ///
  /// - Parameter held: the values that are on the device already.
  func choose(_ graph: Graph, _ candidates: [NodeCandidate], _ residents: DeviceResidents, held: Set<ValueID>) throws -> Placement.Choice {
    let cost = PlacementCost(context.device)
    guard !residents.isEmpty else { return try Placement(graph: graph, candidates: candidates, options: options, cost: cost).choose() }
    var free = options
    free.ignoresCost = true
    var choice = try Placement(graph: graph, candidates: candidates, options: free, cost: cost).choose()
    let isFree = options.isStrict || options.ignoresCost || residents.mustStay || !options.rules.isEmpty
    if isFree || !choice.onDevice.contains(true) { return choice }
    let runs = Schedule(graph, choice.onDevice).deviceRuns(graph, held: held) { index in
      if case .runs(let lowering) = candidates[index] { lowering } else { nil }
    }
    let all = DeviceRunNodes(nodes: runs.flatMap(\.nodes), inputs: runs.flatMap(\.inputs), outputs: runs.flatMap(\.outputs))
    if !cost.isWorth(all, graph) {
      choice.onDevice = choice.onDevice.map { _ in false }
      choice.notes.append("they are too little work to be worth the transfers")
    }
    return choice
  }
}

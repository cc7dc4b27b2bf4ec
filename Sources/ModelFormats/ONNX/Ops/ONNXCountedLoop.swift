import GraphModule
import TensorModule

/// A loop that only its number of trips ends, without what only counts them: rows that are picked by a counter become slices, counters and the
/// condition go.
struct ONNXCountedLoop {
  private(set) var body: Graph
  /// The carried values that stay, by their place among the loop's.
  private(set) var carried: [Int] = []
  /// The captures that are read a row a trip, and those that are read whole, by their places.
  private(set) var sliced: [Int] = []
  private(set) var captures: [Int] = []
  /// What the other carried values are in the end.
  private(set) var finals: [Int: Tensor] = [:]

  /// - Parameters:
  ///   - finished: the body: number, condition, carried values, captures → condition, carried values, stacked rows.
  ///   - count: the number of carried values.
  init(_ finished: Graph, _ made: ONNXSubgraph.Made, _ counters: ONNXLoopCounters, count: Int, trips: Int) throws {
    body = finished
    let captured = Array(finished.inputs[(count + 2)...])
    let truth = body.addConstant("goes_on", try Tensor([true], shape: []))
    var replaced: [ValueID: ValueID] = [finished.inputs[1]: truth]
    var rows: [Int: ValueID] = [:]
    for node in finished.nodes {
      guard let gather = node.op as? Gather, gather.axis == 0, gather.batchDims == 0, let place = captured.firstIndex(of: node.inputs[0]),
        finished.type(of: node.inputs[0]).dims.first?.fixed == trips, finished.type(of: node.inputs[1]).rank == 0,
        let picks = try counters.values(of: node.inputs[1], trips: trips), picks.enumerated().allSatisfy({ $1.integers == [Int64($0)] })
      else { continue }
      let row = rows[place] ?? body.declareInput("\(finished[node.inputs[0]].name)/row", finished.type(of: node.outputs[0]))
      rows[place] = row
      replaced[node.outputs[0]] = row
    }
    for index in body.nodes.indices { body.nodes[index].inputs = body.nodes[index].inputs.map { replaced[$0] ?? $0 } }
    body.outputs = body.outputs.map { Graph.Output(name: $0.name, value: replaced[$0.value] ?? $0.value) }
    // Counters that only count: nothing that is left needs them.
    for place in 0..<count { finals[place] = try counters.final(place + 2, trips: trips) }
    var kept = Set((0..<count).filter { finals[$0] == nil })
    var live: Set<ValueID> = []
    while true {
      live = ONNXCountedLoop.ancestors(of: kept.map { body.outputs[$0 + 1].value } + body.outputs[(count + 1)...].map(\.value), in: body)
      let more = (0..<count).filter { !kept.contains($0) && live.contains(finished.inputs[$0 + 2]) }
      if more.isEmpty { break }
      kept.formUnion(more)
    }
    for place in kept { finals[place] = nil }
    carried = kept.sorted()
    sliced = rows.keys.sorted()
    captures = captured.indices.filter { live.contains(captured[$0]) }
    body.outputs = carried.map { body.outputs[$0 + 1] } + body.outputs[(count + 1)...]
    body.nodes.removeAll { node in !node.outputs.contains(where: live.contains) }
    body.setInputs([finished.inputs[0]] + carried.map { finished.inputs[$0 + 2] } + sliced.compactMap { rows[$0] } + captures.map { captured[$0] })
  }

  private static func ancestors(of roots: [ValueID], in graph: Graph) -> Set<ValueID> {
    var found = Set(roots)
    for node in graph.nodes.reversed() where node.outputs.contains(where: found.contains) {
      found.formUnion(node.inputs)
      found.formUnion(node.outputs)
    }
    return found
  }
}

import GraphModule
import TensorModule

/// A loop's condition that follows from counters and constants alone, as converters write it beside a number of trips.
struct ONNXLoopCondition {
  private let made: ONNXSubgraph.Made
  private let initial: [ImportedValue]
  /// The most nodes that are computed ahead, and elements of their results.
  private static let maximumNodes = 64
  private static let maximumElements = 64

  init(_ made: ONNXSubgraph.Made, _ initial: [ImportedValue]) {
    self.made = made
    self.initial = initial
  }

  /// What the condition is computed from.
  private struct Needed {
    var nodes: Set<Int> = []
    /// The numbers and flags that go from trip to trip, by the place of their input.
    var state: [Int: ReferenceTensor] = [:]
    /// Everything that stays the same.
    var fixed: [ValueID: ReferenceTensor] = [:]
  }

  /// Whether it holds before every trip but the first, which has a condition of its own. Computed trip by trip.
  func holds(for trips: Int?) throws -> Bool {
    guard let trips, (1...ONNXLoop.maximumTrips).contains(trips), let needed = try needed() else { return false }
    let graph = made.builder.graph
    var state = needed.state
    for trip in 0..<trips - 1 {
      var values = needed.fixed
      values[made.own[0]] = ReferenceTensor(try Tensor([Int64(trip)], shape: []))
      values[made.own[1]] = ReferenceTensor(try Tensor([true], shape: []))
      for (place, value) in state { values[made.own[place]] = value }
      for index in needed.nodes.sorted() {
        let node = graph.nodes[index]
        let operands = node.inputs.compactMap { values[$0] }
        guard operands.count == node.inputs.count, let types = try? node.op.infer(operands.map { TensorType($0.dtype, shape: $0.shape) }),
          types.allSatisfy({ ($0.elementCount.fixed ?? .max) <= ONNXLoopCondition.maximumElements }),
          let results = try? node.op.evaluated(operands, types)
        else { return false }
        for (id, result) in zip(node.outputs, results) { values[id] = result }
      }
      guard let goesOn = values[graph.outputs[0].value], goesOn.shape.elementCount == 1, goesOn.integers.first != 0 else { return false }
      for place in state.keys { state[place] = values[graph.outputs[place - 1].value] }
    }
    return true
  }

  /// Nil when the condition needs anything else than counters and constants.
  private func needed() throws -> Needed? {
    let graph = made.builder.graph
    let makers = graph.producers()
    let places = Dictionary(made.own.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    var needed = Needed()
    for capture in made.captures {
      if let tensor = capture.evaluated, isSmall(tensor) { needed.fixed[try made.builder.id(capture)] = ReferenceTensor(tensor) }
    }
    for (id, tensor) in graph.constants where isSmall(tensor) { needed.fixed[id] = ReferenceTensor(tensor) }
    var open = [graph.outputs[0].value]
    var seen: Set<ValueID> = []
    while let id = open.popLast() {
      guard seen.insert(id).inserted, needed.fixed[id] == nil else { continue }
      if let place = places[id] {
        guard place >= 2 else { continue }
        guard initial.indices.contains(place - 2), let start = initial[place - 2].evaluated, isSmall(start) else { return nil }
        needed.state[place] = ReferenceTensor(start)
        open.append(graph.outputs[place - 1].value)
      } else {
        guard let index = makers[id], !(graph.nodes[index].op is any ControlFlowOp) else { return nil }
        needed.nodes.insert(index)
        guard needed.nodes.count <= ONNXLoopCondition.maximumNodes else { return nil }
        open += graph.nodes[index].inputs
      }
    }
    return needed
  }

  private func isSmall(_ tensor: Tensor) -> Bool { tensor.dtype != .string && tensor.count <= ONNXLoopCondition.maximumElements }
}

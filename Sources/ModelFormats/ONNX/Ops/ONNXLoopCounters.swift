import GraphModule
import TensorModule

/// What a loop's body computes from counters and constants alone, as converters write it beside a number of trips: computed ahead, trip by trip.
struct ONNXLoopCounters {
  private let made: ONNXSubgraph.Made
  private let initial: [ImportedValue]
  /// The most nodes that are computed ahead, and elements of their results.
  private static let maximumNodes = 64
  private static let maximumElements = 64

  init(_ made: ONNXSubgraph.Made, _ initial: [ImportedValue]) {
    self.made = made
    self.initial = initial
  }

  /// What values are computed from.
  private struct Needed {
    var nodes: Set<Int> = []
    /// The numbers and flags that go from trip to trip, by the place of their input.
    var state: [Int: ReferenceTensor] = [:]
    /// Everything that stays the same.
    var fixed: [ValueID: ReferenceTensor] = [:]
  }

  /// Whether the condition holds before every trip but the first, which has a condition of its own.
  func holds(for trips: Int?) throws -> Bool {
    guard let trips, trips >= 1, let values = try values(of: made.builder.graph.outputs[0].value, trips: trips - 1) else { return false }
    return values.allSatisfy { $0.shape.elementCount == 1 && $0.integers.first != 0 }
  }

  /// A carried value behind all trips; nil when it needs anything else than counters and constants.
  func final(_ place: Int, trips: Int) throws -> Tensor? {
    guard place >= 2, initial.indices.contains(place - 2), trips > 0 else { return nil }
    return try values(of: made.builder.graph.outputs[place - 1].value, trips: trips)?.last?.tensor()
  }

  /// The values of each trip; nil when they need anything else than counters and constants.
  func values(of id: ValueID, trips: Int) throws -> [ReferenceTensor]? {
    guard (0...ONNXLoop.maximumTrips).contains(trips), let needed = try needed(id) else { return nil }
    let graph = made.builder.graph
    var state = needed.state
    var results: [ReferenceTensor] = []
    for trip in 0..<trips {
      var values = needed.fixed
      values[made.own[0]] = ReferenceTensor(try Tensor([Int64(trip)], shape: []))
      values[made.own[1]] = ReferenceTensor(try Tensor([true], shape: []))
      for (place, value) in state { values[made.own[place]] = value }
      for index in needed.nodes.sorted() {
        let node = graph.nodes[index]
        let operands = node.inputs.compactMap { values[$0] }
        guard operands.count == node.inputs.count, let types = try? node.op.infer(operands.map { TensorType($0.dtype, shape: $0.shape) }),
          types.allSatisfy({ ($0.elementCount.fixed ?? .max) <= ONNXLoopCounters.maximumElements }),
          let made = try? node.op.evaluated(operands, types)
        else { return nil }
        for (id, value) in zip(node.outputs, made) { values[id] = value }
      }
      guard let result = values[id] else { return nil }
      results.append(result)
      for place in state.keys { state[place] = values[graph.outputs[place - 1].value] }
    }
    return results
  }

  /// Nil when the value needs anything else than counters and constants.
  private func needed(_ root: ValueID) throws -> Needed? {
    let graph = made.builder.graph
    let makers = graph.producers()
    let places = Dictionary(made.own.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    var needed = Needed()
    for capture in made.captures {
      if let tensor = capture.evaluated, isSmall(tensor) { needed.fixed[try made.builder.id(capture)] = ReferenceTensor(tensor) }
    }
    for (id, tensor) in graph.constants where isSmall(tensor) { needed.fixed[id] = ReferenceTensor(tensor) }
    var open = [root]
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
        guard needed.nodes.count <= ONNXLoopCounters.maximumNodes else { return nil }
        open += graph.nodes[index].inputs
      }
    }
    return needed
  }

  private func isSmall(_ tensor: Tensor) -> Bool { tensor.dtype != .string && tensor.count <= ONNXLoopCounters.maximumElements }
}

import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Recurrent layers on several threads: two directions side by side, and one whose threads share each step's units.
@Suite struct SequenceTests {
  private static func network(
    _ cells: [RNN.Cell], units: Int, batch: Int, masked: Bool, time: Int = 7, weights range: Double = 0.4, _ random: inout TestRandom
  ) throws -> (graph: Graph, feed: [Tensor]) {
    var graph = Graph(name: "sequences")
    let features = 5
    let x = try graph.addInput("x", TensorType(.float32, shape: [batch, time, features]))
    var feed = [try random.tensor(TensorType(.float32, shape: [batch, time, features]))]
    var mask: [ValueID] = []
    if masked {
      mask = [try graph.addInput("mask", TensorType(.bool, shape: [batch, time]))]
      feed.append(try random.tensor(TensorType(.bool, shape: [batch, time])))
    }
    var results: [ValueID] = []
    for (index, cell) in cells.enumerated() {
      func constant(_ name: String, _ shape: Shape) throws -> ValueID {
        graph.addConstant("\(name)\(index)", try random.tensor(TensorType(.float32, shape: shape), range: -range...range))
      }
      let gates = cell.gates * units
      let op = RNN(cell: cell, goBackwards: index % 2 == 1, returnSequences: true, mask: masked)
      let source = index % 2 == 1 ? try graph.addOne(Elementwise(.neg), [x], name: "negative\(index)") : x
      let operands = [
        source, try constant("w", [features, gates]), try constant("r", [units, gates]),
        try constant("b", cell == .gruResetAfter ? [2, gates] : [gates]),
      ]
      results += try graph.add(op, operands + mask, name: "rnn\(index)").prefix(1)
    }
    results.append(try graph.addOne(Concat(axis: 2), results, name: "joined"))
    graph.outputs = results.enumerated().map { Graph.Output(name: "y\($0)", value: $1) }
    return (graph, feed)
  }

  @Test(arguments: [1, 2, 3], [false, true])
  func threadsGiveWhatTheDefinitionGives(batch: Int, masked: Bool) throws {
    var random = TestRandom(named: "sequences \(batch) \(masked)")
    for cells: [RNN.Cell] in [
      [.lstm], [.gruResetAfter], [.gru], [.simple], [.lstm, .lstm], [.gruResetAfter, .gru, .simple, .lstm, .lstm],
    ] {
      let (graph, feed) = try Self.network(cells, units: 130, batch: batch, masked: masked, &random)
      try agree(graph, feed, "\(cells)")
    }
  }

  /// Steps that take several chunks of projections. Larger weights let rounding errors grow from step to step, in every tier and without chunks too.
  @Test(arguments: [false, true]) func longSequences(masked: Bool) throws {
    var random = TestRandom(named: "long sequences \(masked)")
    for cells: [RNN.Cell] in [[.lstm, .lstm], [.gruResetAfter, .gru, .simple, .lstm, .lstm]] {
      let (graph, feed) = try Self.network(cells, units: 130, batch: 3, masked: masked, time: 40, weights: 0.1, &random)
      try agree(graph, feed, "\(cells)")
    }
  }

  private func agree(_ graph: Graph, _ feed: [Tensor], _ what: String) throws {
    let expected = try ReferenceBackend.run(graph, feed)
    for threads in [1, 2, 4] {
      let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(threads: threads))
      #expect(plan.isNative)
      // The threads of the plan, and one that runs every part in turn, three times to find stale state.
      for pool in [ThreadPool.shared(threads), .single] {
        let executor = Executor(plan, pool: pool)
        for _ in 0..<3 {
          for (got, wanted) in zip(try executor.run(feed), expected) {
            let difference = firstDifference(got, wanted, relative: 1e-5, absolute: 1e-5)
            #expect(difference == nil, "\(what) on \(threads) threads: \(difference ?? "")")
          }
        }
      }
    }
  }

  @Test func twoDirectionsAreOneStep() throws {
    var random = TestRandom(named: "directions")
    let (graph, feed) = try Self.network([.lstm, .lstm], units: 32, batch: 1, masked: false, &random)
    let parts = try [1, 2].map {
      try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(threads: $0)).stepCount
    }
    #expect(parts[1] == parts[0] - 1)
  }
}

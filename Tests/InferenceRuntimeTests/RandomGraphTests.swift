import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Random graphs through the planner against the reference: aliases, buffers taken over, merged concatenations, several
/// outputs, values that nobody reads.
@Suite struct RandomGraphTests {
  @Test(arguments: [1, 2])
  func plansAgreeWithTheReference(threads: Int) throws {
    var random = TestRandom(named: "random graphs, \(threads) threads")
    var inPlace = 0
    var merged = 0
    for round in 0..<150 {
      let (graph, feed) = try RandomGraph.make(&random)
      try Verifier.verify(graph)
      let expected = try ReferenceBackend.run(graph, feed)
      let (outputs, plan) = try run(graph, feed, threads: threads)
      inPlace += plan.report.nodes.filter(\.inPlace).count
      merged += plan.report.nodes.filter { $0.op == "concat" && $0.kernel == "alias" }.count
      #expect(plan.report.arenaBytes >= plan.report.arenaLowerBound)
      for (index, (got, wanted)) in zip(outputs, expected).enumerated() {
        let difference = firstDifference(got, wanted, relative: 1e-4, absolute: 1e-4)
        #expect(difference == nil, "round \(round), output \(index):\n\(TextForm.print(graph))")
        if difference != nil { return }
      }
    }
    #expect(inPlace > 20 && merged > 0, "the graphs must exercise the planner")
  }

  @Test func optimizedPlansAgreeWithTheReference() throws {
    var random = TestRandom(named: "optimized random graphs")
    for round in 0..<100 {
      let (graph, feed) = try RandomGraph.make(&random)
      let expected = try ReferenceBackend.run(graph, feed)
      let outputs = try run(RuntimeGraph.prepare(graph), feed, threads: 2).outputs
      for (index, (got, wanted)) in zip(outputs, expected).enumerated() {
        let difference = firstDifference(got, wanted, relative: 1e-4, absolute: 1e-4)
        #expect(difference == nil, "round \(round), output \(index):\n\(TextForm.print(graph))")
        if difference != nil { return }
      }
    }
  }

  @Test func runningTwiceGivesTheSameBits() throws {
    var random = TestRandom(named: "run twice")
    for _ in 0..<30 {
      let (graph, feed) = try RandomGraph.make(&random)
      let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(threads: 2))
      let executor = Executor(plan, pool: .shared(2))
      let first = try executor.run(feed)
      for _ in 0..<3 { #expect(try executor.run(feed) == first) }
    }
  }
}

enum RandomGraph {
  static func make(_ random: inout TestRandom) throws -> (Graph, [Tensor]) {
    var graph = Graph(name: "random")
    var feed: [Tensor] = []
    var values: [ValueID] = []
    for index in 0..<Int.random(in: 1...2, using: &random) {
      let rank = Int.random(in: 2...4, using: &random)
      let shape = (0..<rank).map { _ in Int.random(in: 1...5, using: &random) }
      let type = TensorType(.float32, shape: shape)
      values.append(try graph.addInput("x\(index)", type))
      feed.append(try random.tensor(type))
    }
    for index in 0..<Int.random(in: 1...14, using: &random) {
      if let value = try node(&graph, values, "n\(index)", &random) { values.append(value) }
    }
    let last = values[values.count - 1]
    let chosen = [last] + values.filter { _ in Int.random(in: 0..<5, using: &random) == 0 }
    graph.outputs = chosen.enumerated().map { Graph.Output(name: "y\($0)", value: $1) }
    return (graph, feed)
  }

  private static func node(
    _ graph: inout Graph, _ values: [ValueID], _ name: String, _ random: inout TestRandom
  ) throws -> ValueID? {
    // Recent values more often, so that chains form.
    let recent = values.suffix(3)
    guard let x = (Bool.random(using: &random) ? recent.randomElement(using: &random) : values.randomElement(using: &random)),
      let shape = graph.type(of: x).shape
    else { return nil }
    let rank = shape.count
    func constant(_ dims: [Int], _ scale: Double = 0.5) throws -> ValueID {
      graph.addConstant("\(name)_c", try random.tensor(TensorType(.float32, shape: dims), range: -scale...scale))
    }
    let axis = Int.random(in: 0..<rank, using: &random)
    switch Int.random(in: 0..<14, using: &random) {
    case 0, 1:
      let function = [ScalarFunction.relu, .tanh, .sigmoid, .neg, .abs].randomElement(using: &random) ?? .relu
      return try graph.addOne(Elementwise(function), [x], name: name)
    case 2, 3:
      let same = values.filter { graph.type(of: $0).shape == shape }
      let y = try same.randomElement(using: &random) ?? constant([shape[rank - 1]])
      let function = [ScalarFunction.add, .mul, .max, .sub].randomElement(using: &random) ?? .add
      let sum = try graph.addOne(Elementwise(function), [x, y], name: name)
      return try graph.addOne(Elementwise(.tanh), [sum], name: name)
    case 4:
      let dims = Bool.random(using: &random) ? [shape.elementCount / max(1, shape[rank - 1]), shape[rank - 1]] : shape.reversed()
      return try graph.addOne(Reshape(dims.map { Dim($0) }), [x], name: name)
    case 5:
      return try graph.addOne(Transpose(Array(0..<rank).shuffled(using: &random)), [x], name: name)
    case 6, 7:
      let same = values.filter { graph.type(of: $0).shape == shape }
      let others = (0..<Int.random(in: 0...2, using: &random)).compactMap { _ in same.randomElement(using: &random) }
      if Bool.random(using: &random) {
        // Products of one row: parts of one block.
        let rows = try others.map {
          try graph.addOne(Reshape([1, Dim(shape.elementCount)]), [$0], name: name)
        }
        let fresh = try rows.map { try graph.addOne(Elementwise(.abs), [$0], name: name) }
        let own = try graph.addOne(Reshape([1, Dim(shape.elementCount)]), [x], name: name)
        return try graph.addOne(Concat(axis: 1), [own] + fresh, name: name)
      }
      return try graph.addOne(Concat(axis: axis), [x] + others, name: name)
    case 8:
      let ranges = shape.map { length in
        let start = Int.random(in: 0..<length, using: &random)
        return Bool.random(using: &random) ? Slice.Range.all : Slice.Range(start: start, end: Int.random(in: start + 1...length, using: &random))
      }
      return try graph.addOne(Slice(ranges), [x], name: name)
    case 9:
      let n = Int.random(in: 1...20, using: &random)
      let bias = try constant([n])
      let weights = try constant([shape[rank - 1], n])
      let same = values.filter { graph.type(of: $0).shape == Array(shape.dropLast()) + [n] }
      let residual = same.randomElement(using: &random)
      let epilogue = Epilogue(bias: true, residual: residual != nil, activation: Activation(.relu))
      return try graph.addOne(MatMul(epilogue: epilogue), [x, weights, bias] + (residual.map { [$0] } ?? []), name: name)
    case 10:
      return try graph.addOne(Softmax(axis: axis), [x], name: name)
    case 11:
      return try graph.addOne(Reduce(.mean, axes: [axis], keepDims: true), [x], name: name)
    case 12:
      guard rank == 4 else { return nil }
      let n = Int.random(in: 1...9, using: &random)
      let weights = try constant([3, 3, shape[3], n])
      return try graph.addOne(Conv(strides: [1, 1], padding: .same), [x, weights], name: name)
    default:
      let low = shape.map { _ in Int.random(in: 0...1, using: &random) }
      return try graph.addOne(Pad(.constant, low: low, high: low), [x], name: name)
    }
  }
}

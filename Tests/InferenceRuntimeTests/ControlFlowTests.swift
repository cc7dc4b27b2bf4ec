import GraphModule
import GraphTestSupport
import GraphOptimizer
import InferenceRuntime
import MallocCount
import TensorModule
import TestSupport
import Testing

/// Loops and branches as plans inside plans.
@Suite struct ControlFlowTests {
  /// h ← tanh(h · w + b + x[t]) over time, the rows collected both as a stacked result and in a carried buffer; a branch
  /// in the body adds or subtracts.
  static func recurrence(_ random: inout TestRandom, conditional: Bool) throws -> (graph: Graph, feed: [Tensor]) {
    let (batch, time, units) = (3, 5, 8)
    func side(_ name: String, _ function: ScalarFunction) throws -> Graph {
      var graph = Graph(name: name)
      let a = graph.declareInput("a", TensorType(.float32, [.symbol("n"), .symbol("m")]))
      let b = graph.declareInput("b", TensorType(.float32, [.symbol("m")]))
      graph.outputs = [.init(name: "sum", value: try graph.addOne(Elementwise(function), [a, b], name: "sum"))]
      return graph
    }
    var body = Graph(name: "body")
    let n = Dim.symbol("batch")
    let number = body.declareInput("i", TensorType(.int64, []))
    let h = body.declareInput("h", TensorType(.float32, [n, Dim(units)]))
    let buffer = body.declareInput("buffer", TensorType(.float32, [.symbol("time"), n, Dim(units)]))
    let same = body.declareInput("same", TensorType(.float32, [2]))
    let x = body.declareInput("x", TensorType(.float32, [n, Dim(units)]))
    let w = body.declareInput("w", TensorType(.float32, [Dim(units), Dim(units)]))
    let b = body.declareInput("b", TensorType(.float32, [Dim(units)]))
    let two = body.addConstant("two", try Tensor(integers: [2], dtype: .int64, shape: []))
    let doubled = try body.addOne(Elementwise(.mul), [b, b], name: "doubled", scope: "invariant")
    let product = try body.addOne(MatMul(), [h, w], name: "product")
    let even = try body.addOne(Elementwise(.equal), [try body.addOne(Elementwise(.mod), [number, two], name: "mod"), number], name: "even")
    let biased = try body.addOne(
      Branch(then: try side("plus", .add), otherwise: try side("minus", .sub)), [even, product, doubled], name: "biased")
    let sum = try body.addOne(Elementwise(.add), [biased, x], name: "sum")
    let next = try body.addOne(Elementwise(.tanh), [sum], name: "next")
    let kept = try body.addOne(SetItem(), [buffer, number, next], name: "kept")
    let row = try body.addOne(Reduce(.sum, axes: [1]), [next], name: "row")
    body.outputs = [("h", next), ("buffer", kept), ("same", same), ("row", row)].map { .init(name: $0.0, value: $0.1) }
    var condition: Graph?
    if conditional {
      var graph = Graph(name: "condition")
      let number = graph.declareInput("i", TensorType(.int64, []))
      for input in [h, buffer, same, w, b] { _ = graph.declareInput(body[input].name, body.type(of: input)) }
      let four = graph.addConstant("four", try Tensor(integers: [4], dtype: .int64, shape: []))
      graph.outputs = [.init(name: "c", value: try graph.addOne(Elementwise(.less), [number, four], name: "c"))]
      condition = graph
    }
    var graph = Graph(name: "recurrence")
    let h0 = try graph.addInput("h0", TensorType(.float32, [n, Dim(units)]))
    let xs = try graph.addInput("xs", TensorType(.float32, [Dim(time), n, Dim(units)]))
    let zeros = graph.addConstant("zeros", try Tensor(dtype: .float32, shape: [time, batch, units]) { _ in })
    let pair = graph.addConstant("pair", try Tensor([1, 2] as [Float], shape: [2]))
    // Small enough that a step does not magnify the rounding of the one before.
    let weights = graph.addConstant("w", try random.tensor(TensorType(.float32, [8, 8]), range: -0.3...0.3))
    let bias = graph.addConstant("b", try random.tensor(TensorType(.float32, [8])))
    let results = try graph.add(
      Loop(carried: 3, sliced: 1, condition: condition, body: body), [h0, zeros, pair, xs, weights, bias], name: "loop",
      scope: "while")
    graph.outputs = results.enumerated().map { .init(name: "y\($0)", value: $1) }
    return (graph, [try random.tensor(TensorType(.float32, [3, 8])), try random.tensor(TensorType(.float32, [5, 3, 8]))])
  }

  @Test(arguments: [false, true], [1, 2])
  func plansAgreeWithTheReference(conditional: Bool, threads: Int) throws {
    var random = TestRandom(named: "recurrence")
    let (graph, feed) = try Self.recurrence(&random, conditional: conditional)
    try Verifier.verify(graph)
    let expected = try ReferenceBackend.run(graph, feed)
    #expect(expected.last?.integers == [conditional ? 4 : 5])
    for candidate in [graph, try RuntimeGraph.prepare(graph)] {
      try Verifier.verify(candidate)
      let (outputs, plan) = try run(candidate, feed, threads: threads)
      #expect(plan.isNative)
      for (got, wanted) in zip(outputs, expected) {
        #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-6) == nil)
      }
    }
  }

  /// Constants move in, what does not change moves out, carried values that stay go, and the result is the same.
  @Test func loopsAreSimplified() throws {
    var random = TestRandom(named: "simplified")
    let (graph, feed) = try Self.recurrence(&random, conditional: true)
    let (result, trace) = try Optimizer.run(graph, .portable)
    try Verifier.verify(result)
    let loop = try #require(result.nodes.compactMap { $0.op as? Loop }.first)
    #expect(loop.carried == 2)
    #expect(loop.body.constants.values.contains { $0.shape == [8, 8] })
    #expect(!loop.body.nodes.contains { $0.op.isEqual(to: Elementwise(.mul)) })
    #expect(trace.counts["control-flow", default: 0] > 0)
    #expect(Set(graph.outputs.map(\.name)) == Set(result.outputs.map(\.name)))
    for (got, wanted) in zip(try ReferenceBackend.run(result, feed), try ReferenceBackend.run(graph, feed)) {
      // A row is a sum of 8 numbers of size 1, which may cancel.
      #expect(firstDifference(got, wanted, relative: 1e-5, absolute: 1e-6) == nil)
    }
    // Running it again changes nothing.
    #expect(try Optimizer.run(result, .portable).graph == result)
  }

  @Test func whatDoesNotChangeIsComputedOnce() throws {
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let x = body.declareInput("x", TensorType(.float32, [.symbol("n")]))
    let c = body.declareInput("c", TensorType(.float32, [.symbol("n")]))
    let e = try body.addOne(Elementwise(.exp), [c], name: "e")
    body.outputs = [.init(name: "x", value: try body.addOne(Elementwise(.mul), [x, e], name: "y"))]
    var graph = Graph(name: "hoist")
    let a = try graph.addInput("a", TensorType(.float32, [4]))
    let b = try graph.addInput("b", TensorType(.float32, [4]))
    graph.outputs = [.init(name: "y", value: try graph.add(Loop(carried: 1, maxTrips: 3, body: body), [a, b], name: "l")[0])]
    let result = try Optimizer.run(graph, .portable).graph
    #expect(result.nodes.contains { $0.op.isEqual(to: Elementwise(.exp)) })
    let feed = [try Tensor([1, 2, 3, 4] as [Float], shape: [4]), try Tensor([0, 1, -1, 0.5] as [Float], shape: [4])]
    let expected = try ReferenceBackend.run(graph, feed)[0]
    #expect(firstDifference(try ReferenceBackend.run(result, feed)[0], expected, relative: 1e-6, absolute: 0) == nil)
    #expect(firstDifference(try run(result, feed).outputs[0], expected, relative: 1e-5, absolute: 0) == nil)
  }

  @Test func constantSelectorsDisappear() throws {
    let pair = try #require(Branch.examples.first?.op as? Branch)
    for selector in [0, 1] {
      var graph = Graph(name: "chosen")
      let x = try graph.addInput("x", TensorType(.float32, [2, 3]))
      let which = graph.addConstant("which", try Tensor(integers: [Int64(selector)], dtype: .bool, shape: []))
      let results = try graph.add(pair, [which, x], name: "b", scope: "if")
      graph.outputs = results.map { .init(name: graph[$0].name, value: $0) }
      let result = try Optimizer.run(graph, .portable).graph
      #expect(!result.hasControlFlow)
      try Verifier.verify(result)
      let feed = [try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])]
      #expect(try ReferenceBackend.run(result, feed) == ReferenceBackend.run(graph, feed))
    }
  }

  @Test func aLoopAllocatesNothing() throws {
    guard malloc_count_available() else { return }
    var random = TestRandom(named: "loop allocations")
    let (graph, feed) = try Self.recurrence(&random, conditional: true)
    let plan = try PlanBuilder.plan(RuntimeGraph.prepare(graph), shapes: feed.map(\.shape))
    let executor = Executor(plan, pool: .shared(1))
    let results = plan.outputs.map { UnsafeMutableRawPointer.allocate(byteCount: max(8, $0.byteCount), alignment: 64) }
    defer { for result in results { result.deallocate() } }
    let inputs: [UnsafeRawPointer?] = feed.map(\.address)
    let outputs: [UnsafeMutableRawPointer?] = results
    try inputs.withUnsafeBufferPointer { inputs in
      try outputs.withUnsafeBufferPointer { outputs in
        guard let inputs = inputs.baseAddress, let outputs = outputs.baseAddress else { return }
        try executor.run(inputs, outputs)
        let before = malloc_count()
        for _ in 0..<20 { try executor.run(inputs, outputs) }
        #expect(malloc_count() - before == 0)
      }
    }
  }

  /// The number of iterations is bounded, the limit is one for a whole prediction, and a cancelled task stops.
  @Test func endlessLoopsAreStopped() async throws {
    var forever = Graph(name: "condition")
    _ = forever.declareInput("i", TensorType(.int64, []))
    _ = forever.declareInput("x", TensorType(.float32, []))
    forever.outputs = [.init(name: "c", value: forever.addConstant("yes", try Tensor(integers: [1], dtype: .bool, shape: [])))]
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let x = body.declareInput("x", TensorType(.float32, []))
    body.outputs = [.init(name: "x", value: try body.addOne(Elementwise(.neg), [x], name: "y"))]
    var graph = Graph(name: "forever")
    let input = try graph.addInput("x", TensorType(.float32, []))
    graph.outputs = [
      .init(name: "y", value: try graph.add(Loop(carried: 1, condition: forever, body: body), [input], name: "loop")[0])
    ]
    let feed = [try Tensor([1] as [Float], shape: [])]
    let limited = Executor(
      try PlanBuilder.plan(graph, shapes: [[]], options: PlanOptions(maximumIterations: 1000)), pool: .shared(1))
    for _ in 0..<2 {
      let error = #expect(throws: KilnError.self) { try limited.run(feed) }
      #expect(error?.line.contains("iterations") == true)
    }
    let endless = Executor(
      try PlanBuilder.plan(graph, shapes: [[]], options: PlanOptions(maximumIterations: .max)), pool: .shared(1))
    let task = Task.detached { try endless.run(feed) }
    task.cancel()
    let result = await task.result
    #expect(throws: KilnError.self) { try result.get() }
  }

  /// A body that fails says so, and the failure does not stick.
  @Test func errorsInABodyAreReported() throws {
    var body = Graph(name: "body")
    let number = body.declareInput("i", TensorType(.int64, []))
    let x = body.declareInput("x", TensorType(.float32, [3]))
    body.outputs = [
      .init(name: "x", value: x),
      .init(name: "row", value: try body.addOne(Gather(axis: 0), [x, number], name: "item")),
    ]
    var graph = Graph(name: "items")
    let input = try graph.addInput("x", TensorType(.float32, [3]))
    let limit = try graph.addInput("limit", TensorType(.int64, []))
    _ = limit
    func with(_ trips: Int) throws -> Graph {
      var copy = graph
      let results = try copy.add(Loop(carried: 1, maxTrips: trips, body: body), [input], name: "loop")
      copy.outputs = [.init(name: "rows", value: results[1])]
      return copy
    }
    let feed = [try Tensor([5, 6, 7] as [Float], shape: [3]), try Tensor(integers: [0], dtype: .int64, shape: [])]
    #expect(try run(with(3), feed).outputs[0].floats == [5, 6, 7])
    #expect(throws: KilnError.self) { try run(with(4), feed) }
  }

  /// Random carried values that the body permutes, keeps, overwrites and recomputes.
  @Test func randomBodies() throws {
    var random = TestRandom(named: "random bodies")
    for round in 0..<120 {
      let count = Int.random(in: 1...4, using: &random)
      let trips = Int.random(in: 0...4, using: &random)
      var body = Graph(name: "body")
      _ = body.declareInput("i", TensorType(.int64, []))
      var values = (0..<count).map { body.declareInput("v\($0)", TensorType(.float32, [5])) }
      values.append(body.declareInput("c", TensorType(.float32, [5])))
      for step in 0..<Int.random(in: 0...6, using: &random) {
        guard let a = values.randomElement(using: &random), let b = values.randomElement(using: &random) else { continue }
        let isUnary = Bool.random(using: &random)
        values.append(
          try body.addOne(Elementwise(isUnary ? .sin : .sub), isUnary ? [a] : [a, b], name: "n\(step)"))
      }
      let outputs = (0...count).map { _ in values.randomElement(using: &random) ?? values[0] }
      body.outputs = outputs.enumerated().map { .init(name: "o\($0)", value: $1) }
      var graph = Graph(name: "random")
      let inputs = try (0...count).map { try graph.addInput("x\($0)", TensorType(.float32, [5])) }
      let negated = try inputs.map { try graph.addOne(Elementwise(.neg), [$0], name: "neg") }
      let results = try graph.add(Loop(carried: count, maxTrips: trips, body: body), negated, name: "loop")
      graph.outputs = (results + [negated[0]]).enumerated().map { .init(name: "y\($0)", value: $1) }
      let feed = try inputs.map { _ in try random.tensor(TensorType(.float32, [5])) }
      let expected = try ReferenceBackend.run(graph, feed)
      for candidate in [graph, try RuntimeGraph.prepare(graph)] {
        for (index, (got, wanted)) in zip(try run(candidate, feed).outputs, expected).enumerated() {
          let difference = firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5)
          #expect(difference == nil, "round \(round), output \(index):\n\(TextForm.print(graph))")
          if difference != nil { return }
        }
      }
    }
  }
}

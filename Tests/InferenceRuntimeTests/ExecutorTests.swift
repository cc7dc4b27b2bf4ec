import GraphModule
import GraphTestSupport
import InferenceRuntime
import MallocCount
import TensorModule
import TestSupport
import Testing

@Suite struct ExecutorTests {
  /// A network with products, a convolution, pooling, a residual and softmax: every kind of native step.
  static func network(_ random: inout TestRandom) throws -> (graph: Graph, feed: [Tensor]) {
    var graph = Graph(name: "network")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 12, 12, 3]))
    func constant(_ name: String, _ shape: Shape) throws -> ValueID {
      graph.addConstant(name, try random.tensor(TensorType(.float32, shape: shape), range: -0.3...0.3))
    }
    let biased = Epilogue(bias: true, activation: Activation(.relu))
    var y = try graph.addOne(
      Conv(strides: [1, 1], padding: .same, epilogue: biased), [x, constant("w0", [3, 3, 3, 16]), constant("b0", [16])], name: "c0")
    let skip = y
    y = try graph.addOne(Conv(strides: [1, 1], padding: .same, groups: 16), [y, constant("w1", [3, 3, 1, 16])], name: "c1")
    y = try graph.addOne(Elementwise(.add), [y, skip], name: "sum")
    y = try graph.addOne(Elementwise(.tanh), [y], name: "tanh")
    y = try graph.addOne(Pool(.max, window: [2, 2], strides: [2, 2]), [y], name: "pool")
    y = try graph.addOne(Reshape([.symbol("batch"), 576]), [y], name: "flat")
    y = try graph.addOne(MatMul(epilogue: biased), [y, constant("w2", [576, 70]), constant("b2", [70])], name: "d0")
    y = try graph.addOne(MatMul(), [y, constant("w3", [70, 10])], name: "d1")
    y = try graph.addOne(Softmax(axis: 1), [y], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    return (graph, [try random.tensor(TensorType(.float32, [2, 12, 12, 3]))])
  }

  @Test(arguments: [1, 2])
  func aPredictionAfterTheFirstAllocatesNothing(threads: Int) throws {
    guard malloc_count_available() else { return }
    var random = TestRandom(named: "allocations")
    let (graph, feed) = try Self.network(&random)
    let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(threads: threads))
    #expect(plan.isNative)
    let executor = Executor(plan, pool: .shared(threads))
    let output = UnsafeMutableRawPointer.allocate(byteCount: plan.outputs[0].byteCount, alignment: 64)
    defer { output.deallocate() }
    var inputs: [UnsafeRawPointer?] = [feed[0].address]
    var outputs: [UnsafeMutableRawPointer?] = [output]
    try executor.run(&inputs, &outputs)
    var counts: (before: Int64, after: Int64) = (0, 0)
    try inputs.withUnsafeBufferPointer { inputs in
      try outputs.withUnsafeBufferPointer { outputs in
        guard let inputs = inputs.baseAddress, let outputs = outputs.baseAddress else { return }
        counts.before = malloc_count()
        for _ in 0..<50 { try executor.run(inputs, outputs) }
        counts.after = malloc_count()
      }
    }
    #expect(counts.after - counts.before == 0)
    // The counter works: an allocation is seen.
    let before = malloc_count()
    let block = UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 8)
    #expect(malloc_count() > before)
    block.deallocate()
  }

  @Test func concurrentPredictionsAreBitEqual() async throws {
    var random = TestRandom(named: "concurrency")
    let (graph, feed) = try Self.network(&random)
    let cache = PlanCache(graph, options: PlanOptions(threads: 2), pool: .shared(2))
    let expected = try cache.executor(feed.map(\.shape)).run(feed)
    let equal = try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<40 where try cache.executor(feed.map(\.shape)).run(feed) != expected { return false }
          return true
        }
      }
      return try await group.reduce(true) { $0 && $1 }
    }
    #expect(equal)
    #expect(cache.count == 1)
  }

  @Test func resultsDoNotDependOnTheThreads() throws {
    var random = TestRandom(named: "threads")
    let (graph, feed) = try Self.network(&random)
    let expected = try ReferenceBackend.run(graph, feed)
    for threads in 1...4 {
      let got = try run(graph, feed, threads: threads).outputs
      #expect(firstDifference(got[0], expected[0], relative: 1e-4, absolute: 1e-6) == nil)
    }
  }

  @Test func plansShareWeightsAndAreBounded() throws {
    var random = TestRandom(named: "plan cache")
    let (graph, _) = try Self.network(&random)
    let cache = PlanCache(graph, pool: .shared(1), limit: 3)
    _ = try cache.executor([[1, 12, 12, 3]])
    let packed = cache.weights.byteCount
    #expect(packed > 0)
    for batch in 1...6 { _ = try cache.executor([[batch, 12, 12, 3]]) }
    #expect(cache.count == 3)
    // Another batch may choose another algorithm for a convolution, but products are packed once.
    #expect(cache.weights.byteCount <= 2 * packed)
    let kept = try cache.executor([[6, 12, 12, 3]])
    #expect(try cache.executor([[6, 12, 12, 3]]) === kept)
  }

  @Test func deadOperandsAreOverwritten() throws {
    var graph = Graph(name: "chain")
    let x = try graph.addInput("x", TensorType(.float32, [64, 64]))
    var y = x
    for index in 0..<6 { y = try graph.addOne(Elementwise(index % 2 == 0 ? .tanh : .neg), [y], name: "n\(index)") }
    graph.outputs = [Graph.Output(name: "y", value: y)]
    var random = TestRandom(named: "in place")
    let feed = [try random.tensor(TensorType(.float32, [64, 64]))]
    let before = feed[0].floats
    let (outputs, plan) = try run(graph, feed)
    // The first writes the output's memory, the others work in it; the caller's input is left alone.
    #expect(plan.report.nodes.map(\.inPlace) == [false, true, true, true, true, true])
    #expect(plan.arenaBytes == 0)
    #expect(feed[0].floats == before)
    let expected = try ReferenceBackend.run(graph, feed)
    #expect(firstDifference(outputs[0], expected[0], relative: 1e-5, absolute: 1e-6) == nil)
  }

  @Test func aValueThatIsReadAgainIsNotOverwritten() throws {
    var graph = Graph(name: "diamond")
    let x = try graph.addInput("x", TensorType(.float32, [33]))
    let a = try graph.addOne(Elementwise(.tanh), [x], name: "a")
    let b = try graph.addOne(Elementwise(.neg), [a], name: "b")
    let c = try graph.addOne(Elementwise(.mul), [a, b], name: "c")
    graph.outputs = [Graph.Output(name: "c", value: c), Graph.Output(name: "a", value: a)]
    var random = TestRandom(named: "diamond")
    let feed = [try random.tensor(TensorType(.float32, [33]))]
    let expected = try ReferenceBackend.run(graph, feed)
    for (got, wanted) in zip(try run(graph, feed).outputs, expected) {
      #expect(firstDifference(got, wanted, relative: 1e-5, absolute: 1e-6) == nil)
    }
  }

  @Test func anIndexOutOfRangeIsAnError() throws {
    var graph = Graph(name: "embedding")
    let x = try graph.addInput("x", TensorType(.int32, [4]))
    let table = graph.addConstant("table", try Tensor([1, 2, 3] as [Float], shape: [3, 1]))
    graph.outputs = [Graph.Output(name: "y", value: try graph.addOne(Gather(axis: 0), [table, x], name: "embedded"))]
    let good = try Tensor([0, 1, 2, 0] as [Int32], shape: [4])
    let bad = try Tensor([0, 1, 3, 0] as [Int32], shape: [4])
    let plan = try PlanBuilder.plan(graph, shapes: [[4]])
    let executor = Executor(plan, pool: .shared(1))
    #expect(throws: KilnError.self) { try executor.run([bad]) }
    // The failure does not stick.
    #expect(try executor.run([good])[0].floats == [1, 2, 3, 1])
  }

  @Test(arguments: [DType.float16, .bfloat16, .float64])
  func otherFloatsRunByKernels(_ dtype: DType) throws {
    var random = TestRandom(named: "graph of \(dtype.name)")
    var graph = Graph(name: "narrow")
    let x = try graph.addInput("x", TensorType(dtype, [.symbol("batch"), 9]))
    let w = graph.addConstant("w", try random.tensor(TensorType(dtype, [9, 20])))
    let b = graph.addConstant("b", try random.tensor(TensorType(dtype, [20])))
    var y = try graph.addOne(
      MatMul(epilogue: Epilogue(bias: true, activation: Activation(.tanh))), [x, w, b], name: "dense")
    y = try graph.addOne(Cast(.float32), [y], name: "wide")
    y = try graph.addOne(Cast(dtype), [y], name: "rounded")
    graph.outputs = [Graph.Output(name: "y", value: try graph.addOne(Elementwise(.neg), [y], name: "y"))]
    let feed = [try random.tensor(TensorType(dtype, [3, 9]))]
    let expected = try ReferenceBackend.run(graph, feed)
    let (outputs, plan) = try run(RuntimeGraph.prepare(graph), feed)
    #expect(plan.isNative)
    #expect(outputs[0].dtype == dtype)
    let step = dtype == .float16 ? 0x1p-10 : dtype == .bfloat16 ? 0x1p-7 : 1e-15
    #expect(firstDifference(outputs[0], expected[0], relative: step, absolute: step) == nil)
  }

  @Test func inputsAndConstantsCanBeOutputs() throws {
    var graph = Graph(name: "passing")
    let x = try graph.addInput("x", TensorType(.float32, [2, 2]))
    let c = graph.addConstant("c", try Tensor([5, 6] as [Float], shape: [2]))
    let s = graph.addConstant("s", Tensor(strings: ["a", "b"], shape: [2]))
    let flat = try graph.addOne(Reshape([4]), [x], name: "flat")
    let y = try graph.addOne(Elementwise(.neg), [x], name: "y")
    graph.outputs = [("x", x), ("c", c), ("flat", flat), ("y", y), ("y2", y), ("s", s)]
      .map { Graph.Output(name: $0.0, value: $0.1) }
    let outputs = try run(graph, [Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])]).outputs
    #expect(outputs[0].floats == [1, 2, 3, 4])
    #expect(outputs[1].floats == [5, 6])
    #expect(outputs[2].shape == [4] && outputs[2].floats == [1, 2, 3, 4])
    #expect(outputs[3].floats == [-1, -2, -3, -4])
    #expect(outputs[4] == outputs[3])
    #expect(outputs[5].strings == ["a", "b"])
  }
}

import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Weights that are not packed in float32 for good.
@Suite struct WeightFormTests {
  /// A convolution worth a transform, a strided one, a pointwise one and a large dense layer.
  private static func network(_ random: inout TestRandom) throws -> (graph: Graph, feed: [Tensor]) {
    var graph = Graph(name: "network")
    let x = try graph.addInput("x", TensorType(.float32, shape: [1, 12, 12, 16]))
    func weights(_ name: String, _ shape: Shape) throws -> ValueID {
      graph.addConstant(name, try random.tensor(TensorType(.float32, shape: shape), range: -0.1...0.1))
    }
    let w0 = try weights("w0", [3, 3, 16, 128])
    let w1 = try weights("w1", [3, 3, 128, 96])
    let w2 = try weights("w2", [1, 1, 96, 720])
    let w3 = try weights("w3", [720, 150])
    var y = try graph.addOne(Conv(strides: [1, 1], padding: .same), [x, w0], name: "conv")
    y = try graph.addOne(Conv(strides: [2, 2], padding: .same), [y, w1], name: "strided")
    y = try graph.addOne(Conv(strides: [1, 1], padding: .same), [y, w2], name: "pointwise")
    y = try graph.addOne(Reduce(.mean, axes: [1, 2], keepDims: false), [y], name: "mean")
    y = try graph.addOne(MatMul(), [y, w3], name: "dense")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    return (graph, [try random.tensor(TensorType(.float32, shape: [1, 12, 12, 16]))])
  }

  private static func plan(_ graph: Graph, _ options: PlanOptions, _ store: WeightStore = WeightStore()) throws -> Plan {
    try PlanBuilder.plan(
      graph, shapes: [[1, 12, 12, 16]], options: options, weights: store, pool: ThreadPool.shared(options.threads))
  }

  @Test(arguments: [1, 2]) func streamedWeightsGiveTheSame(threads: Int) throws {
    var random = TestRandom(named: "streamed network")
    let (graph, feed) = try Self.network(&random)
    let expected = try ReferenceBackend.run(graph, feed)
    for options in [PlanOptions(threads: threads, lowMemory: true), PlanOptions(threads: threads, expectedRuns: 1)] {
      let store = WeightStore()
      let plan = try Self.plan(graph, options, store)
      let kernels = plan.report.nodes.map(\.kernel)
      #expect(kernels.contains("streamed") && kernels.contains("streamed/rows"))
      // Small weights only: transformed ones up to 1 MiB when memory is short, none for one run over a small map.
      #expect(store.byteCount <= (options.lowMemory ? 512 << 10 : 256 << 10))
      #expect(kernels.contains("conv/winograd4") == (options.lowMemory && Machine.instructionSet != "scalar"))
      let outputs = try Executor(plan, pool: ThreadPool.shared(threads)).run(feed)
      for (got, wanted) in zip(outputs, expected) { #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil) }
    }
  }

  @Test func manyRunsPackAndTransform() throws {
    var random = TestRandom(named: "packed network")
    let (graph, _) = try Self.network(&random)
    for runs in [nil, 1000] {
      let kernels = try Self.plan(graph, PlanOptions(expectedRuns: runs)).report.nodes.map(\.kernel)
      #expect(!kernels.contains { $0.hasPrefix("streamed") })
    }
  }

  /// A loop of known length runs its body that often.
  @Test func bodiesOfLoopsRunMoreOften() throws {
    var random = TestRandom(named: "loop of products")
    for (trips, isStreamed) in [(2, true), (100, false)] {
      var body = Graph(name: "body")
      _ = body.declareInput("i", TensorType(.int64, []))
      let h = body.declareInput("h", TensorType(.float32, shape: [8, 320]))
      let w = body.addConstant("w", try random.tensor(TensorType(.float32, shape: [320, 320]), range: -0.05...0.05))
      body.outputs = [.init(name: "h", value: try body.addOne(MatMul(), [h, w], name: "product"))]
      var graph = Graph(name: "loop")
      let x = try graph.addInput("x", TensorType(.float32, shape: [8, 320]))
      let results = try graph.add(Loop(carried: 1, maxTrips: trips, body: body), [x], name: "loop")
      graph.outputs = [.init(name: "y", value: results[0])]
      let plan = try PlanBuilder.plan(graph, shapes: [[8, 320]], options: PlanOptions(expectedRuns: 1))
      let feed = [try random.tensor(TensorType(.float32, shape: [8, 320]))]
      let recorder = try Executor(plan, pool: .single).timed(feed)
      let kernel = recorder.rows.first { $0.node.name == "product" }?.node.kernel
      #expect((kernel == "streamed") == isStreamed, "\(trips): \(kernel ?? "none")")
      let expected = try ReferenceBackend.run(graph, feed)
      let outputs = try Executor(plan, pool: .single).run(feed)
      for (got, wanted) in zip(outputs, expected) { #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil) }
    }
  }

  @Test(arguments: [(WeightForm.bfloat16, 4e-3), (.int8, 1e-2)]) func narrowWeightsAreNear(_ form: WeightForm, _ bound: Double) throws {
    var random = TestRandom(named: "narrow network")
    let (graph, feed) = try Self.network(&random)
    let expected = try ReferenceBackend.run(graph, feed)[0].doubles
    let plan = try Self.plan(graph, PlanOptions(weights: form))
    #expect(plan.report.nodes.filter { $0.kernel == "narrow/\(form.rawValue)" }.map(\.name) == ["dense"])
    let got = try Executor(plan, pool: .single).run(feed)[0].doubles
    let scale = expected.map(\.magnitude).max() ?? 0
    let worst = zip(got, expected).map { ($0 - $1).magnitude }.max() ?? 0
    #expect(worst > 0 && worst < bound * scale, "\(worst) of \(scale)")
  }
}

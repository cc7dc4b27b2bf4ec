import GraphModule
import GraphTestSupport
import GraphOptimizer
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Sizes that depend on the data: stages, promises, and what becomes static.
@Suite struct DataSizeTests {
  /// x[mask] · w, reshaped by a computed shape, with the batch in a second output: two data sizes, one after the other.
  static func masked(_ random: inout TestRandom) throws -> Graph {
    var graph = Graph(name: "masked")
    let batch = Dim.symbol("batch")
    let x = try graph.addInput("x", TensorType(.float32, [batch, 4]))
    let mask = try graph.addInput("mask", TensorType(.bool, [batch]))
    let places = try graph.addOne(NonZero(.symbol("kept")), [mask], name: "places")
    let flat = try graph.addOne(Reshape([.symbol("kept")]), [places], name: "flat")
    let rows = try graph.addOne(Gather(axis: 0), [x, flat], name: "rows", scope: "mask")
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, [4, 6])))
    let product = try graph.addOne(MatMul(), [rows, w], name: "product")
    let ids = try graph.addOne(Cast(.int64), [try graph.addOne(Elementwise(.round), [product], name: "rounded")], name: "ids")
    let all = try graph.addOne(Reshape([.symbol("kept") * 6]), [ids], name: "all")
    let unique = try graph.add(Unique(.symbol("different")), [all], name: "unique")
    let halves = graph.addConstant("halves", try Tensor(integers: [-1, 3], dtype: .int64, shape: [2]))
    let shaped = try graph.addOne(DynamicReshape([.symbol("kept") * 2, 3]), [product, halves], name: "shaped")
    let count = try graph.addOne(ShapeOf(), [unique[0]], name: "count")
    let sum = try graph.addOne(Reduce(.sum, axes: [0, 1]), [x], name: "sum")
    graph.outputs = [("shaped", shaped), ("values", unique[0]), ("counts", unique[2]), ("count", count), ("sum", sum)]
      .map { .init(name: $0.0, value: $0.1) }
    return graph
  }

  @Test(arguments: [1, 2])
  func stagesAgreeWithTheReference(threads: Int) throws {
    var random = TestRandom(named: "stages")
    let graph = try Self.masked(&random)
    try Verifier.verify(graph)
    let tensors = Dictionary(uniqueKeysWithValues: graph.constants.map { (graph[$0.key].name, $0.value) })
    let parsed = try TextForm.parse(TextForm.print(graph)) { name, _ in try #require(tensors[name]) }
    #expect(parsed == graph)
    let prepared = try RuntimeGraph.prepare(graph)
    for candidate in [graph, prepared] {
      let cache = PlanCache(candidate, options: PlanOptions(threads: threads), pool: .shared(threads))
      #expect(cache.hasDataSizes)
      for batch in [1, 5, 0, 9, 5] {
        let feed = [
          try random.tensor(TensorType(.float32, [Dim(batch), 4])), try random.tensor(TensorType(.bool, [Dim(batch)])),
        ]
        let expected = try ReferenceBackend.run(graph, feed)
        for (got, wanted) in zip(try cache.run(feed), expected) {
          #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil)
        }
      }
    }
  }

  @Test func nodesThatFindSizesLive() throws {
    var graph = Graph(name: "bound")
    let sizes = try graph.addInput("sizes", TensorType(.int32, [2]))
    let nothing = graph.addConstant("nothing", try Tensor(integers: [], dtype: .int32, shape: [0]))
    let zero = graph.addConstant("zero", try Tensor(integers: [0], dtype: .int32, shape: [1]))
    let shape = try graph.addOne(Concat(axis: 0), [sizes, zero], name: "shape")
    // Nothing reads the result; the sizes that it finds are used.
    _ = try graph.addOne(DynamicBroadcastTo([.symbol("a"), .symbol("b"), 0]), [nothing, shape], name: "found")
    let one = graph.addConstant("one", try Tensor(converting: [1], to: .float32, shape: []))
    let filled = try graph.addOne(BroadcastTo([.symbol("b"), .symbol("a")]), [one], name: "filled")
    graph.outputs = [.init(name: "y", value: try graph.addOne(Elementwise(.exp), [filled], name: "y"))]
    #expect(graph.compacted().nodes.count == graph.nodes.count)
    let cache = PlanCache(try RuntimeGraph.prepare(graph), options: PlanOptions(threads: 1), pool: .shared(1))
    for (a, b) in [(2, 3), (0, 4), (1, 1)] as [(Int64, Int64)] {
      let got = try cache.run([try Tensor(integers: [a, b], dtype: .int32, shape: [2])])
      #expect(got[0].shape == [Int(b), Int(a)])
    }
    #expect(throws: KilnError.self) { _ = try cache.run([try Tensor(integers: [-1, 2], dtype: .int32, shape: [2])]) }
    graph.outputs = [.init(name: "shape", value: shape)]
    #expect(graph.compacted().nodes.count == 1)
  }

  @Test func promisesAreChecked() throws {
    var graph = Graph(name: "promise")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("n")]))
    graph.outputs = [.init(name: "y", value: try graph.addOne(NonZero(2), [x], name: "two"))]
    let good = [try Tensor([0, 1, 2] as [Float], shape: [3])]
    let bad = [try Tensor([0, 1, 0] as [Float], shape: [3])]
    let cache = PlanCache(graph, pool: .single)
    #expect(try cache.run(good)[0].integers == [1, 2])
    #expect(throws: KilnError.self) { try cache.run(bad) }
    #expect(throws: KilnError.self) { try ReferenceBackend.run(graph, bad) }
  }

  /// reshape(x, concat(shape_of(x)[:1], [−1])) and its kin become static.
  @Test func computedShapesBecomeStatic() throws {
    var graph = Graph(name: "static")
    let batch = Dim.symbol("batch")
    let x = try graph.addInput("x", TensorType(.float32, [batch, 3, 4]))
    let shape = try graph.addOne(ShapeOf(), [x], name: "shape")
    let small = try graph.addOne(Cast(.int32), [shape], name: "int32")
    let head = try graph.addOne(Slice([.init(start: 0, end: 1)]), [small], name: "head")
    let open = graph.addConstant("open", try Tensor(integers: [-1], dtype: .int32, shape: [1]))
    let wanted = try graph.addOne(Concat(axis: 0), [head, open], name: "wanted")
    let flat = try graph.addOne(DynamicReshape([.symbol("a"), .symbol("b")]), [x, wanted], name: "flat")
    let two = graph.addConstant("two", try Tensor(integers: [2], dtype: .int32, shape: [1]))
    let doubled = try graph.addOne(Elementwise(.mul), [head, two], name: "doubled")
    let sizes = try graph.addOne(Concat(axis: 0), [doubled, two], name: "sizes")
    let zero = graph.addConstant("zero", try Tensor([0.5] as [Float], shape: []))
    let filled = try graph.addOne(DynamicBroadcastTo([.symbol("c"), .symbol("d")]), [zero, sizes], name: "filled")
    let start = graph.addConstant("start", try Tensor(integers: [1], dtype: .int32, shape: [1]))
    let cut = try graph.addOne(DynamicSlice(axes: [1], dims: [.symbol("a"), .symbol("e")]), [flat, start, two], name: "cut")
    let limits = try [0, 5, 2].map { graph.addConstant("limit", try Tensor(integers: [$0], dtype: .int64, shape: [])) }
    let range = try graph.addOne(DynamicRange(.symbol("f")), limits, name: "range")
    let product = try graph.addOne(Reduce(.prod, axes: [0]), [shape], name: "elements")
    graph.outputs = [("flat", flat), ("filled", filled), ("cut", cut), ("range", range), ("elements", product), ("shape", shape)]
      .map { .init(name: $0.0, value: $0.1) }
    try Verifier.verify(graph)
    let (result, trace) = try Optimizer.run(graph, .portable)
    try Verifier.verify(result)
    #expect(!result.hasDataSizes && trace.counts["static-sizes", default: 0] > 0)
    #expect(!result.nodes.contains { $0.op is any DataDependentOp })
    #expect(result.outputs.map { result.type(of: $0.value).dims }.prefix(4) == [[batch, 12], [batch * 2, 2], [batch, 1], [3]])
    for batch in [1, 5] {
      var random = TestRandom(named: "static")
      let feed = [try random.tensor(TensorType(.float32, [Dim(batch), 3, 4]))]
      let expected = try ReferenceBackend.run(graph, feed)
      for candidate in [graph, result, try RuntimeGraph.prepare(graph)] {
        #expect(try PlanCache(candidate, pool: .single).run(feed) == expected)
      }
      #expect(try run(RuntimeGraph.prepare(graph), feed).outputs == expected)
    }
  }

  /// A loop whose body finds sizes: it runs on tensors.
  @Test func loopsOverBodiesWithDataSizes() throws {
    var body = Graph(name: "body")
    let number = body.declareInput("i", TensorType(.int64, []))
    let total = body.declareInput("total", TensorType(.float32, []))
    let row = body.declareInput("row", TensorType(.float32, [.symbol("n")]))
    let limit = try body.addOne(Cast(.float32), [number], name: "limit")
    let mask = try body.addOne(Elementwise(.greater), [row, limit], name: "mask")
    let places = try body.addOne(NonZero(.symbol("kept")), [mask], name: "places")
    let flat = try body.addOne(Reshape([.symbol("kept")]), [places], name: "flat")
    let kept = try body.addOne(Gather(axis: 0), [row, flat], name: "kept")
    let sum = try body.addOne(Reduce(.sum, axes: [0]), [kept], name: "sum")
    body.outputs = [
      .init(name: "total", value: try body.addOne(Elementwise(.add), [total, sum], name: "next")), .init(name: "sum", value: sum),
    ]
    var graph = Graph(name: "loop")
    let zero = graph.addConstant("zero", try Tensor([0] as [Float], shape: []))
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("t"), 5]))
    let results = try graph.add(Loop(carried: 1, sliced: 1, body: body), [zero, x], name: "loop")
    graph.outputs = results.enumerated().map { .init(name: "y\($0)", value: $1) }
    try Verifier.verify(graph)
    let feed = [try Tensor([3, 0, 1, -1, 2, 5, 1, 1.5, 0, 2, 9, 9, 1, 1, 2.5] as [Float], shape: [3, 5])]
    let expected = try ReferenceBackend.run(graph, feed)
    #expect(expected[1].floats == [6, 8.5, 20.5])
    for candidate in [graph, try RuntimeGraph.prepare(graph)] {
      #expect(try PlanCache(candidate, pool: .single).run(feed) == expected)
    }
  }

  @Test func sizesThatNothingBindsAreRefused() throws {
    var graph = Graph(name: "unbound")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("n")]))
    graph.outputs = [.init(name: "y", value: try graph.addOne(Reshape([.symbol("m")]), [x], name: "y"))]
    #expect(throws: KilnError.self) { try Verifier.verify(graph) }
  }
}

import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Products around a softmax, which become one step without the matrix of scores.
@Suite struct AttentionTests {
  private static let batch = Dim.symbol("batch")

  private enum Form: CaseIterable {
    case plain, scaled, added, masked, maskedBehind, emptyRows, capped, biased, shared, sliced, flat
  }

  /// [batch, time, heads · size] three times, as importers write it.
  private static func graph(
    _ form: Form, _ random: inout TestRandom, queries: Int = 21, keys: Int = 17, heads: Int = 6, size: Int = 9, fetch: String? = nil
  ) throws -> Graph {
    var graph = Graph(name: "attention")
    var names = 0
    func add(_ op: any OpDefinition, _ inputs: [ValueID], _ name: String? = nil) throws -> ValueID {
      names += 1
      return try graph.addOne(op, inputs, name: name ?? "value\(names)")
    }
    let own = form == .shared ? 2 : heads
    func input(_ name: String, _ time: Int, _ heads: Int) throws -> ValueID {
      try graph.addInput(name, TensorType(.float32, [batch, Dim(time), Dim(heads * size * (form == .sliced ? 2 : 1))]))
    }
    func split(_ value: ValueID, _ time: Int, _ heads: Int, _ permutation: [Int], half: Int) throws -> ValueID {
      var value = value
      if form == .sliced {
        value = try add(Slice([.all, .all, .init(start: half * heads * size, end: (half + 1) * heads * size)]), [value])
      }
      if form == .flat { return try add(Reshape([batch, Dim(time), Dim(heads * size)]), [value]) }
      return try add(Transpose(permutation), [try add(Reshape([batch, Dim(time), Dim(heads), Dim(size)]), [value])])
    }
    func repeated(_ value: ValueID, _ time: Int) throws -> ValueID {
      guard form == .shared else { return value }
      let single = try add(Reshape([batch, 2, 1, Dim(time), Dim(size)]), [value])
      let wide = try add(BroadcastTo([batch, 2, Dim(heads / 2), Dim(time), Dim(size)]), [single])
      return try add(Reshape([batch, Dim(heads), Dim(time), Dim(size)]), [wide])
    }
    let q = try split(try input("q", queries, heads), queries, heads, [0, 2, 1, 3], half: 0)
    let isTurned = form == .plain
    let k = try repeated(try split(try input("k", keys, own), keys, own, isTurned ? [0, 2, 3, 1] : [0, 2, 1, 3], half: 1), keys)
    let v = try repeated(try split(try input("v", keys, own), keys, own, [0, 2, 1, 3], half: 0), keys)
    var scores: ValueID
    if form == .biased {
      let bias = graph.addConstant("bias", try random.tensor(TensorType(.float32, shape: [keys])))
      let epilogue = Epilogue(bias: true, activation: Activation(.affine, [0.25, 0]))
      scores = try add(MatMul(transposeB: true, epilogue: epilogue), [q, k, bias], "scores")
    } else {
      scores = try add(MatMul(transposeB: !isTurned), [q, k], "scores")
    }
    let no = graph.addConstant("no", try Tensor([Float(-1e9)], shape: []))
    let hidden = graph.addConstant("hidden", try Tensor([-Float.infinity], shape: []))
    let zero = graph.addConstant("zero", try Tensor([Float(0)], shape: []))
    var behind: (ValueID) throws -> ValueID = { $0 }
    switch form {
    case .plain, .biased, .shared, .sliced: break
    case .flat, .scaled: scores = try add(Elementwise(.affine, [0.5, 0]), [scores])
    case .added:
      let mask = try graph.addInput("mask", TensorType(.float32, [batch, 1, 1, Dim(keys)]))
      scores = try add(
        ElementwiseChain(inputCount: 2, steps: [.init(.affine, [0.5, 0], [.input(1)]), .init(.add, [], [.input(0), .step(0)])]),
        [mask, scores])
    case .capped:
      scores = try add(
        ElementwiseChain(
          inputCount: 1,
          steps: [.init(.affine, [0.5, 0], [.input(0)]), .init(.tanh, [], [.step(0)]), .init(.affine, [2, 0], [.step(1)])]), [scores])
    case .masked, .maskedBehind:
      let mask = try graph.addInput("mask", TensorType(.bool, [batch, 1, Dim(queries), Dim(keys)]))
      scores = try add(Elementwise(.select), [mask, scores, no])
      if form == .maskedBehind { behind = { try add(Elementwise(.select), [mask, $0, zero]) } }
    case .emptyRows:
      let mask = try graph.addInput("mask", TensorType(.bool, [batch, 1, Dim(queries), Dim(keys)]))
      scores = try add(Elementwise(.select), [mask, scores, hidden])
      let most = try add(Reduce(.max, axes: [3], keepDims: true), [scores])
      let isEmpty = try add(Elementwise(.equal), [most, hidden])
      behind = { try add(Elementwise(.select), [isEmpty, zero, $0]) }
    }
    let softmax = try add(Softmax(axis: -1), [scores], "softmax")
    let weights = try behind(softmax)
    var y = try add(MatMul(), [weights, v], "context")
    if form != .flat { y = try add(Transpose([0, 2, 1, 3]), [y], "turned") }
    graph.outputs = [Graph.Output(name: "y", value: y)]
    if let fetch, let value = graph.nodes.flatMap(\.outputs).first(where: { graph[$0].name == fetch }) {
      graph.outputs.append(Graph.Output(name: "other", value: value))
    }
    return graph
  }

  private static func feed(_ graph: Graph, batch: Int, _ random: inout TestRandom) throws -> [Tensor] {
    try graph.inputs.map { input in
      let type = graph.type(of: input)
      let shape = type.dims.map { $0.fixed ?? batch }
      return try random.tensor(TensorType(type.dtype, shape: shape), range: type.dtype == .bool ? 0...1 : -1...1)
    }
  }

  private static func kernels(_ plan: Plan) -> [String] { plan.report.nodes.map(\.kernel) }

  @Test(arguments: Form.allCases, [1, 2, 3]) private func everyFormIsOneStep(_ form: Form, threads: Int) throws {
    var random = TestRandom(named: "attention \(form)")
    for (queries, keys, size) in [(21, 17, 9), (8, 40, 16), (70, 33, 5), (5, 7, 3), (45, 270, 4), (1, 30, 9), (3, 200, 4)] {
      let graph = try Self.graph(form, &random, queries: queries, keys: keys, size: size)
      let feed = try Self.feed(graph, batch: 2, &random)
      let expected = try ReferenceBackend.run(graph, feed)
      let (outputs, plan) = try run(graph, feed, threads: threads)
      // Few rows do not pay for another layout of keys and values, unless they have one anyway.
      let isOne = form != .flat || (queries, keys) != (3, 200)
      let others = Self.kernels(plan).filter { $0 != "attention" && $0 != "in attention" && $0 != "alias" }
      #expect(Self.kernels(plan).filter { $0 == "attention" }.count == (isOne ? 1 : 0))
      #expect(others.isEmpty == isOne, "\(others)")
      #expect(plan.arenaBytes < 2 * 6 * queries * keys * 4 + 1 << 20)
      let difference = firstDifference(outputs[0], expected[0], relative: 1e-5, absolute: 1e-5)
      #expect(difference == nil, "\(form) \(queries) \(keys) \(size): \(difference ?? "")")
    }
  }

  /// Long sequences: what the plan holds is far below one matrix of scores.
  @Test func scoresAreNotInThePlan() throws {
    var random = TestRandom(named: "long attention")
    let graph = try Self.graph(.scaled, &random, queries: 1024, keys: 1024, heads: 2, size: 8)
    let shapes = graph.inputs.map { graph.type(of: $0).dims.map { $0.fixed ?? 1 } }
    let plan = try PlanBuilder.plan(graph, shapes: shapes)
    #expect(plan.arenaBytes < 1 << 19)
  }

  /// What a mask leaves nothing of, infinite scores and NaN come out as they do from the nodes one by one.
  @Test(arguments: [Form.masked, .maskedBehind, .emptyRows, .added]) private func rowsWithoutKeys(_ form: Form) throws {
    var random = TestRandom(named: "rows without keys \(form)")
    let graph = try Self.graph(form, &random)
    var feed = try Self.feed(graph, batch: 2, &random)
    let last = feed.count - 1
    let shape = feed[last].shape
    if form == .added {
      var values = [Float](repeating: 0, count: shape.elementCount)
      for key in 0..<17 { values[key] = -.infinity }
      feed[last] = try Tensor(values, shape: shape)
    } else {
      let values = (0..<shape.elementCount).map { $0 / 17 % 3 == 0 ? 0.0 : 1.0 }
      feed[last] = try Tensor(converting: values, to: .bool, shape: shape)
    }
    let expected = try ReferenceBackend.run(graph, feed)[0]
    let (outputs, plan) = try run(graph, feed, threads: 2)
    #expect(Self.kernels(plan).contains("attention"))
    #expect(firstDifference(outputs[0], expected, relative: 1e-5, absolute: 1e-5) == nil)
    #expect(expected.doubles.contains(where: \.isNaN) == (form == .added))
  }

  /// Values within that are results, or that others read, are made; so is all of what is no attention.
  @Test(arguments: ["scores", "softmax", "context"]) func fetchedValuesAreMade(_ name: String) throws {
    var random = TestRandom(named: "fetched \(name)")
    let graph = try Self.graph(.masked, &random, fetch: name)
    let feed = try Self.feed(graph, batch: 2, &random)
    let (outputs, plan) = try run(graph, feed, threads: 2)
    #expect(Self.kernels(plan).contains("attention") == (name == "context"))
    for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
      #expect(firstDifference(got, wanted, relative: 1e-5, absolute: 1e-5) == nil)
    }
  }

  /// Two attentions behind each other, with nothing between them, and products whose middle one belongs to both.
  @Test(arguments: [false, true]) func successiveAttentions(isJoined: Bool) throws {
    var random = TestRandom(named: "successive attentions")
    var graph = Graph(name: "successive")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 12, 12]))
    func attention(_ q: ValueID, _ name: String) throws -> ValueID {
      let scores = try graph.addOne(MatMul(transposeB: true), [q, x], name: "scores\(name)")
      let weights = try graph.addOne(Softmax(axis: 2), [scores], name: "weights\(name)")
      let y = try graph.addOne(MatMul(), [weights, x], name: "context\(name)")
      return isJoined ? y : try graph.addOne(Transpose([0, 2, 1]), [y], name: "turned\(name)")
    }
    var y = try attention(x, "1")
    if isJoined {
      let weights = try graph.addOne(Softmax(axis: 2), [y], name: "weights2")
      y = try graph.addOne(MatMul(), [weights, x], name: "context2")
    } else {
      y = try attention(y, "2")
    }
    graph.outputs = [Graph.Output(name: "y", value: y)]
    let feed = [try random.tensor(TensorType(.float32, shape: [3, 12, 12]))]
    let (outputs, plan) = try run(graph, feed, threads: 2)
    #expect(Self.kernels(plan).filter { $0 == "attention" }.count == (isJoined ? 1 : 2))
    #expect(firstDifference(outputs[0], try ReferenceBackend.run(graph, feed)[0], relative: 1e-5, absolute: 1e-5) == nil)
  }
}

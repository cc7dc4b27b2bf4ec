import GraphModule
import GraphOptimizer
import TensorModule
import Testing

/// Loops that compute a recurrent layer become `rnn` with the same results; loops that nearly do stay.
@Suite struct RecurrentLoopTests {
  enum Kind: String, CaseIterable, Sendable {
    case lstm, gru, gruAfter, simple
    /// One equation is not the cell's.
    case lstmOtherTanh, lstmTwoSigmoids, gruSwapped, simpleTwoInputs, lstmCellAsOutput

    var isCell: Bool { [.lstm, .gru, .gruAfter, .simple].contains(self) }
  }

  private static let (time, batch, features, units) = (5, 3, 2, 4)

  private static func random(_ shape: Shape, _ seed: UInt64) throws -> Tensor {
    var random = SeededRandom(seed &+ 77)
    return try Tensor(converting: (0..<shape.elementCount).map { _ in Double(random.next() % 2000) / 1000 - 1 }, to: .float32, shape: shape)
  }

  /// A loop over [time, batch, features] with a mask of [time, batch, 1].
  private static func loop(_ kind: Kind, masked: Bool) throws -> Graph {
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let state = TensorType(.float32, [.symbol("n"), Dim(units)])
    let isLSTM = kind.rawValue.hasPrefix("lstm")
    let h = body.declareInput("h", state)
    let c = isLSTM ? body.declareInput("c", state) : nil
    let x = body.declareInput("x", TensorType(.float32, [.symbol("n"), Dim(features)]))
    let mask = masked ? body.declareInput("mask", TensorType(.bool, [.symbol("n"), 1])) : nil
    var seed: UInt64 = 1
    func op(_ op: any OpDefinition, _ operands: ValueID...) throws -> ValueID { try body.addOne(op, operands, name: "v") }
    func apply(_ function: ScalarFunction, _ operands: ValueID...) throws -> ValueID { try body.addOne(Elementwise(function), operands, name: "v") }
    func weight(_ shape: Shape) throws -> ValueID {
      seed += 1
      return body.addConstant("w", try random(shape, seed))
    }
    func part(_ value: ValueID, _ index: Int) throws -> ValueID {
      try op(Slice([.all, .init(start: index * units, end: (index + 1) * units)]), value)
    }
    let newH: ValueID
    var newC = c
    switch kind {
    case .simple, .simpleTwoInputs:
      let other = kind == .simple ? h : try apply(.mul, h, h)
      let sum = try apply(.add, try op(MatMul(), other, try weight([units, units])), try apply(.add, try weight([units]), try op(MatMul(), x, try weight([features, units]))))
      newH = try apply(.tanh, sum)
    case .gru, .gruSwapped:
      let both = try op(MatMul(), try op(Concat(axis: 1), h, x), try weight([units + features, 2 * units]))
      let gates = try apply(.sigmoid, try apply(.add, both, try weight([2 * units])))
      let (r, u) = (try part(gates, 0), try part(gates, 1))
      let candidate = try apply(.tanh, try op(MatMul(), try op(Concat(axis: 1), x, try apply(.mul, h, r)), try weight([units + features, units])))
      let one = body.addConstant("one", try Tensor([1] as [Float], shape: []))
      let rest = try apply(.sub, one, u)
      newH = kind == .gru ? try apply(.add, try apply(.mul, rest, candidate), try apply(.mul, u, h)) : try apply(.add, try apply(.mul, u, candidate), try apply(.mul, h, h))
    case .gruAfter:
      let fromX = try apply(.add, try op(MatMul(), x, try weight([features, 3 * units])), try weight([3 * units]))
      let fromH = try apply(.add, try op(MatMul(), h, try weight([units, 3 * units])), try weight([3 * units]))
      let u = try apply(.sigmoid, try apply(.add, try part(fromX, 0), try part(fromH, 0)))
      let r = try apply(.sigmoid, try apply(.add, try part(fromH, 1), try part(fromX, 1)))
      let candidate = try apply(.tanh, try apply(.add, try apply(.mul, r, try part(fromH, 2)), try part(fromX, 2)))
      let one = body.addConstant("one", try Tensor([1] as [Float], shape: []))
      newH = try apply(.add, try apply(.mul, h, u), try apply(.mul, candidate, try apply(.sub, one, u)))
    default:
      guard let c else { throw KilnError(.internal, "no cell") }
      let z = try apply(.add, try op(MatMul(), try op(Concat(axis: 1), x, h), try weight([units + features, 4 * units])), try weight([4 * units]))
      let bias = body.addConstant("forget", try Tensor([0.7] as [Float], shape: []))
      let forget = try apply(.sigmoid, try apply(.add, try part(z, 2), bias))
      let kept = try apply(.mul, forget, c)
      let added = try apply(.mul, try apply(.tanh, try part(z, 1)), try apply(kind == .lstmTwoSigmoids ? .relu : .sigmoid, try part(z, 0)))
      let sum = try apply(.add, added, kept)
      newC = sum
      newH = try apply(.mul, try apply(kind == .lstmOtherTanh ? .relu : .tanh, sum), try apply(.sigmoid, try part(z, 3)))
    }
    var row = kind == .lstmCellAsOutput ? newC ?? newH : newH
    var results = [newH] + (newC.map { [$0] } ?? [])
    if let mask {
      let zero = body.addConstant("zero", try Tensor([0] as [Float], shape: []))
      row = try apply(.select, mask, row, zero)
      results[0] = try apply(.select, mask, newH, h)
      if let c, let newC { results[1] = try apply(.select, mask, newC, c) }
    }
    body.outputs = (results + [row]).enumerated().map { .init(name: "r\($0)", value: $1) }
    var graph = Graph(name: "loop")
    let n = Dim.symbol("n")
    let sequence = graph.declareInput("x", TensorType(.float32, [.symbol("t"), n, Dim(features)]))
    let masks = masked ? graph.declareInput("mask", TensorType(.bool, [.symbol("t"), n, 1])) : nil
    let initial = graph.declareInput("h0", TensorType(.float32, [n, Dim(units)]))
    let states = isLSTM ? [initial, initial] : [initial]
    let made = try graph.add(
      Loop(carried: states.count, sliced: masked ? 2 : 1, body: body), states + [sequence] + (masks.map { [$0] } ?? []), name: "loop")
    graph.outputs = made.dropLast().enumerated().map { .init(name: "y\($0)", value: $1) }
    return graph
  }

  /// Two layers in one body: the first runs before the loop, and the second is what is left.
  @Test(arguments: [false, true]) func layersComeApart(_ isRead: Bool) throws {
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let state = TensorType(.float32, [.symbol("n"), Dim(Self.units)])
    let states = ["a", "b"].map { body.declareInput($0, state) }
    var value = body.declareInput("x", TensorType(.float32, [.symbol("n"), Dim(Self.features)]))
    var next: [ValueID] = []
    for (layer, h) in states.enumerated() {
      let width = layer == 0 ? Self.features : Self.units
      let joined = try body.addOne(Concat(axis: 1), [value, h], name: "v")
      let w = body.addConstant("w", try Self.random([width + Self.units, Self.units], UInt64(layer)))
      value = try body.addOne(Elementwise(.tanh), [try body.addOne(MatMul(), [joined, w], name: "v")], name: "v")
      next.append(value)
    }
    // A row that reads the first layer's state keeps the layers together.
    let row = isRead ? try body.addOne(Elementwise(.add), [value, states[0]], name: "v") : value
    body.outputs = (next + [row]).enumerated().map { .init(name: "r\($0)", value: $1) }
    var graph = Graph(name: "loop")
    let sequence = graph.declareInput("x", TensorType(.float32, [.symbol("t"), .symbol("n"), Dim(Self.features)]))
    let initial = graph.declareInput("h0", TensorType(.float32, [.symbol("n"), Dim(Self.units)]))
    let made = try graph.add(Loop(carried: 2, sliced: 1, body: body), [initial, initial, sequence], name: "loop")
    graph.outputs = made.dropLast().enumerated().map { .init(name: "y\($0)", value: $1) }
    let result = try Optimizer.run(graph, .portable).graph
    try Verifier.verify(result)
    #expect(result.nodes.filter { $0.op is RNN }.count == (isRead ? 0 : 2))
    let inputs = [try Self.random([Self.time, Self.batch, Self.features], 7), try Self.random([Self.batch, Self.units], 8)]
    let expected: [Tensor] = try ReferenceBackend.run(graph, inputs)
    let got: [Tensor] = try ReferenceBackend.run(result, inputs)
    for (a, b) in zip(got, expected) {
      #expect(try TensorDifference.between(a, b, Tolerance(absolute: 1e-5, relative: 1e-5)).outside == 0)
    }
  }

  @Test(arguments: Kind.allCases, [false, true])
  func becomesASequence(_ kind: Kind, _ masked: Bool) throws {
    let graph = try Self.loop(kind, masked: masked)
    try Verifier.verify(graph)
    let result = try Optimizer.run(graph, .portable).graph
    try Verifier.verify(result)
    #expect(result.nodes.contains { $0.op is RNN } == kind.isCell)
    #expect(result.nodes.contains { $0.op is Loop } != kind.isCell)
    let mask = try Tensor(converting: [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1], to: .bool, shape: [Self.time, Self.batch, 1])
    let inputs = [try Self.random([Self.time, Self.batch, Self.features], 500)] + (masked ? [mask] : []) + [try Self.random([Self.batch, Self.units], 600)]
    let expected: [Tensor] = try ReferenceBackend.run(graph, inputs)
    let got: [Tensor] = try ReferenceBackend.run(result, inputs)
    for (a, b) in zip(got, expected) {
      let difference = try TensorDifference.between(a, b, Tolerance(absolute: 1e-5, relative: 1e-5))
      #expect(difference.outside == 0, "\(kind): differs by \(difference.maximumAbsolute)")
    }
  }
}

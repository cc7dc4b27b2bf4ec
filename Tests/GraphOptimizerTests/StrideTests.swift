import GraphModule
import GraphOptimizer
import TensorModule
import Testing

/// Strides that move into the convolution in front.
@Suite struct StrideTests {
  /// The end of a stage of a ResNet: 1×1, 3×3, 1×1 with a residual, then two 1×1 convolutions that skip positions.
  private func stage(_ w: inout WitnessBuilder, height: Dim, width: Dim, last strides: [[Int]]) throws -> [ValueID] {
    let x = try w.input([2, height, width, 4])
    let kept = try w.add(.sin, x)
    let relu = Epilogue(bias: true, activation: Activation(.relu))
    let narrow = try w.addMany(Conv(strides: [1, 1], epilogue: relu), [kept, try w.weights([1, 1, 4, 3]), try w.weights([3])])[0]
    let wide = try w.addMany(
      Conv(strides: [1, 1], padding: .same, epilogue: relu), [narrow, try w.weights([3, 3, 3, 3]), try w.weights([3])])[0]
    let sum = Epilogue(bias: true, residual: true, activation: Activation(.relu))
    let out = try w.addMany(
      Conv(strides: [1, 1], padding: .valid, epilogue: sum), [wide, try w.weights([1, 1, 3, 4]), try w.weights([4]), kept])[0]
    return try strides.map { strides in try w.add(Conv(strides: strides, padding: .same), out, try w.weights([1, 1, 4, 5])) }
  }

  private func outputs(_ values: [ValueID], _ w: inout WitnessBuilder) {
    for (index, value) in values.enumerated() { w.graph.outputs.append(Graph.Output(name: "y\(index)", value: value)) }
  }

  private func convolutions(_ graph: Graph) -> [[Int]] { graph.nodes.compactMap { ($0.op as? Conv)?.strides } }

  @Test(arguments: [(7, 8), (8, 9), (1, 2)]) func stridesMoveThroughABlock(_ height: Int, _ width: Int) throws {
    var w = WitnessBuilder(random: SeededRandom(baseSeed))
    outputs(try stage(&w, height: Dim(height), width: Dim(width), last: [[2, 2], [2, 2]]), &w)
    let (result, trace) = try Optimizer.run(w.graph, everything())
    #expect(trace.counts["strides-back"] == 2)
    #expect(convolutions(result) == [[1, 1], [2, 2], [1, 1], [1, 1], [1, 1]])
    #expect(result.ops.filter { $0 == "slice" }.count == 1)
    try same(w.graph, result)
  }

  @Test func lengthsMayBeOpen() throws {
    var w = WitnessBuilder(random: SeededRandom(baseSeed))
    outputs(try stage(&w, height: .symbol("h"), width: .symbol("v"), last: [[2, 3], [2, 3]]), &w)
    let (result, trace) = try Optimizer.run(w.graph, everything())
    #expect(trace.counts["strides-back"] == 2)
    #expect(convolutions(result) == [[1, 1], [2, 3], [1, 1], [1, 1], [1, 1]])
    for (height, width) in [(6, 7), (9, 4), (1, 1)] {
      let shapes = [[2, height, width, 4]]
      try same(try w.graph.specialized(to: shapes), try result.specialized(to: shapes))
    }
  }

  @Test func whatIsCommonMoves() throws {
    var w = WitnessBuilder(random: SeededRandom(baseSeed))
    outputs(try stage(&w, height: 13, width: 11, last: [[4, 2], [6, 1]]), &w)
    let (result, _) = try Optimizer.run(w.graph, everything())
    #expect(convolutions(result) == [[1, 1], [2, 1], [1, 1], [2, 2], [3, 1]])
    try same(w.graph, result)
  }

  @Test func poolsAndSlicesOfPositionsGo() throws {
    var w = WitnessBuilder(random: SeededRandom(baseSeed))
    let conv = Conv(strides: [2, 1], dilations: [1, 2], padding: .same, groups: 2)
    let y = try w.add(conv, try w.input([1, 16, 9, 4]), try w.weights([2, 3, 2, 6]))
    let every = Slice([.all, Slice.Range(step: 2), Slice.Range(start: 0, step: 2), .all])
    outputs(
      [
        try w.add(Pool(.max, window: [1, 1], strides: [2, 2]), y),
        try w.add(.exp, try w.add(Pool(.average, window: [1, 1], strides: [4, 2], padding: .same), y)), try w.add(every, y),
      ], &w)
    let (result, _) = try Optimizer.run(w.graph, everything())
    #expect(convolutions(result) == [[4, 2]])
    #expect(result.ops == ["conv", "pool", "exp"])
    #expect(result.nodes.compactMap { ($0.op as? Pool)?.strides } == [[2, 1]])
    try same(w.graph, result)
  }

  @Test(arguments: 0..<8) func otherReadersKeepEveryPosition(_ kind: Int) throws {
    var w = WitnessBuilder(random: SeededRandom(baseSeed))
    let y = try w.add(Conv(strides: [1, 1], padding: .same), try w.input([1, 8, 8, 3]), try w.weights([3, 3, 3, 4]))
    let skipping = Conv(strides: [2, 2], epilogue: Epilogue(residual: kind == 7))
    let residual = kind == 7 ? [try w.input([1, 4, 4, 4])] : []
    var ends = [try w.addMany(skipping, [y, try w.weights([1, 1, 4, 4])] + residual)[0]]
    switch kind {
    case 0: ends.append(try w.add(.exp, y))
    case 1: ends.append(y)
    case 2: ends.append(try w.add(Conv(strides: [2, 2]), y, try w.weights([2, 2, 4, 4])))
    case 3: ends.append(try w.add(Conv(strides: [3, 3]), y, try w.weights([1, 1, 4, 4])))
    case 4: ends.append(try w.add(Conv(strides: [2, 2], padding: .explicit([.init(1, 0), .init(0, 0)])), y, try w.weights([1, 1, 4, 4])))
    case 5: ends.append(try w.add(Slice([.all, Slice.Range(start: 1, step: 2), Slice.Range(step: 2), .all]), y))
    case 6: ends.append(try w.add(Pool(.max, window: [2, 1], strides: [2, 2]), y))
    default: ends.append(try w.addMany(Conv(strides: [1, 1], padding: .same, epilogue: Epilogue(residual: true)), [try w.input([1, 8, 8, 3]), try w.weights([1, 1, 3, 4]), y])[0])
    }
    outputs(ends, &w)
    let (result, trace) = try Optimizer.run(w.graph, everything())
    #expect(trace.counts["strides-back"] == nil)
    try same(w.graph, result)
  }

  private func same(_ before: Graph, _ after: Graph) throws {
    var random = SeededRandom(baseSeed)
    for draw in Draw.allCases {
      let inputs = try draws(before, draw, &random)
      let (expected, got) = (try ReferenceBackend.run(before, inputs), try ReferenceBackend.run(after, inputs))
      for (wanted, found) in zip(expected, got) { #expect(difference(found, wanted, .exact, ignoring: []) == nil) }
    }
  }
}

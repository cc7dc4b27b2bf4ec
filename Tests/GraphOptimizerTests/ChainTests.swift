import GraphModule
import GraphOptimizer
import TensorModule
import Testing

/// Elementwise chains.
@Suite struct ChainTests {
  @Test func aChainBecomesOneNode() throws {
    let net = try graph { w in
      let x = try w.input([2, 3])
      let scaled = try w.add(.mul, try w.add(.sin, x), try w.scalar(2))
      return try w.add(.exp, try w.add(.sub, scaled, try w.add(.cos, try w.input([2, 3]))))
    }
    let (result, trace) = try Optimizer.run(net, everything())
    #expect(result.ops == ["chain"] && trace.counts["elementwise-chain"] == 1)
    let chain = try #require(result.nodes[0].op as? ElementwiseChain)
    #expect(chain.inputCount == 2 && chain.steps.count == 5)
    try same(net, result)
  }

  @Test func sharedAndSmallerValuesStayOutside() throws {
    let net = try graph { w in
      let x = try w.input([4, 3])
      let row = try w.add(.sin, try w.add(.cos, try w.input([3])))
      let shared = try w.add(.exp, try w.add(.sin, x))
      let left = try w.add(.cos, try w.add(.mul, shared, row))
      let right = try w.add(.atan, try w.add(.sinh, shared))
      return try w.add(Concat(axis: 0), left, right)
    }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.ops == ["chain", "chain", "chain", "chain", "concat"])
    try same(net, result)
  }

  @Test(arguments: [31, 32, 33, 70, 500]) func longChainsAreCut(_ length: Int) throws {
    let net = try graph { w in
      var x = try w.input([2])
      for index in 0..<length { x = try w.add(index % 2 == 0 ? .sin : .cos, x) }
      return x
    }
    let (result, _) = try Optimizer.run(net, everything())
    let steps = result.nodes.map { ($0.op as? ElementwiseChain)?.steps.count ?? 1 }
    #expect(steps.reduce(0, +) == length && steps.allSatisfy { $0 <= 32 } && steps.count == (length + 31) / 32)
    try same(net, result)
  }

  @Test func manyOperandsAreCut() throws {
    let net = try graph { w in
      var sum = try w.input([2])
      for _ in 0..<40 { sum = try w.add(.squaredDifference, sum, try w.input([2])) }
      return sum
    }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.nodes.allSatisfy { $0.inputs.count <= 16 } && result.nodes.count == 3)
    try same(net, result)
  }

  private func same(_ before: Graph, _ after: Graph) throws {
    var random = SeededRandom(baseSeed)
    for draw in Draw.allCases {
      let inputs = try draws(before, draw, &random)
      let (expected, got) = (try ReferenceBackend.run(before, inputs)[0], try ReferenceBackend.run(after, inputs)[0])
      #expect(difference(got, expected, .exact, ignoring: []) == nil)
    }
  }
}

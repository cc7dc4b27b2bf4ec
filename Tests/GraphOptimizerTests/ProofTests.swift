import GraphModule
import GraphOptimizer
import TensorModule
import Testing

/// The proof obligations of every rule.
@Suite struct ProofTests {
  static let seeds: Range<UInt64> = 0..<12

  /// A rule's witness inside a random graph.
  struct Case {
    var graph: Graph
    var root: ValueID
    var random: SeededRandom
  }

  static func make(_ witness: Rule.Witness, _ seed: UInt64) throws -> Case {
    var builder = WitnessBuilder(graph: Graph(name: "proof"), random: SeededRandom(seed &* 0x9E37 &+ 1))
    // Around the witness: nodes before, beside and after it.
    let dims = builder.matrix()
    let beside = try builder.input(dims)
    var value = beside
    for _ in 0..<builder.size(0...3) {
      let function = [ScalarFunction.sin, .cos, .atan, .log1p][builder.size(0...3)]
      value = try builder.add(function, value)
    }
    builder.graph.outputs.append(Graph.Output(name: "beside", value: value))
    let root = try witness(&builder)
    if builder.size(0...1) == 0 {
      let after = try builder.add(.identity, root)
      builder.graph.outputs.append(Graph.Output(name: "after", value: after))
    }
    builder.graph.outputs.append(Graph.Output(name: "root", value: root))
    return Case(graph: builder.graph, root: root, random: builder.random)
  }

  @Test(arguments: RuleCatalog.rules.map(\.name)) func holds(_ name: String) throws {
    let rule = try #require(RuleCatalog.rules.first { $0.name == name })
    for offset in Self.seeds {
      let seed = baseSeed &+ offset
      var proof = try Self.make(rule.witness, seed)
      try Verifier.verify(proof.graph)
      let rootName = proof.graph[proof.root].name

      // It fires on the witness, lowers the measure, and the verifier agrees (`verifies`).
      let (result, trace) = try Optimizer.run(proof.graph, alone(), rules: [rule])
      #expect(trace.firings.contains { $0.value == rootName }, "\(name) does not fire, seed \(seed)")
      try Verifier.verify(result)
      #expect(result.outputs.map(\.name) == proof.graph.outputs.map(\.name))

      // A second run changes nothing.
      let again = try Optimizer.run(result, alone(), rules: [rule])
      #expect(again.trace.firings.isEmpty, "\(name) fires again, seed \(seed)")
      #expect(again.graph == result)

      try agree(rule, proof.graph, result, &proof.random, "seed \(seed)")
      try refuseMutants(rule, proof, seed)

      for (index, refusal) in rule.refusals.enumerated() {
        let other = try Self.make(refusal, seed)
        #expect(try rule.interior(of: other.graph, at: other.root) == nil, "\(name) fires on refusal \(index), seed \(seed)")
      }
    }
  }

  private func agree(
    _ rule: Rule, _ before: Graph, _ after: Graph, _ random: inout SeededRandom, _ context: String
  ) throws {
    for draw in Draw.allCases {
      let inputs = try draws(before, draw, &random)
      let expected = try ReferenceBackend.run(before, inputs)
      let got = try ReferenceBackend.run(after, inputs)
      for (index, output) in before.outputs.enumerated() {
        if let text = difference(got[index], expected[index], rule.exactness, ignoring: rule.mayDiffer) {
          Issue.record("\(rule.name) changes '\(output.name)' (\(draw)), \(context): \(text)")
        }
      }
    }
  }

  private func refuseMutants(_ rule: Rule, _ proof: Case, _ seed: UInt64) throws {
    let interior = try #require(try rule.interior(of: proof.graph, at: proof.root), "\(rule.name) does not match, seed \(seed)")
    for value in interior {
      // A second consumer of an interior value.
      var consumed = proof.graph
      let extra = try consumed.addOne(Elementwise(.identity), [value], name: "extra")
      consumed.outputs.append(Graph.Output(name: "extra", value: extra))
      let withConsumer = try rule.interior(of: consumed, at: proof.root)
      #expect(withConsumer?.contains(value) != true, "\(rule.name) takes a value with a second consumer, seed \(seed)")
      // An interior value that is an output.
      var exposed = proof.graph
      exposed.outputs.append(Graph.Output(name: "exposed", value: value))
      let withOutput = try rule.interior(of: exposed, at: proof.root)
      #expect(withOutput?.contains(value) != true, "\(rule.name) takes an output of the graph, seed \(seed)")
    }
    // The guard negated.
    var negated = rule
    let test = rule.guardTest
    negated.guardTest = { !test($0) }
    #expect(try negated.interior(of: proof.graph, at: proof.root) == nil, "\(rule.name) ignores its guard, seed \(seed)")
    try swapOperands(rule, proof, interior, seed)
  }

  /// With the operands of a non-commutative node swapped, the rule does not fire, or is right all the same.
  private func swapOperands(_ rule: Rule, _ proof: Case, _ interior: [ValueID], _ seed: UInt64) throws {
    for (index, node) in proof.graph.nodes.enumerated()
    where node.inputs.count >= 2 && (node.outputs[0] == proof.root || interior.contains(node.outputs[0])) {
      if let op = node.op as? Elementwise, op.function.isCommutative { continue }
      var swapped = proof.graph
      swapped.nodes[index].inputs.swapAt(node.inputs.count - 2, node.inputs.count - 1)
      guard (try? Verifier.verify(swapped)) != nil, try rule.interior(of: swapped, at: proof.root) != nil else { continue }
      let (result, _) = try Optimizer.run(swapped, alone(), rules: [rule])
      var random = proof.random
      try agree(rule, swapped, result, &random, "operands of node \(index) swapped, seed \(seed)")
    }
  }

  @Test func everyRuleIsDocumented() throws {
    let names = RuleCatalog.names
    #expect(Set(names).count == names.count)
    #expect(names.count >= 60)
    for rule in RuleCatalog.rules {
      #expect(rule.summary.count > 5 && !rule.summary.contains("\n"), "\(rule.name)")
      #expect(rule.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" }, "\(rule.name)")
    }
  }
}

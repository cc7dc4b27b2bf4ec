import Foundation
import GraphModule
import GraphOptimizer
import TensorModule
import TestSupport
import Testing

/// Whole graphs through all phases.
@Suite struct GraphTests {
  private static let near = Exactness.tolerance(Tolerance(absolute: 1e-4, relative: 1e-3))

  @Test(arguments: 0..<300) func randomGraphsAgree(_ offset: Int) throws {
    let seed = baseSeed &+ UInt64(offset)
    let graph = try RandomGraph.make(seed)
    try Verifier.verify(graph)
    let (result, trace) = try Optimizer.run(graph, everything())
    try Verifier.verify(result)
    #expect(result.nodes.count <= graph.nodes.count, "seed \(seed)")
    var random = SeededRandom(seed)
    let inputs = try draws(graph, .normal, &random)
    let expected = try ReferenceBackend.run(graph, inputs)
    let got = try ReferenceBackend.run(result, inputs)
    for (a, b) in zip(got, expected) {
      if let text = difference(a, b, Self.near, ignoring: []) {
        Issue.record("seed \(seed): \(text); fired: \(trace.counts)")
      }
    }
    // Deterministic, and a fixed point.
    #expect(try Optimizer.run(graph, everything()).graph == result, "seed \(seed)")
    let again = try Optimizer.run(result, everything())
    #expect(again.trace.firings.isEmpty, "seed \(seed): \(again.trace.counts)")
    // The phases that an import runs, then those of a load, end alike.
    let (portable, _) = try Optimizer.run(graph, .portable)
    #expect(try Optimizer.run(portable, .all).graph == result, "seed \(seed)")
  }

  @Test func residualBlockBecomesTwoConvolutions() throws {
    let block = try graph { w in
      let x = try w.input([1, 8, 8, 4])
      func conv(_ w: inout WitnessBuilder, _ x: ValueID) throws -> ValueID {
        let y = try w.add(Conv(strides: [1, 1], padding: .same), x, try w.weights([3, 3, 4, 4]))
        let biased = try w.add(.add, y, try w.weights([4]))
        let op = BatchNorm(epsilon: 1e-3, scale: true, offset: true)
        return try w.addMany(
          op, [biased, try w.weights([4]), try w.weights([4]), try w.weights([4]), try w.weights([4], positive: true)])[0]
      }
      let inner = try w.add(.relu, try conv(&w, x))
      return try w.add(.relu, try w.add(.add, try conv(&w, inner), x))
    }
    let (result, _) = try Optimizer.run(block, everything())
    #expect(result.ops == ["conv", "conv"])
    let last = try #require(result.nodes.last?.op as? Conv)
    #expect(last.epilogue == Epilogue(bias: true, residual: true, activation: Activation(.relu)))
    #expect(result[result.outputs[0].value].name == block[block.outputs[0].value].name)
    #expect(result.nodes.allSatisfy { $0.scope == "witness" })
  }

  @Test func largeFoldedWeightsAreComputedWhenAskedFor() throws {
    let net = try graph { w in
      let y = try w.add(Conv(strides: [1, 1]), try w.input([1, 4, 4, 96]), try w.weights([3, 3, 96, 96]))
      let norm = BatchNorm(epsilon: 1e-3, scale: true, offset: true)
      return try w.addMany(
        norm, [y, try w.weights([96]), try w.weights([96]), try w.weights([96]), try w.weights([96], positive: true)])[0]
    }
    let result = try Optimizer.run(net, .portable).graph
    #expect(result.ops == ["conv"])
    #expect(result.constants.values.filter(\.isDeferred).map(\.shape) == [[3, 3, 96, 96]])
    let kernel = try #require(net.constants.values.first { $0.shape.count == 4 })
    let folded = try #require(result.constants.values.first { $0.shape.count == 4 })
    #expect(folded != kernel)
  }

  @Test func otherLargeConstantsLieInTheScratchFile() throws {
    let net = try graph { w in
      let kernel = try w.add(Transpose([1, 0]), try w.weights([300, 400]))
      return try w.add(MatMul(), try w.input([2, 400]), kernel)
    }
    let folder = TemporaryFolder()
    var options = OptimizerOptions.portable
    options.disabledRules = Set(RuleCatalog.rules.map(\.name))
    options.scratch = try ScratchFile(prefix: folder.file("scratch-"))
    let result = try Optimizer.run(net, options).graph
    #expect(result.ops == ["matmul"] && folder.names.isEmpty)
    let constants = result.constants.values
    #expect(constants.filter(\.isMapped).map(\.shape) == [[400, 300]])
    constants.forEach { $0.releaseMapping() }
    options.scratch = nil
    #expect(try Optimizer.run(net, options).graph == result)
  }

  /// Small results are computed at once, large ones in pieces whose bounds lie anywhere in a run.
  @Test(arguments: [[3, 2, 6, 4], [3, 3, 90, 84], [7, 5, 30, 110]], [DType.float32, .float64, .bfloat16])
  func weightsAreScaledElementByElement(shape: [Int], dtype: DType) throws {
    let count = shape.reduce(1, *)
    let weights = try Tensor(converting: (0..<count).map { Double($0 % 1013) / 512 - 1 }, to: dtype, shape: shape)
    let values = weights.doubles
    func expect(_ got: Tensor, _ factor: (Int) -> Double) throws {
      #expect(got.isDeferred == (dtype == .float32 && count > 1 << 16))
      #expect(try got == Tensor(converting: values.indices.map { values[$0] * factor($0) }, to: dtype, shape: shape))
    }
    let strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1]
    for axis in 0..<4 {
      let factors = (0..<shape[axis]).map { 0.1 + Double($0) / 7 }
      try expect(try Weights.scaled(weights, axis: axis, by: factors)) { factors[$0 / strides[axis] % shape[axis]] }
    }
    for groups in [1, 2] {
      let (inner, out) = (shape[2], shape[3])
      let factors = (0..<inner * groups).map { 0.3 + Double($0) / 5 }
      let index = { (place: Int) in place % out / (out / groups) * inner + place / out % inner }
      try expect(try Weights.scaledInputs(weights, groups: groups, by: factors)) { factors[index($0)] }
      var sums = [Double](repeating: 0, count: out)
      for place in values.indices { sums[place % out] += values[place] * factors[index(place)] }
      #expect(try Weights.weightedSums(weights, groups: groups, factors) == sums)
      // Of what is scaled already, without computing all of it at once.
      let twice = try Weights.scaled(Weights.scaled(weights, axis: 3, by: [Double](repeating: 2, count: out)), axis: 2, by: [Double](repeating: 0.5, count: inner))
      #expect(twice == weights)
    }
  }

  @Test func channelsFirstNetworkLosesItsTransposes() throws {
    let net = try graph { w in
      let (first, last) = (Transpose([0, 3, 1, 2]), Transpose([0, 2, 3, 1]))
      func conv(_ w: inout WitnessBuilder, _ x: ValueID) throws -> ValueID {
        let y = try w.add(Conv(strides: [1, 1], padding: .same), try w.add(last, x), try w.weights([3, 3, 4, 4]))
        return try w.add(.add, try w.add(first, y), try w.weights([4, 1, 1]))
      }
      let x = try w.input([1, 4, 6, 5])
      let stem = try w.add(.relu, try conv(&w, x))
      let inner = try w.add(.relu, try conv(&w, stem))
      let sum = try w.add(.relu, try w.add(.add, try conv(&w, inner), stem))
      let pooled = try w.add(Reduce(.mean, axes: [2, 3], keepDims: false), sum)
      return try w.add(MatMul(), pooled, try w.weights([4, 3]))
    }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.ops == ["transpose", "conv", "conv", "conv", "reduce", "matmul"])
  }

  @Test func flattenedChannelsFirstNetworkLosesItsTransposes() throws {
    let net = try graph { w in
      let x = try w.add(Transpose([0, 3, 1, 2]), try w.add(.sin, try w.input([2, 4, 6, 5])))
      return try w.add(MatMul(), try w.add(Reshape([2, 120]), try w.add(.relu, x)), try w.weights([120, 3]))
    }
    #expect(try Optimizer.run(net, everything()).graph.ops == ["chain", "reshape", "matmul"])
  }

  @Test func laterConvolutionTakesTheResidual() throws {
    let net = try graph { w in
      let x = try w.input([1, 6, 6, 4])
      let a = try w.add(Conv(strides: [1, 1]), x, try w.weights([1, 1, 4, 4]))
      let b = try w.add(Conv(strides: [1, 1]), try w.add(.sin, x), try w.weights([1, 1, 4, 4]))
      return try w.add(.add, a, b)
    }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.ops == ["conv", "sin", "conv"])
    #expect((result.nodes[2].op as? Conv)?.epilogue.residual == true)
  }

  @Test func sharedWeightsAndNamesAreKept() throws {
    let net = try graph { w in
      let x = try w.input([2, 3])
      let (a, b) = (try w.constant([1, 2, 3], [3]), try w.constant([1, 2, 3], [3]))
      return try w.add(.add, try w.add(.sin, try w.add(.mul, x, a)), try w.add(.sin, try w.add(.mul, x, b)))
    }
    var options = everything()
    options.phases = [.canonicalise]
    let (result, trace) = try Optimizer.run(net, options)
    #expect(result.ops == ["mul", "sin", "add"])
    #expect(result.constants.count == 1)
    #expect(trace.counts["common-subexpressions"] == 3)
  }

  @Test func deadNodesGo() throws {
    let net = try graph { w in
      let x = try w.input([2, 3])
      var dead = x
      for _ in 0..<5 { dead = try w.add(.exp, dead) }
      return try w.add(.sin, x)
    }
    let (result, trace) = try Optimizer.run(net, everything())
    #expect(result.ops == ["sin"])
    #expect(trace.counts == ["dead-code": 1])
  }

  @Test func constantsFoldWithinTheBudget() throws {
    let net = try graph { w in
      let c = try w.add(.mul, try w.constant([1, 2], [2]), try w.scalar(3))
      let spread = try w.add(BroadcastTo([2000, 2]), c)
      return try w.add(.sub, spread, try w.input([2000, 2]))
    }
    var options = everything()
    options.disabledRules = ["broadcast-into-elementwise"]
    let (folded, _) = try Optimizer.run(net, options)
    #expect(folded.ops == ["sub"])
    options.constantBudget = 1000
    #expect(try Optimizer.run(net, options).graph.ops == ["broadcast_to", "sub"])
  }

  @Test func largeConstantsFold() throws {
    let net = try graph { w in
      let k = try w.add(Transpose([1, 0]), try w.add(Reshape([50, 60]), try w.weights([3000])))
      return try w.add(.add, k, try w.input([60, 50]))
    }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.ops == ["add"])
    var random = SeededRandom(3)
    let inputs = try draws(net, .normal, &random)
    #expect(
      difference(
        try ReferenceBackend.run(result, inputs)[0], try ReferenceBackend.run(net, inputs)[0], .exact, ignoring: []) == nil)
  }

  @Test func stepsAndRulesCanBeLimited() throws {
    let net = try graph { w in
      let x = try w.input([2, 3])
      return try w.add(.neg, try w.add(.neg, try w.add(.mul, x, try w.scalar(1))))
    }
    var options = everything()
    options.explains = true
    let (_, full) = try Optimizer.run(net, options)
    #expect(full.firings.map(\.rule) == ["multiply-by-one", "double-negation"])
    #expect(full.firings[0].before.count == 1 && full.firings[0].before[0].contains("elementwise"))
    options.maximumSteps = 1
    let (one, trace) = try Optimizer.run(net, options)
    #expect(one.ops == ["neg", "neg"] && !trace.isComplete)
    options.maximumSteps = nil
    options.disabledRules = ["double-negation"]
    #expect(try Optimizer.run(net, options).graph.ops == ["chain"])
    options.disabledRules = ["no-such-rule"]
    #expect(throws: KilnError.self) { try Optimizer.run(net, options) }
  }

  @Test func aModelThatDoesNothingStays() throws {
    let net = try graph { w in try w.add(.identity, try w.input([2, 3])) }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.nodes.isEmpty && result.outputs[0].value == result.inputs[0] && result.outputs[0].name == "y")
  }

  @Test func symbolicDimsStay() throws {
    let net = try graph { w in
      let n = Dim.symbol("batch")
      let x = try w.input([n, 4, 3])
      let flat = try w.add(Reshape([n, 12]), try w.add(Reshape([n, 2, 6]), x))
      return try w.add(.mul, try w.add(MatMul(), flat, try w.weights([12, 2])), try w.scalar(2))
    }
    let (result, _) = try Optimizer.run(net, everything())
    #expect(result.ops == ["reshape", "matmul"])
    #expect(result.type(of: result.outputs[0].value) == TensorType(.float32, [.symbol("batch"), 2]))
  }

  @Test func documentationIsCurrent() throws {
    let file = URL(filePath: #filePath).appending(path: "../../../Docs/rules.md").standardizedFileURL
    let text = RuleCatalog.documentation()
    if ProcessInfo.processInfo.environment["KILN_WRITE_DOCS"] == "1" {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text, "run the tests with KILN_WRITE_DOCS=1")
  }
}

import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Every example of every op through a plan, against the op's own definition in Double.
@Suite struct OpConformanceTests {
  static let names = OpCatalog.all.map { $0.name }.sorted()

  @Test(arguments: names, [1, 2, 3])
  func examples(_ name: String, threads: Int) throws {
    var random = TestRandom(named: "examples of \(name), \(threads) threads")
    let op = try #require(OpCatalog.op(named: name))
    for (number, example) in op.examples.enumerated() {
      let tensors = try example.inputs.enumerated().map {
        try random.tensor($1, range: example.range, fixed: example.fixed[$0], texts: example.texts[$0])
      }
      // All operands computed; then all but the first constant, as weights are.
      for constants in [Set<Int>(), Set(tensors.indices.dropFirst())] {
        let (graph, feed) = try graph(of: example, tensors, constants: constants)
        let expected = try ReferenceBackend.run(graph, feed)
        let (outputs, plan) = try run(graph, feed, threads: threads)
        let bounds = Self.bounds(example, tensors, expected)
        for (index, (got, wanted)) in zip(outputs, expected).enumerated() {
          let difference = firstDifference(got, wanted, relative: bounds.relative, absolute: bounds.absolute)
          #expect(
            difference == nil,
            "\(name) example \(number) \(example.op.attributes) \(example.inputs), constants \(constants.sorted()), result \(index), kernel \(plan.report.nodes[0].kernel)")
        }
      }
    }
  }

  /// Float sums may be off by some units in the last place of their largest terms; a result that cancels keeps that
  /// absolute error. 16-bit results are rounded once more.
  private static func bounds(
    _ example: OpExample, _ inputs: [Tensor], _ outputs: [Tensor]
  ) -> (relative: Double, absolute: Double) {
    let types = (inputs + outputs).map(\.dtype)
    if types.contains(.bfloat16) { return (0.02, 0.02) }
    if types.contains(.float16) { return (0.004, 0.004) }
    let magnitude = (inputs + outputs).filter(\.dtype.isFloat).flatMap(\.doubles).filter(\.isFinite).map(\.magnitude).max() ?? 1
    return (1e-5, 2e-6 * Swift.max(1, magnitude))
  }

  /// Where Float arithmetic must agree with the limit that Double reaches: not where an intermediate result overflows, or is
  /// infinite times 0 (NaN, as in the source frameworks).
  private static func isExact(_ function: ScalarFunction, _ x: Float) -> Bool {
    switch function {
    case .softsign: !x.isInfinite
    case .hardSwish: x != -.infinity
    case .squareplus: x.isNaN || x.magnitude < 1e3
    default: true
    }
  }

  @Test func specialValues() throws {
    let values: [Float] = [
      .nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNormalMagnitude, .greatestFiniteMagnitude,
      -.greatestFiniteMagnitude, 1, -1, 0.5, -0.5, 88.5, -88.5, 104, -104, 3e-5, -3e-5,
    ]
    for function in ScalarFunction.allCases where !function.isLogical && !function.isBitwise && function.arity == 1 {
      let parameters: [Double] =
        switch function.parameterCount {
        case 0: []
        case 1: [0.7]
        case 2: [-0.5, 1.5]
        default: [0.1, 0.2, 1.5]
        }
      let domain = values.filter { Self.isExact(function, $0) }
      let tensor = try Tensor(domain, shape: [domain.count])
      let example = OpExample(Elementwise(function, parameters), [TensorType(.float32, shape: tensor.shape)])
      let (graph, feed) = try graph(of: example, [tensor], constants: [])
      let expected = try ReferenceBackend.run(graph, feed)
      let got = try run(graph, feed).outputs
      #expect(
        firstDifference(got[0], expected[0], relative: 1e-5, absolute: function == .tanhShrink ? 1e-7 : function == .squareplus ? 1e-5 : 1e-37) == nil,
        "\(function.rawValue): \(got[0].doubles) for \(expected[0].doubles)")
    }
  }
}

import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Which ops run by kernels: a binding that quietly refuses what it should take would only show as lost time.
@Suite struct FallbackTests {
  /// Examples that run by their op's definition, and why.
  static func isExpected(_ example: OpExample) -> Bool {
    if example.op is any ControlFlowOp { return false }
    if example.inputs.contains(where: { $0.dtype == .string }) { return true }
    if let types = try? example.op.infer(example.inputs), example.op is any DataDependentOp {
      return types.contains { $0.elementCount.fixed != 0 }
    }
    let types = Set(example.inputs.map(\.dtype))
    switch example.op {
    // Three spatial axes, transposed convolutions in groups, and numbers other than float32.
    case let op as Conv: return op.strides.count > 2 || types != [.float32]
    case let op as ConvTranspose: return op.strides.count > 2 || op.groups > 1 || types != [.float32]
    case is MatMul: return types != [.float32] && types != [.float64]
    // Images of three spatial axes.
    case let op as Resize: return op.dims.count > 2
    // Text, tables and counts run by their definitions, also on numbers.
    case is AsString, is UnicodeEncode: return true
    // Bits of another dtype, boxes of several classes and sums of exponentials run by their definitions.
    case is Bitcast, is CombinedNonMaxSuppression, is SpecialFunction: return hasElements(example)
    case let op as Cumulative where op.kind == .logSumExp: return hasElements(example)
    case is Bincount, is CheckRange, is HashCross, is Lookup, is TokenCounts: return hasElements(example)
    // These kernels take float32.
    case is Softmax, is LayerNorm, is RMSNorm, is BatchNorm, is Pool, is PoolGradient: return types != [.float32]
    case let op as RandomNumbers: return op.dtype != .float32
    // Derivatives of volumes run by their definitions, and so do those of sequences without a step.
    case let op as ConvKernelGradient: return op.window.count > 2
    case is RNNGradient:
      let x = example.inputs[0].dims
      return x[0].fixed == 0 || x[1].fixed == 0
    // Rare functions and factorisations run by their definitions; what has no elements does not run.
    case let op as Elementwise where op.function.isSpecial: return hasElements(example)
    case is Cholesky, is FourierTransform, is LU, is QR, is Scatter, is SingularValues, is Sort, is SymmetricEigen,
      is TriangularSolve:
      return hasElements(example)
    default: return false
    }
  }

  private static func hasElements(_ example: OpExample) -> Bool {
    let results = (try? example.op.infer(example.inputs)) ?? []
    return results.contains { ($0.elementCount.fixed ?? 1) > 0 }
  }

  @Test func everyExampleHasAKernelOrAReason() throws {
    var random = TestRandom(named: "fallbacks")
    for op in OpCatalog.all {
      for example in op.examples {
        let tensors = try example.inputs.enumerated().map {
          try random.tensor($1, range: example.range, fixed: example.fixed[$0], texts: example.texts[$0])
        }
        let (graph, feed) = try graph(of: example, tensors, constants: Set(tensors.indices.dropFirst()))
        let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape))
        #expect(
          plan.report.fallbacks.isEmpty != Self.isExpected(example),
          "\(op.name) of \(example.inputs): \(plan.report.nodes[0].kernel)")
      }
    }
  }

  /// Batches in four axes none of which join, with an epilogue.
  @Test(arguments: [1, 3]) func productsOfManyAxes(threads: Int) throws {
    var random = TestRandom(named: "products of many axes")
    var graph = Graph(name: "products")
    let a = try graph.addInput("a", TensorType(.float32, [2, 1, 3, 1, 19, 7]))
    let b = try graph.addInput("b", TensorType(.float32, [1, 4, 1, 3, 7, 23]))
    let product = MatMul(epilogue: Epilogue(activation: Activation(.tanh)))
    graph.outputs = [Graph.Output(name: "y", value: try graph.addOne(product, [a, b], name: "y"))]
    let feed = try graph.inputs.map { try random.tensor(TensorType(.float32, graph.type(of: $0).dims)) }
    let (outputs, plan) = try run(graph, feed, threads: threads)
    #expect(plan.report.fallbacks.isEmpty)
    #expect(firstDifference(outputs[0], try ReferenceBackend.run(graph, feed)[0], relative: 1e-5, absolute: 1e-5) == nil)
  }
}

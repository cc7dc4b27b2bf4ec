import GPURuntime
import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Every example of every op on the OpenCL device, against the op's own definition in Double.
@Suite(.enabled(if: TestDevice.isThere)) struct GPUConformanceTests {
  static let names = OpCatalog.all.map { $0.name }.sorted()

  /// Kernels for processors and for GPUs both run on any device.
  @Test(arguments: names, [true, false]) func examples(_ name: String, vectors: Bool) throws {
    let backend = try TestDevice.backend(vectors: vectors)
    var random = TestRandom(named: "examples of \(name) on a device, vectors \(vectors)")
    let op = try #require(OpCatalog.op(named: name))
    var isUsed = false
    for (number, example) in op.examples.enumerated() {
      let tensors = try example.inputs.enumerated().map {
        try random.tensor($1, range: example.range, fixed: example.fixed[$0], texts: example.texts[$0])
      }
      for constants in [Set<Int>(), Set(tensors.indices.dropFirst())] {
        let (graph, feed) = try graph(of: example, tensors, constants: constants)
        if graph.hasDataSizes { continue }
        let expected = try ReferenceBackend.run(graph, feed)
        let outputs: [Tensor]
        let plan: Plan
        do { (outputs, plan) = try run(graph, feed, backend) } catch let error as KilnError {
          Issue.record("\(name) example \(number) \(example.op.attributes) \(example.inputs): \(error.line)")
          continue
        }
        let bounds = Self.bounds(example, tensors, expected)
        isUsed = isUsed || !plan.report.nodes[0].deviceNodes.isEmpty
        let kernel = plan.report.nodes[0].deviceNodes.first?.kernel ?? plan.report.nodes[0].kernel
        for (index, (got, wanted)) in zip(outputs, expected).enumerated() {
          let difference = firstDifference(got, wanted, relative: bounds.relative, absolute: bounds.absolute)
          #expect(
            difference == nil,
            "\(name) example \(number) \(example.op.attributes) \(example.inputs), constants \(constants.sorted()), result \(index), kernel \(kernel)")
        }
      }
    }
    #expect(isUsed == (op is any GPUBinding.Type), "\(name): whether a device ran an example")
  }

  /// Float sums may be off by some units in the last place of their largest terms; 16-bit results are rounded once more.
  private static func bounds(_ example: OpExample, _ inputs: [Tensor], _ outputs: [Tensor]) -> (relative: Double, absolute: Double) {
    let types = (inputs + outputs).map(\.dtype)
    if types.contains(.bfloat16) { return (0.02, 0.02) }
    if types.contains(.float16) { return (0.004, 0.004) }
    let magnitude = (inputs + outputs).filter(\.dtype.isFloat).flatMap(\.doubles).filter(\.isFinite).map(\.magnitude).max() ?? 1
    return (1e-5, 2e-6 * Swift.max(1, magnitude))
  }

  /// Each op has kernels, or a reason that it has none; never both.
  @Test(arguments: names) func kernelOrReason(_ name: String) throws {
    let op = try #require(OpCatalog.op(named: name))
    #expect((op is any GPUBinding.Type) == (GPUCatalog.reason(name) == nil), "\(name)")
  }
}

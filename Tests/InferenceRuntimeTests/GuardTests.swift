import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Every example with its operands and results between pages that may not be touched: a kernel that reads or writes one
/// byte too far ends the test process.
@Suite struct GuardTests {
  @Test(arguments: OpCatalog.all.map { $0.name }.sorted(), GuardedMemory.Side.allCases)
  func kernelsStayInside(_ name: String, side: GuardedMemory.Side) throws {
    var random = TestRandom(named: "guards of \(name), \(side)")
    let op = try #require(OpCatalog.op(named: name))
    for example in op.examples where !example.inputs.contains(where: { $0.dtype == .string }) {
      let tensors = try example.inputs.enumerated().map { index, type in
        guarded(try random.tensor(type, range: example.range, fixed: example.fixed[index], texts: example.texts[index]), side)
      }
      for constants in [Set<Int>(), Set(tensors.indices.dropFirst())] {
        let (graph, feed) = try graph(of: example, tensors, constants: constants)
        for threads in [1, 2] {
          let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(threads: threads))
          let executor = Executor(plan, pool: .shared(threads))
          let results = plan.outputs.map { GuardedMemory(byteCount: $0.byteCount, side: side) }
          try executor.run(feed.map { Optional($0.address) }, results.map { Optional($0.base) })
          let expected = try executor.run(feed)
          for (memory, tensor) in zip(results, expected) {
            let same = UnsafeRawBufferPointer(start: memory.base, count: memory.byteCount).elementsEqual(tensor.bytes)
            #expect(same, "\(name) of \(example.inputs): results differ with the memory's place")
          }
        }
      }
    }
  }

  private func guarded(_ tensor: Tensor, _ side: GuardedMemory.Side) -> Tensor {
    let memory = GuardedMemory(byteCount: tensor.byteCount, side: side)
    memory.base.copyMemory(from: tensor.address, byteCount: tensor.byteCount)
    return Tensor(dtype: tensor.dtype, shape: tensor.shape, address: UnsafeRawPointer(memory.base), owner: memory)
  }
}

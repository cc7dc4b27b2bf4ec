import GPURuntime
import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Plans that lie on the OpenCL device in whole or in part.
@Suite(.enabled(if: TestDevice.isThere)) struct GPUPlanTests {
  /// Two inputs, a convolution with a residual, a pool, a product, two outputs.
  private func network() throws -> (graph: Graph, feed: [Tensor]) {
    var random = TestRandom(named: "network")
    var graph = Graph(name: "network")
    func weights(_ name: String, _ shape: Shape) throws -> ValueID {
      graph.addConstant(name, try random.tensor(TensorType(.float32, shape: shape)))
    }
    let x = try graph.addInput("x", TensorType(.float32, shape: [2, 9, 8, 5]))
    let z = try graph.addInput("z", TensorType(.float32, shape: [2, 7]))
    let kernel = try weights("kernel", [3, 3, 5, 5])
    let relu = Epilogue(bias: true, residual: true, activation: Activation(.relu))
    let c = try graph.addOne(
      Conv(strides: [1, 1], padding: .same, epilogue: relu), [x, kernel, weights("bias", [5]), x], name: "block/conv", scope: "block")
    let p = try graph.addOne(Pool(.max, window: [2, 2], strides: [2, 2]), [c], name: "block/pool", scope: "block")
    let flat = try graph.addOne(Reshape([2, 80]), [p], name: "flat")
    let d = try graph.addOne(MatMul(epilogue: Epilogue(residual: true)), [flat, weights("dense", [80, 7]), z], name: "dense")
    let y = try graph.addOne(Elementwise(.sigmoid), [d], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y), Graph.Output(name: "p", value: p)]
    let feed = try graph.inputs.map { try random.tensor(graph.type(of: $0)) }
    return (graph, feed)
  }

  private func expect(_ got: [Tensor], _ wanted: [Tensor], _ tolerance: Double = 1e-4) {
    for (a, b) in zip(got, wanted) { #expect(firstDifference(a, b, relative: tolerance, absolute: tolerance) == nil) }
  }

  /// How many runs on the device a plan has.
  private func runs(_ plan: Plan) -> Int { plan.report.nodes.count { $0.kernel == PlanReport.deviceKernel } }

  @Test(arguments: [true, false]) func secondPredictionMakesNothing(vectors: Bool) throws {
    let device = try #require(TestDevice.device)
    let context = try GPUContext(device)
    let backend = try GPUBackend(device, options: .init(isStrict: true, prefersVectors: vectors), context: context)
    let (graph, feed) = try network()
    let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(device: backend))
    let executor = Executor(plan, pool: .single)
    let first = try executor.run(feed)
    let before = context.counts
    #expect(before.uploads == 1 && before.downloads == 1 && before.kernels > 0 && before.buffers > 0 && before.compiled + before.loaded > 0)
    let second = try executor.run(feed)
    let after = context.counts
    #expect(first == second)
    #expect(after.compiled == before.compiled && after.loaded == before.loaded && after.buffers == before.buffers && after.kernels == before.kernels)
    // Both inputs in one transfer, both outputs in one.
    #expect(after.uploads == 2 && after.downloads == 2)
    #expect(runs(plan) == 1 && plan.isNative)
    expect(second, try ReferenceBackend.run(graph, feed))
  }

  @Test func callsAtOnceAgree() async throws {
    let (graph, feed) = try network()
    let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(device: try TestDevice.backend()))
    let executor = Executor(plan, pool: .single)
    let expected = try executor.run(feed)
    try await withThrowingTaskGroup(of: [Tensor].self) { group in
      for _ in 0..<6 { group.addTask { try executor.run(feed) } }
      for try await result in group { #expect(result == expected) }
    }
  }

  @Test func halfPrecisionIsNear() throws {
    let (graph, feed) = try network()
    let (outputs, plan) = try run(graph, feed, try TestDevice.backend(precision: .float16, strict: true))
    #expect(runs(plan) == 1)
    expect(outputs, try ReferenceBackend.run(graph, feed), 0.02)
  }

  /// Results beyond what half holds stay finite; infinities and NaN stay what they are.
  @Test(arguments: [true, false]) func halfPrecisionDoesNotOverflow(vectors: Bool) throws {
    var graph = Graph(name: "large")
    let x = try graph.addInput("x", TensorType(.float32, shape: [2, 19]))
    let y = try graph.addOne(Elementwise(.square), [x], name: "y")
    let z = try graph.addOne(Softmax(axis: 1), [y], name: "z")
    graph.outputs = [Graph.Output(name: "y", value: y), Graph.Output(name: "z", value: z)]
    var numbers = [Float](repeating: 1, count: 38)
    (numbers[3], numbers[7], numbers[20]) = (1000, 3, .infinity)
    let feed = [try Tensor(numbers, shape: [2, 19])]
    let (outputs, _) = try run(graph, feed, try TestDevice.backend(precision: .float16, strict: true, vectors: vectors))
    #expect(outputs[0].floats[3] == 65504 && outputs[0].floats[7] == 9 && outputs[0].floats[20] == .infinity)
    #expect(outputs[1].floats.prefix(19).enumerated().allSatisfy { $1 == ($0 == 3 ? 1 : 0) }, "\(outputs[1].floats)")
  }

  /// A weight that half does not hold keeps its node on the processor.
  @Test func halfPrecisionRefusesLargeConstants() throws {
    var graph = Graph(name: "weights")
    let x = try graph.addInput("x", TensorType(.float32, shape: [1, 2]))
    let w = graph.addConstant("w", try Tensor([1, 70000, 0, 1] as [Float], shape: [2, 2]))
    let y = try graph.addOne(MatMul(), [x, w], name: "y")
    graph.outputs = [Graph.Output(name: "z", value: try graph.addOne(Elementwise(.neg), [y], name: "z"))]
    let feed = [try Tensor([1, 2] as [Float], shape: [1, 2])]
    let error = #expect(throws: KilnError.self) { try run(graph, feed, try TestDevice.backend(precision: .float16, strict: true)) }
    #expect(error?.message.contains("'y' (matmul): a constant has numbers beyond ±65504 ([2,2])") == true, "\(error?.message ?? "")")
    let (_, plan) = try run(graph, feed, try TestDevice.backend(precision: .float16))
    #expect(plan.report.nodes.map(\.op) == ["matmul", "device_run"])
  }

  /// Rows that are no multiple of a vector begin at addresses that are none either.
  @Test(arguments: [true, false]) func halfPrecisionReadsAnyAddress(vectors: Bool) throws {
    var random = TestRandom(named: "half sequences")
    var graph = Graph(name: "sequence")
    let x = try graph.addInput("x", TensorType(.float32, shape: [3, 4, 5]))
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [5, 28])))
    let u = graph.addConstant("u", try random.tensor(TensorType(.float32, shape: [7, 28])))
    let op = RNN(cell: .lstm, returnSequences: true, bias: false)
    let types = try op.infer([x, w, u].map(graph.type(of:)))
    let y = graph.declare("y", types[0])
    graph.nodes.append(Node(op: op, inputs: [x, w, u], outputs: [y] + types.dropFirst().enumerated().map { graph.declare("state \($0)", $1) }, scope: ""))
    graph.outputs = [Graph.Output(name: "y", value: y)]
    let feed = [try random.tensor(graph.type(of: x))]
    let (outputs, _) = try run(graph, feed, try TestDevice.backend(precision: .float16, strict: true, vectors: vectors))
    expect(outputs, try ReferenceBackend.run(graph, feed), 0.02)
  }

  /// x² → Cholesky → + and the squares again, which stay on the device meanwhile.
  private func factored() throws -> (graph: Graph, feed: [Tensor]) {
    var graph = Graph(name: "factored")
    let x = try graph.addInput("x", TensorType(.float32, shape: [3, 3]))
    let s = try graph.addOne(MatMul(transposeA: true), [x, x], name: "s")
    let l = try graph.addOne(Cholesky(), [s], name: "l")
    let y = try graph.addOne(Elementwise(.add), [l, s], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    return (graph, [try Tensor([2, 1, 0, 0, 3, 1, 1, 0, 4] as [Float], shape: [3, 3])])
  }

  @Test func partsOnBothSides() throws {
    let (graph, feed) = try factored()
    let (outputs, plan) = try run(graph, feed, try TestDevice.backend())
    #expect(runs(plan) == 2 && plan.report.nodes.map(\.op) == ["device_run", "cholesky", "device_run"])
    // The second part takes the factor alone.
    expect(outputs, try ReferenceBackend.run(graph, feed))
  }

  @Test func strictNamesWhatCannotRun() throws {
    let (graph, feed) = try factored()
    let error = #expect(throws: KilnError.self) { try run(graph, feed, try TestDevice.backend(strict: true)) }
    #expect(error?.code == .unsupportedModel)
    #expect(error?.message == "1 of 3 nodes cannot run on the GPU: 'l' (cholesky): a factorization is a long sequence of small steps")
  }

  @Test func rulesAndDevicesOfFiles() throws {
    let (graph, feed) = try network()
    let expected = try ReferenceBackend.run(graph, feed)
    let rule = PlacementRule(scope: "block", isDevice: false) { $0 == "block" || $0.hasPrefix("block/") }
    let (outputs, plan) = try run(graph, feed, try TestDevice.backend(rules: [rule]))
    #expect(plan.report.nodes.map(\.op) == ["conv", "pool", "device_run"])
    expect(outputs, expected)
    var named = graph
    for index in named.nodes.indices where named.nodes[index].op is MatMul { named.nodes[index].device = "/cpu:0" }
    let (placed, plan2) = try run(named, feed, try TestDevice.backend())
    #expect(plan2.report.nodes.map(\.op) == ["device_run", "matmul", "device_run"])
    expect(placed, expected)
    // All of it is more than what the file says.
    let (_, plan3) = try run(named, feed, try TestDevice.backend(strict: true))
    #expect(runs(plan3) == 1)
  }

  /// A few additions are not worth their transfers; the processor does them.
  @Test func tinyRunsStay() throws {
    let (graph, feed) = try factored()
    let backend = try GPUBackend(try #require(TestDevice.device))
    let (outputs, plan) = try run(graph, feed, backend)
    #expect(runs(plan) == 0)
    expect(outputs, try ReferenceBackend.run(graph, feed))
  }

  @Test func deviceMemoryHasAnEnd() throws {
    let device = try #require(TestDevice.device)
    let rows = device.maximumBufferBytes / 4 / 1024 + 1024
    var graph = Graph(name: "large")
    let x = try graph.addInput("x", TensorType(.float32, shape: [1, 1024]))
    let y = try graph.addOne(BroadcastTo([Dim(rows), 1024]), [x], name: "y")
    let z = try graph.addOne(Reduce(.sum, axes: [0, 1]), [y], name: "z")
    graph.outputs = [Graph.Output(name: "z", value: z)]
    let feed = [try Tensor([Float](repeating: 1, count: 1024), shape: [1, 1024])]
    // Such tensors have too many elements for a kernel's indices, or too many bytes for the device: a reason or an error, never a crash.
    let backend = try TestDevice.backend(strict: true)
    let error = #expect(throws: KilnError.self) {
      let plan = try PlanBuilder.plan(graph, shapes: [[1, 1024]], options: PlanOptions(device: backend))
      _ = try Executor(plan, pool: .single).run(feed)
    }
    #expect(error.map { $0.message.contains("2^31 elements") || $0.message.contains("out of device memory") || $0.message.contains("no kernel") } == true)
  }
}

/// A device that fails when it is used.
private final class FailingBackend: DeviceBackend {
  func place(_ graph: Graph, _ residents: DeviceResidents) throws -> DevicePlacement? { throw KilnError(.failed, "the GPU could not run a kernel: it is gone") }

  func fallBack(after error: KilnError) -> Bool { error.message.contains("GPU") }

  func memory(byteCount: Int) throws -> any DeviceMemory { throw KilnError(.failed, "the GPU is gone") }

  var alignment: Int { 64 }

  var mayFallBack: Bool { true }
}

@Suite struct DeviceFallBackTests {
  @Test func theProcessorTakesOver() throws {
    var graph = Graph(name: "g")
    let x = try graph.addInput("x", TensorType(.float32, shape: [2]))
    graph.outputs = [Graph.Output(name: "y", value: try graph.addOne(Elementwise(.square), [x], name: "y"))]
    let cache = PlanCache(graph, options: PlanOptions(device: FailingBackend()), pool: .single)
    for _ in 0..<2 { #expect(try cache.run([Tensor([2, 3] as [Float], shape: [2])])[0].floats == [4, 9]) }
    // A wrong shape is no failure of the device.
    #expect(throws: KilnError.self) { try cache.run([Tensor([1] as [Float], shape: [1])]) }
  }
}

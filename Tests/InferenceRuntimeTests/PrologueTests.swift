import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Normalization, scaling and concatenation in front of a product, done by the product itself.
@Suite struct PrologueTests {
  private static let batch = Dim.symbol("batch")

  /// What DenseNet is made of: concatenations read by batch norms, and by the next concatenation.
  private static func dense(_ random: inout TestRandom, isOutput: Bool) throws -> Graph {
    var graph = Graph(name: "dense")
    let x = try graph.addInput("x", TensorType(.float32, [batch, 6, 6, 5]))
    var y = x
    var channels = 5
    for block in 0..<3 {
      let scale = graph.addConstant("scale\(block)", try random.tensor(TensorType(.float32, shape: [channels])))
      let shift = graph.addConstant("shift\(block)", try random.tensor(TensorType(.float32, shape: [1, 1, 1, channels])))
      let w = graph.addConstant("w\(block)", try random.tensor(TensorType(.float32, shape: [1, 1, channels, 7])))
      let normal = try graph.addOne(
        ElementwiseChain(
          inputCount: 3,
          steps: [
            .init(.mul, [], [.input(0), .input(1)]), .init(.add, [], [.input(2), .step(0)]), .init(.relu, [], [.step(1)]),
          ]), [y, scale, shift], name: "normal\(block)")
      let made = try graph.addOne(Conv(strides: [1, 1]), [normal, w], name: "conv\(block)")
      y = try graph.addOne(Concat(axis: 3), [y, made], name: "joined\(block)")
      channels += 7
    }
    let last = graph.addConstant("last", try random.tensor(TensorType(.float32, shape: [channels])))
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [channels, 4])))
    let scaled = try graph.addOne(Elementwise(.mul), [last, y], name: "scaled")
    let z = try graph.addOne(MatMul(), [scaled, w], name: "z")
    graph.outputs = [Graph.Output(name: "z", value: z)] + (isOutput ? [Graph.Output(name: "y", value: y)] : [])
    return graph
  }

  @Test(arguments: [1, 2], [false, true]) func concatenationsAreReadInPlace(threads: Int, isOutput: Bool) throws {
    var random = TestRandom(named: "dense")
    let graph = try Self.dense(&random, isOutput: isOutput)
    let feed = [try random.tensor(TensorType(.float32, shape: [2, 6, 6, 5]))]
    let expected = try ReferenceBackend.run(graph, feed)
    let (outputs, plan) = try run(graph, feed, threads: threads)
    for (got, wanted) in zip(outputs, expected) {
      #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-4) == nil)
    }
    // A concatenation that is a result as well is made.
    let kernels = plan.report.nodes.map(\.kernel)
    #expect(kernels.filter { $0 == "in the reader" }.count == (isOutput ? 6 : 7))
    #expect(kernels.filter { $0.contains("concat") }.count == (isOutput ? 1 : 0))
  }

  /// Squeeze and excite: a scale for each sample.
  @Test func everySampleHasItsOwnScale() throws {
    var random = TestRandom(named: "excite")
    var graph = Graph(name: "excite")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 5, 7, 6]))
    let squeezed = try graph.addOne(Reduce(.mean, axes: [1, 2], keepDims: true), [x], name: "squeezed")
    let excited = try graph.addOne(Elementwise(.mul), [x, squeezed], name: "excited")
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [1, 1, 6, 9])))
    let y = try graph.addOne(Conv(strides: [1, 1]), [excited, w], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    let feed = [try random.tensor(TensorType(.float32, shape: [3, 5, 7, 6]))]
    let (outputs, plan) = try run(graph, feed, threads: 2)
    #expect(firstDifference(outputs[0], try ReferenceBackend.run(graph, feed)[0], relative: 1e-4, absolute: 1e-5) == nil)
    #expect(plan.report.nodes.contains { $0.kernel == "in the reader" })
  }

  /// What others read as well, or what has another form, stays a pass of its own.
  @Test(arguments: 0..<4) func othersStay(_ which: Int) throws {
    var random = TestRandom(named: "stay")
    var graph = Graph(name: "stay")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 4, 10, 6]))
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [1, 1, 6, 9])))
    let vector = graph.addConstant("v", try random.tensor(TensorType(.float32, shape: [6])))
    let scaled =
      switch which {
      case 0, 1: try graph.addOne(Elementwise(.mul), [x, vector], name: "scaled")
      case 2: try graph.addOne(Elementwise(.mul), [x, x], name: "scaled")
      default: try graph.addOne(Elementwise(.sub), [x, vector], name: "scaled")
      }
    let y = try graph.addOne(Conv(strides: [1, 1]), [scaled, w], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    if which == 0 { graph.outputs.append(Graph.Output(name: "scaled", value: scaled)) }
    if which == 1 {
      graph.outputs.append(Graph.Output(name: "z", value: try graph.addOne(Elementwise(.tanh), [scaled], name: "z")))
    }
    let feed = [try random.tensor(TensorType(.float32, shape: [1, 4, 10, 6]))]
    let (outputs, plan) = try run(graph, feed)
    for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
      #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil)
    }
    #expect(!plan.report.nodes.contains { $0.kernel == "in the reader" })
  }

  /// What a product reads on the way in is not written over while another part of it may still read it.
  @Test func residualThatIsReadOnTheWayInKeepsItsPlace() throws {
    var random = TestRandom(named: "residual on the way in")
    var graph = Graph(name: "residual")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 2, 20, 1024]))
    let start = try graph.addOne(Elementwise(.square), [x], name: "start")
    let vector = graph.addConstant("v", try random.tensor(TensorType(.float32, shape: [1024])))
    let scaled = try graph.addOne(Elementwise(.mul), [start, vector], name: "scaled")
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [1, 1, 1024, 1024])))
    let conv = Conv(strides: [1, 1], epilogue: Epilogue(residual: true))
    let y = try graph.addOne(conv, [scaled, w, start], name: "y")
    graph.outputs = [Graph.Output(name: "z", value: try graph.addOne(Elementwise(.tanh), [y], name: "z"))]
    let feed = [try random.tensor(TensorType(.float32, shape: [1, 2, 20, 1024]))]
    let (outputs, plan) = try run(graph, feed, threads: 2)
    #expect(plan.report.nodes.contains { $0.kernel == "in the reader" })
    #expect(!(plan.report.nodes.first { $0.name == "y" }?.inPlace ?? true))
    #expect(firstDifference(outputs[0], try ReferenceBackend.run(graph, feed)[0], relative: 1e-3, absolute: 1e-3) == nil)
  }

  /// The transition of a DenseNet: normalization of a concatenation in front of a pooling, which reads the pieces. Windows that
  /// overlap much, and activations that the kernel lacks, leave it a pass of its own.
  @Test(arguments: [1, 2], 0..<5) func poolingsReadOnTheWayIn(threads: Int, which: Int) throws {
    var random = TestRandom(named: "transition")
    var graph = Graph(name: "transition")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 8, 10, 37]))
    let z = try graph.addInput("z", TensorType(.float32, [Self.batch, 8, 10, 70]))
    let scale = graph.addConstant("scale", try random.tensor(TensorType(.float32, shape: [107])))
    let shift = graph.addConstant("shift", try random.tensor(TensorType(.float32, shape: [107])))
    let joined = try graph.addOne(Concat(axis: 3), [try graph.addOne(Elementwise(.square), [x], name: "own"), z], name: "joined")
    let normal = try graph.addOne(
      ElementwiseChain(
        inputCount: 3,
        steps: [
          .init(.mul, [], [.input(0), .input(1)]), .init(.add, [], [.input(2), .step(0)]),
          .init(which == 4 ? .silu : .relu, [], [.step(1)]),
        ]), [joined, scale, shift], name: "normal")
    let pools = [
      Pool(.average, window: [2, 2], strides: [2, 2]), Pool(.max, window: [3, 3], strides: [2, 2], padding: .same),
      Pool(.average, window: [3, 2], strides: [2, 2], padding: .same, countsPadding: true),
      Pool(.average, window: [3, 3], strides: [1, 1], padding: .same), Pool(.average, window: [2, 2], strides: [2, 2]),
    ]
    let y = try graph.addOne(pools[which], [normal], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    let feed = try [37, 70].map { try random.tensor(TensorType(.float32, shape: [2, 8, 10, $0])) }
    let (outputs, plan) = try run(graph, feed, threads: threads)
    #expect(firstDifference(outputs[0], try ReferenceBackend.run(graph, feed)[0], relative: 1e-5, absolute: 1e-5) == nil)
    #expect(plan.report.nodes.filter { $0.kernel == "in the reader" }.count == (which < 3 ? 2 : 0))
  }

  /// What a pooling alone is activated with is done by its kernel; what others read as well stays.
  @Test(arguments: [Pool.Kind.average, .max], 0..<3) func activationsBehindPoolings(kind: Pool.Kind, which: Int) throws {
    var random = TestRandom(named: "activated")
    var graph = Graph(name: "activated")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 5, 6, 19]))
    let window = which == 1 ? [5, 6] : [3, 3]
    let pooled = try graph.addOne(Pool(kind, window: window, strides: [1, 1], padding: which == 1 ? .valid : .same), [x], name: "pooled")
    let y = try graph.addOne(Elementwise(.leakyRelu, [0.25]), [pooled], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    if which == 2 { graph.outputs.append(Graph.Output(name: "pooled", value: pooled)) }
    let feed = [try random.tensor(TensorType(.float32, shape: [2, 5, 6, 19]))]
    let (outputs, plan) = try run(graph, feed, threads: 2)
    for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
      #expect(firstDifference(got, wanted, relative: 1e-5, absolute: 1e-5) == nil)
    }
    #expect(plan.report.nodes.count == (which == 2 ? 2 : 1))
  }

  /// A depthwise convolution computes the product in front of it, which is then not made, unless another node reads it.
  @Test(arguments: [1, 2], [false, true]) func productsInFrontOfDepthwiseConvolutions(threads: Int, isRead: Bool) throws {
    var random = TestRandom(named: "bands")
    var graph = Graph(name: "bands")
    let x = try graph.addInput("x", TensorType(.float32, [Self.batch, 60, 61, 5]))
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [1, 1, 5, 64])))
    let taps = graph.addConstant("taps", try random.tensor(TensorType(.float32, shape: [3, 3, 1, 64])))
    let bias = graph.addConstant("bias", try random.tensor(TensorType(.float32, shape: [64])))
    let wide = try graph.addOne(
      Conv(strides: [1, 1], epilogue: Epilogue(bias: true, activation: Activation(.silu))), [x, w, bias], name: "wide")
    let y = try graph.addOne(
      Conv(strides: [2, 2], padding: .same, groups: 64, epilogue: Epilogue(activation: Activation(.relu))), [wide, taps], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y)]
    if isRead { graph.outputs.append(Graph.Output(name: "s", value: try graph.addOne(Elementwise(.tanh), [wide], name: "s"))) }
    let feed = [try random.tensor(TensorType(.float32, shape: [2, 60, 61, 5]))]
    let (outputs, plan) = try run(graph, feed, threads: threads)
    for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
      #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil)
    }
    #expect(plan.report.nodes.contains { $0.kernel == "gemm + depthwise" } == !isRead)
  }

  /// MobileNet's blocks: a convolution or nothing in front of a depthwise convolution, and a product behind, with a residual that is
  /// also what the front reads.
  @Test(arguments: [1, 2], [0, 1, 3]) func productsBehindDepthwiseConvolutions(threads: Int, kernel: Int) throws {
    var random = TestRandom(named: "projections \(kernel)")
    var graph = Graph(name: "bands")
    let channels = kernel == 0 ? 64 : 5
    let given = try graph.addInput("given", TensorType(.float32, [Self.batch, 60, 61, Dim(channels)]))
    let x = try graph.addOne(Elementwise(.tanh), [given], name: "x")
    var y = x
    if kernel > 0 {
      let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: [kernel, kernel, 5, 64])))
      y = try graph.addOne(
        Conv(strides: [1, 1], padding: .same, epilogue: Epilogue(activation: Activation(.hardSwish))), [x, w], name: "front")
    }
    let taps = graph.addConstant("taps", try random.tensor(TensorType(.float32, shape: [3, 3, 1, 64])))
    let bias = graph.addConstant("bias", try random.tensor(TensorType(.float32, shape: [64])))
    y = try graph.addOne(
      Conv(strides: [1, 1], padding: .same, groups: 64, epilogue: Epilogue(bias: true, activation: Activation(.relu))), [y, taps, bias],
      name: "middle")
    let last = graph.addConstant("last", try random.tensor(TensorType(.float32, shape: [1, 1, 64, channels])))
    y = try graph.addOne(Conv(strides: [1, 1], epilogue: Epilogue(residual: true)), [y, last, x], name: "y")
    graph.outputs = [Graph.Output(name: "z", value: try graph.addOne(Elementwise(.tanh), [y], name: "z"))]
    let feed = [try random.tensor(TensorType(.float32, shape: [2, 60, 61, channels]))]
    let (outputs, plan) = try run(graph, feed, threads: threads)
    for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
      #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-4) == nil)
    }
    let kernels = plan.report.nodes.map(\.kernel)
    #expect(kernels.contains(kernel == 0 ? "depthwise + gemm" : kernel == 1 ? "gemm + depthwise + gemm" : "conv/direct + depthwise + gemm"), "\(kernels)")
  }

  /// An MLP: both products in turns, unless another node reads what lies between; the residual may be what the first reads.
  @Test(arguments: [1, 2], [0, 1, 2, 3]) func productsInTurns(threads: Int, kind: Int) throws {
    var random = TestRandom(named: "pairs \(kind)")
    let (transposed, convolutions, isRead) = (kind == 1, kind == 2, kind == 3)
    var graph = Graph(name: "pairs")
    let given = try graph.addInput("given", TensorType(.float32, [Self.batch, 30, 31, 35]))
    let x = try graph.addOne(Elementwise(.tanh), [given], name: "x")
    let front: Shape = convolutions ? [1, 1] : []
    let w = graph.addConstant("w", try random.tensor(TensorType(.float32, shape: front + (transposed ? [283, 35] : [35, 283]))))
    let last = graph.addConstant("last", try random.tensor(TensorType(.float32, shape: front + [283, 35])))
    let bias = graph.addConstant("bias", try random.tensor(TensorType(.float32, shape: [283])))
    let first = Epilogue(bias: true, activation: Activation(.gelu)), second = Epilogue(residual: true)
    let wide = try graph.addOne(
      convolutions ? Conv(strides: [1, 1], epilogue: first) : MatMul(transposeB: transposed, epilogue: first), [x, w, bias], name: "wide")
    let y = try graph.addOne(convolutions ? Conv(strides: [1, 1], epilogue: second) : MatMul(epilogue: second), [wide, last, x], name: "y")
    graph.outputs = [Graph.Output(name: "z", value: try graph.addOne(Elementwise(.tanh), [y], name: "z"))]
    if isRead { graph.outputs.append(Graph.Output(name: "s", value: try graph.addOne(Elementwise(.tanh), [wide], name: "s"))) }
    let feed = [try random.tensor(TensorType(.float32, shape: [3, 30, 31, 35]))]
    let (outputs, plan) = try run(graph, feed, threads: threads)
    for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
      #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-4) == nil)
    }
    #expect(plan.report.nodes.contains { $0.kernel == "gemm + gemm" } == !isRead)
  }
}

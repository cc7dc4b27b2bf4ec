import GraphModule
import KilnImport
import ModelFile
import ModelFormats
import TensorModule
import TestSupport
import Testing

/// `kconv diff`: equal models are equal in any format; each planted fault is found at its node, with its cause.
@Suite struct ModelDiffTests {
  /// Something wrong with the second model.
  enum Fault: String, CaseIterable, Sendable {
    case kernelFlip = "kernel-flip"
    case gateOrder = "gate-order"
    case padding
    case epsilon
    case layout
    case transposedWeight = "transposed-weight"
    case missingActivation = "missing-activation"
    case activation
    case weights

    /// The scope of the node that it is in.
    var scope: String {
      switch self {
      case .kernelFlip, .padding: "conv"
      case .gateOrder: "lstm"
      case .epsilon: "norm"
      case .layout: "flatten"
      case .transposedWeight: "dense"
      case .missingActivation, .activation: "act"
      case .weights: "head"
      }
    }
  }

  /// An image branch and a sequence branch, both into one output.
  static func model(_ fault: Fault? = nil, channelsFirst: Bool = false) throws -> Graph {
    var graph = Graph(name: "model")
    var state: UInt64 = 7
    func numbers(_ shape: Shape, from low: Double = -0.5) throws -> Tensor {
      try Tensor(
        converting: (0..<shape.elementCount).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return low + Double(state >> 33) / Double(1 << 31)
        }, to: .float32, shape: shape)
    }
    func weights(_ name: String, _ tensor: Tensor) -> ValueID { graph.addConstant(name, tensor) }
    func add(_ op: any OpDefinition, _ inputs: [ValueID], _ name: String, _ scope: String) throws -> ValueID {
      try graph.addOne(op, inputs, name: name, scope: scope)
    }
    let batch = Dim.symbol("batch")
    let image = try graph.addInput("image", TensorType(.float32, channelsFirst ? [batch, 2, 8, 8] : [batch, 8, 8, 2]))
    let sequence = try graph.addInput("sequence", TensorType(.float32, [batch, 5, 3]))
    var kernel = try numbers([3, 3, 2, 4])
    if fault == .kernelFlip { kernel = try #require(try Reverse(axes: [0, 1]).reference([ReferenceTensor(kernel)], [TensorType(.float32, shape: kernel.shape)]).first?.tensor()) }
    let x = channelsFirst ? try add(Transpose([0, 2, 3, 1]), [image], "turned", "conv") : image
    let padding: Padding = fault == .padding ? .explicit([.init(1, 0), .init(1, 0)]) : .explicit([.init(0, 1), .init(0, 1)])
    var y = try add(Conv(strides: [2, 2], padding: padding), [x, weights("kernel", kernel)], "conv", "conv")
    let statistics = try (0..<4).map { weights("norm_\($0)", try numbers([4], from: 0.2)) }
    y = try add(BatchNorm(epsilon: fault == .epsilon ? 0.1 : 0.001, scale: true, offset: true), [y] + statistics, "norm", "norm")
    if fault != .missingActivation { y = try add(Elementwise(fault == .activation ? .tanh : .relu), [y], "act", "act") }
    if fault == .layout { y = try add(Transpose([0, 3, 1, 2]), [y], "channels", "flatten") }
    y = try add(Reshape([batch, 64]), [y], "flatten", "flatten")
    y = try add(MatMul(), [y, weights("wide", try numbers([64, 6]))], "wide", "wide")
    var square = try numbers([6, 6])
    if fault == .transposedWeight { square = try #require(try Transpose([1, 0]).reference([ReferenceTensor(square)], [TensorType(.float32, [6, 6])]).first?.tensor()) }
    y = try add(MatMul(), [y, weights("square", square)], "dense", "dense")
    func gates(_ tensor: Tensor) throws -> Tensor {
      guard fault == .gateOrder, let last = tensor.shape.last else { return tensor }
      let parts = [0, 2, 1, 3].map { Slice.Range(start: $0 * last / 4, end: ($0 + 1) * last / 4) }
      let pieces = try parts.map { range -> ReferenceTensor in
        let ranges = tensor.shape.dropLast().map { _ in Slice.Range.all } + [range]
        let type = TensorType(.float32, shape: tensor.shape.dropLast() + [last / 4])
        return try #require(try Slice(ranges).reference([ReferenceTensor(tensor)], [type]).first)
      }
      return try #require(try Concat(axis: tensor.shape.count - 1).reference(pieces, [TensorType(.float32, shape: tensor.shape)]).first?.tensor())
    }
    let recurrent = try [numbers([3, 16]), numbers([4, 16]), numbers([16])].enumerated().map { weights("lstm_\($0)", try gates($1)) }
    let z = try graph.add(RNN(cell: .lstm), [sequence] + recurrent, name: "lstm", scope: "lstm")[0]
    let joined = try add(Concat(axis: 1), [y, z], "joined", "joined")
    var head = try numbers([10, 3])
    if fault == .weights { head = try numbers([10, 3]) }
    y = try add(MatMul(), [joined, weights("head", head)], "head", "head")
    graph.outputs = [Graph.Output(name: "scores", value: try add(Softmax(), [y], "scores", "scores"))]
    return graph
  }

  private static func compare(_ first: Graph, _ second: Graph, _ options: ModelDiff.Options = .init()) throws -> ModelDiff {
    try ModelDiff.compare(first, second, options: options) { try ReferenceBackend.run($0, $1) }
  }

  @Test func equalModelsAreEqual() throws {
    let diff = try ModelDiffTests.compare(ModelDiffTests.model(), ModelDiffTests.model())
    #expect(diff.isEqual && diff.difference == nil)
    #expect(diff.aligned == diff.nodes)
  }

  @Test func anotherLayoutOfAnInputIsEqual() throws {
    let diff = try ModelDiffTests.compare(ModelDiffTests.model(), ModelDiffTests.model(channelsFirst: true))
    #expect(diff.isEqual)
    #expect(diff.notes.contains { $0.contains("image") })
  }

  @Test(arguments: Fault.allCases) func findsAFault(_ fault: Fault) throws {
    for channelsFirst in [false, true] {
      let diff = try ModelDiffTests.compare(ModelDiffTests.model(), ModelDiffTests.model(fault, channelsFirst: channelsFirst))
      #expect(!diff.isEqual)
      let difference = try #require(diff.difference)
      #expect(difference.causes.first?.kind == fault.rawValue, "\(difference)")
      #expect(difference.first?.scope == fault.scope, "\(difference)")
      #expect(diff.text.contains(fault.rawValue) && diff.json.contains(fault.rawValue))
    }
  }

  /// The second model as a file of ONNX, with another layout and fused otherwise.
  @Test(arguments: Fault.allCases) func findsAFaultInAFileOfAnotherFormat(_ fault: Fault) throws {
    let folder = TemporaryFolder()
    try KilnFile.save(StoredModel(graph: ModelDiffTests.model(), checks: []), to: folder.file("a.kiln"))
    for (name, graph) in [("good", try ModelDiffTests.model()), ("bad", try ModelDiffTests.model(fault))] {
      _ = try ONNXWriter.write(graph, to: folder.file("\(name).onnx"))
    }
    func compare(_ second: String) throws -> ModelDiff {
      try ModelDiff.compare(folder.file("a.kiln"), folder.file(second), options: .init(), isolation: .inProcess) { try ReferenceBackend.run($0, $1) }
    }
    #expect(try compare("good.onnx").isEqual)
    let difference = try #require(try compare("bad.onnx").difference)
    #expect(difference.causes.contains { $0.kind == fault.rawValue }, "\(difference)")
  }

  @Test func toleranceSeedAndInputsCount() throws {
    let (good, bad) = (try ModelDiffTests.model(), try ModelDiffTests.model(.epsilon))
    var options = ModelDiff.Options()
    options.tolerance = 10
    #expect(try ModelDiffTests.compare(good, bad, options).isEqual)
    options = .init()
    let errors = try ([1, 1, 2] as [UInt64]).map { seed in
      options.seed = seed
      return try ModelDiffTests.compare(good, bad, options).outputs[0].error
    }
    #expect(errors[0] == errors[1] && errors[0] != errors[2])
    // Zeros do not show an exchange of gates' kernels, but their biases' does.
    options.inputs = ["image": try Tensor(dtype: .float32, shape: [1, 8, 8, 2]) { _ in }, "sequence": try Tensor(dtype: .float32, shape: [1, 5, 3]) { _ in }]
    #expect(try ModelDiffTests.compare(good, ModelDiffTests.model(.kernelFlip), options).isEqual)
    options.inputs = ["picture": try Tensor(dtype: .float32, shape: [1]) { _ in }]
    #expect(throws: KilnError.self) { try ModelDiffTests.compare(good, bad, options) }
  }
}

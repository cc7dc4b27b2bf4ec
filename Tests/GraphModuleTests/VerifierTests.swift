import GraphModule
import TensorModule
import Testing

/// Every kind of fault in a graph is found and named.
@Suite struct VerifierTests {
  static func sound() throws -> Graph {
    var graph = Graph(name: "sound")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 3]))
    let w = graph.addConstant("w", try Tensor([Float](repeating: 1, count: 6), shape: [3, 2]))
    let y = try graph.addOne(MatMul(), [x, w], name: "y", scope: "dense")
    let z = try graph.addOne(Softmax(), [y], name: "z")
    graph.outputs = [.init(name: "out", value: z), .init(name: "logits", value: y)]
    return graph
  }

  /// The message of the verifier for a sound graph with one change, which must be a fault.
  static func message(_ change: (inout Graph) throws -> Void) throws -> String {
    var graph = try sound()
    try Verifier.verify(graph)
    try change(&graph)
    let error = #expect(throws: KilnError.self) { try Verifier.verify(graph) }
    #expect(error?.code == .badInput)
    return error?.line ?? ""
  }

  @Test func undefinedValue() throws {
    #expect(try Self.message { $0.nodes.swapAt(0, 1) }.contains("reads 'y' before it is made"))
    #expect(try Self.message { $0.nodes[1].inputs = [ValueID(99)] }.contains("reads '#99' before it is made"))
    #expect(try Self.message { $0.outputs[0].value = ValueID(99) }.contains("is not a value of the graph"))
    #expect(try Self.message { $0.nodes[1].outputs = [ValueID(98)] }.contains("makes '#98', which is not a value"))
    #expect(try Self.message { $0.nodes.removeLast() }.contains("output"))
  }

  @Test func wrongType() throws {
    #expect(
      try Self.message { $0.setType(TensorType(.float32, [.symbol("batch"), 5]), of: ValueID(2)) }
        .contains("is declared float32[batch,5] where its op makes float32[batch,2]"))
    #expect(
      try Self.message { $0.setType(TensorType(.float64, [.symbol("batch"), 2]), of: ValueID(3)) }.contains("float64"))
    #expect(
      try Self.message { $0.setType(TensorType(.float32, [3, 3]), of: ValueID(1)) }.contains("and holds float32[3,2]"))
    #expect(
      try Self.message { $0.setType(TensorType(.int32, [.symbol("batch"), 3]), of: ValueID(0)) }.contains("matmul"))
  }

  @Test func wrongOperands() throws {
    #expect(try Self.message { $0.nodes[0].inputs.removeLast() }.contains("found 1"))
    #expect(try Self.message { $0.nodes[1].op = Softmax(axis: 7) }.contains("axis 7 is out of range for float32[?,2]"))
    #expect(try Self.message { $0.nodes[0].outputs.append(ValueID(3)) }.contains("has 2 results where its op makes 1"))
  }

  @Test func duplicates() throws {
    #expect(
      try Self.message { $0.outputs[1].name = "out" }.contains("two outputs have the name 'out'"))
    #expect(try Self.message { $0.nodes.append($0.nodes[1]) }.contains("makes a value that exists already"))
    #expect(try Self.message { $0.nodes[1].outputs = [ValueID(0)] }.contains("makes a value that exists already"))
    // Building gives names suffixes, so only a rename makes two alike.
    #expect(try Self.message { $0.rename(ValueID(3), to: "y") }.contains("two values have the name 'y'"))
  }

  @Test func impossibleSizes() throws {
    for dims in [[Dim(-1)], [Dim(1 << 40), Dim(1 << 40)], [Dim(Int.max)], [Dim](repeating: 1, count: 9)] as [[Dim]] {
      var graph = Graph(name: "large")
      try graph.addInput("x", TensorType(.float32, dims))
      let error = #expect(throws: KilnError.self) { try Verifier.verify(graph) }
      #expect(error?.line.contains("'x' has") == true)
    }
    var graph = Graph(name: "made")
    let x = try graph.addInput("x", TensorType(.float32, [Dim(1 << 40)]))
    _ = try graph.addOne(BroadcastTo([Dim(1 << 20), Dim(1 << 40)]), [x], name: "y")
    #expect(throws: KilnError.self) { try Verifier.verify(graph) }
  }

  @Test func theHintShowsTheNodesAround() throws {
    var graph = try Self.sound()
    graph.nodes[1].op = Softmax(axis: 7)
    let error = #expect(throws: KilnError.self) { try Verifier.verify(graph) }
    #expect(error?.hint?.contains("%y: float32[batch,2] = matmul(%x, %w)") == true)
  }

  @Test func shapesThatDoNotFitAreRefused() throws {
    let graph = try Self.sound()
    #expect(throws: KilnError.self) { try graph.specialized(to: []) }
    #expect(throws: KilnError.self) { try graph.specialized(to: [[2, 4]]) }
    #expect(throws: KilnError.self) { try graph.specialized(to: [[2, 3, 1]]) }
    #expect(throws: KilnError.self) { try graph.specialized(to: [[-1, 3]]) }
    var twice = Graph(name: "twice")
    for name in ["a", "b"] { try twice.addInput(name, TensorType(.float32, [.symbol("n")])) }
    let error = #expect(throws: KilnError.self) { try twice.specialized(to: [[2], [3]]) }
    #expect(error?.line.contains("'n' is 3 here and 2 in another input") == true)
  }

  @Test func indicesOutOfRangeAreErrors() throws {
    for index in [-1, 3] {
      let graph = try Graph.of(Gather(axis: 0), [TensorType(.float32, [3, 2]), TensorType(.int32, [1])])
      let error = #expect(throws: KilnError.self) {
        try ReferenceBackend.run(
          graph, [Tensor([Float](repeating: 0, count: 6), shape: [3, 2]), Tensor([Int32(index)], shape: [1])])
      }
      #expect(error?.line.contains("index \(index) is not in 0..<3") == true)
    }
  }
}

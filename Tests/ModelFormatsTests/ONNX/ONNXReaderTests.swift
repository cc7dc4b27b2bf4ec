import GraphModule
import ModelFormats
import TensorModule
import Testing

/// What ONNX graphs mean, where a version of the operator set, a type or a graph in an attribute decides.
@Suite struct ONNXReaderTests {
  private typealias G = GraphBytes
  private typealias O = ONNXBytes

  private func read(_ bytes: [UInt8], _ options: ImportOptions = ImportOptions()) throws -> Graph {
    try GraphBytes.withFile(bytes) { try ModelImporter.read(path: $0, options: options).graph }
  }

  private func run(_ bytes: [UInt8], _ inputs: [Tensor]) throws -> [Tensor] { try ReferenceBackend.run(try read(bytes), inputs) }

  /// Before version 13 Softmax takes all axes from the given one on together.
  @Test(arguments: [(11, 1, true), (13, 1, false), (11, 2, false), (13, 2, false)])
  func softmaxByVersion(_ opset: Int, _ axis: Int, _ isJoined: Bool) throws {
    let bytes = O.model(
      O.node("Softmax", ["x"], ["y"], O.attribute("axis", int: axis)) + O.input("x", 1, [1, 2, 2]) + O.output("y", 1, [1, 2, 2]), opset: opset)
    let y = try run(bytes, [try Tensor([Float](repeating: 1, count: 4), shape: [1, 2, 2])])[0]
    #expect(y.floats == [Float](repeating: isJoined ? 0.25 : 0.5, count: 4))
  }

  /// Axes are an attribute of old sums and an operand of new ones.
  @Test func axesByVersion() throws {
    let x = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
    let old = O.model(O.node("ReduceSum", ["x"], ["y"], O.attribute("axes", ints: [0])) + O.input("x", 1, [2, 2]) + O.output("y", 1, [1, 2]), opset: 11)
    let new = O.model(
      O.node("ReduceSum", ["x", "a"], ["y"], O.attribute("keepdims", int: 0)) + O.initializer("a", 7, [1], O.integers([-1])) + O.input("x", 1, [2, 2])
        + O.output("y", 1, [2]))
    #expect(try run(old, [x])[0].floats == [4, 6])
    #expect(try run(new, [x])[0].floats == [3, 7])
  }

  /// A dim's name is a symbol; arithmetic on shapes keeps it.
  @Test func namedDims() throws {
    let bytes = O.model(
      O.node("Shape", ["x"], ["s"]) + O.node("Gather", ["s", "zero"], ["n"]) + O.node("Concat", ["n", "rest"], ["d"], O.attribute("axis", int: 0))
        + O.node("Reshape", ["x", "d"], ["y"]) + O.initializer("zero", 7, [1], O.integers([0])) + O.initializer("rest", 7, [1], O.integers([6]))
        + O.input("x", 1, ["rows", 2, 3]) + O.output("y", 1, ["rows", 6]))
    let graph = try read(bytes)
    #expect(graph.type(of: graph.outputs[0].value).dims.map(\.description) == ["rows", "6"])
    #expect(graph.nodes.map(\.op.opName) == ["reshape"])
  }

  /// Unsigned 16-bit numbers wrap at 2^16, and divide towards zero.
  @Test func unsignedNumbers() throws {
    let bytes = O.model(O.node("Add", ["x", "x"], ["y"]) + O.input("x", 4, [2]) + O.output("y", 4, [2]))
    #expect(try run(bytes, [try Tensor([40000, 3] as [Int32], shape: [2])])[0].integers == [14464, 6])
    let quotient = O.model(O.node("Div", ["x", "d"], ["y"]) + O.initializer("d", 6, [2], G.field(5, G.varint(2) + G.varint(2))) + O.input("x", 6, [2]) + O.output("y", 6, [2]))
    #expect(try run(quotient, [try Tensor([-7, 7] as [Int32], shape: [2])])[0].integers == [-3, 3])
  }

  /// float8 e4m3fn: nearest, ties to even, saturating at 448.
  @Test func smallFloats() throws {
    let bytes = O.model(
      O.node("Cast", ["x"], ["s"], O.attribute("to", int: 17)) + O.node("Cast", ["s"], ["y"], O.attribute("to", int: 1)) + O.input("x", 1, [6]) + O.output("y", 1, [6]),
      opset: 19)
    let x: [Float] = [1.06, 1.0625, 1.1875, 1e6, -0.003, 0.0009]
    #expect(try run(bytes, [try Tensor(x, shape: [6])])[0].floats == [1, 1, 1.25, 448, -0.00390625, 0])
  }

  /// A function is inlined with its attributes, and reads nothing of the graph around it.
  @Test func functions() throws {
    let scaled =
      G.field(1, "Leak") + G.field(4, "a") + G.field(5, "b") + G.field(6, "slope")
      + G.field(7, O.plainNode("LeakyRelu", ["a"], ["b"], G.field(5, G.field(1, "alpha") + G.field(20, int: 1) + G.field(21, "slope")))) + G.field(10, "own")
      + G.field(9, G.field(2, int: 17))
    let slope = G.field(5, G.field(1, "slope") + G.varint(2 << 3 | 5) + withUnsafeBytes(of: Float(0.5).bitPattern.littleEndian) { Array($0) } + G.field(20, int: 1))
    let bytes = O.model(
      O.node("Leak", ["x"], ["y"], slope, domain: "own") + O.input("x", 1, [2]) + O.output("y", 1, [2]), domains: [("own", 1)], functions: [scaled])
    #expect(try run(bytes, [try Tensor([-2, 2] as [Float], shape: [2])])[0].floats == [-1, 2])
  }

  /// Both sides of a branch read a value around them.
  @Test func branches() throws {
    let yes = O.node("Neg", ["x"], ["a"]) + O.output("a", 1, [2]), no = O.node("Identity", ["x"], ["b"]) + O.output("b", 1, [2])
    let bytes = O.model(
      O.node("If", ["c"], ["y"], O.attribute("then_branch", graph: yes) + O.attribute("else_branch", graph: no)) + O.input("c", 9, []) + O.input("x", 1, [2])
        + O.output("y", 1, [2]))
    let x = try Tensor([1, 2] as [Float], shape: [2])
    #expect(try run(bytes, [try Tensor([true], shape: []), x])[0].floats == [-1, -2])
    #expect(try run(bytes, [try Tensor([false], shape: []), x])[0].floats == [1, 2])
  }

  /// A loop with a carried value and rows of results; it ends by its condition or by its number of trips.
  @Test(arguments: [(3, 100, [3.0, 1, 2, 3]), (10, 4, [4.0, 1, 2, 3, 4])])
  func loops(_ trips: Int, _ limit: Int, _ wanted: [Double]) throws {
    let body =
      O.node("Add", ["v", "one"], ["w"]) + O.node("Less", ["w", "limit"], ["on"]) + O.node("Identity", ["w"], ["row"]) + O.input("i", 7, []) + O.input("c", 9, [])
      + O.input("v", 1, []) + O.output("on", 9, []) + O.output("w", 1, []) + O.output("row", 1, [])
    let bytes = O.model(
      O.node("Loop", ["trips", "", "x"], ["y", "rows"], O.attribute("body", graph: body)) + O.initializer("trips", 7, [], O.integers([Int64(trips)]))
        + O.initializer("one", [], O.floats([1])) + O.initializer("limit", [], O.floats([Float(limit)])) + O.input("x", 1, []) + O.output("y", 1, [])
        + O.output("rows", 1, [trips == 3 ? 3 : 4]))
    let model = try read(bytes)
    let results = try ReferenceBackend.run(model, [try Tensor([0] as [Float], shape: [])])
    #expect(results[0].doubles == [wanted[0]])
    #expect(results[1].doubles == Array(wanted[1...]))
  }

  /// Values inside become inputs and outputs by name.
  @Test func cuts() throws {
    let bytes = O.model(
      O.node("Relu", ["x"], ["a"]) + O.node("Neg", ["a"], ["b"]) + O.node("Exp", ["b"], ["y"]) + O.input("x", 1, [2]) + O.output("y", 1, [2]))
    var options = ImportOptions()
    options.inputs = ["a"]
    options.outputs = ["b"]
    let graph = try read(bytes, options)
    #expect(graph.inputs.map { graph[$0].name } == ["a"])
    #expect(graph.outputs.map(\.name) == ["b"])
    #expect(graph.nodes.map(\.op.opName) == ["elementwise"])
  }

  /// Convolutions are channels-last with the kernel's axes turned.
  @Test func convolutions() throws {
    let bytes = O.model(
      O.node("Conv", ["x", "w"], ["y"], O.attribute("pads", ints: [0, 0, 0, 1])) + O.initializer("w", [1, 2, 1, 2], O.floats([1, 2, 3, 4]))
        + O.input("x", 1, [1, 2, 1, 3]) + O.output("y", 1, [1, 1, 1, 3]))
    let y = try run(bytes, [try Tensor([1, 2, 3, 10, 20, 30] as [Float], shape: [1, 2, 1, 3])])[0]
    #expect(y.shape == [1, 1, 1, 3])
    #expect(y.floats == [115, 188, 93] as [Float])
  }

  /// The source is named as it is.
  @Test func facts() throws {
    let bytes = O.model(O.node("Relu", ["x"], ["y"]) + O.input("x", 1, [2]) + O.output("y", 1, [2]))
    let graph = try read(bytes)
    #expect(graph.metadata["onnx_opsets"] == "opset 17")
    #expect(graph.metadata["onnx_producer"] == "test")
    #expect(graph.metadata["onnx_ir_version"] == "8")
  }

  /// 300 changes of one byte end in a graph or an error.
  @Test func mutations() throws {
    let body = O.node("Add", ["v", "one"], ["w"]) + O.node("Identity", ["c"], ["on"]) + O.input("i", 7, []) + O.input("c", 9, []) + O.input("v", 1, []) + O.output("on", 9, []) + O.output("w", 1, [])
    let bytes = O.model(
      O.node("Loop", ["trips", "", "x"], ["z"], O.attribute("body", graph: body)) + O.node("Softmax", ["z"], ["y"]) + O.initializer("trips", 7, [], O.integers([3]))
        + O.initializer("one", [], O.floats([1])) + O.input("x", 1, ["n", 2]) + O.output("y", 1, ["n", 2]))
    var state: UInt64 = 88172645463325252
    for _ in 0..<300 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      var changed = bytes
      changed[Int(state % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: state >> 32)
      do { _ = try read(changed) } catch let error as KilnError { #expect(error.code != .internal, "\(error.line)") }
    }
  }
}

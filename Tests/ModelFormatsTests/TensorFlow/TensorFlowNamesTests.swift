import GraphModule
import ModelFormats
import TensorModule
import Testing

/// Tensors by the names that TensorFlow has for them, and the devices of nodes.
@Suite struct TensorFlowNamesTests {
  typealias G = GraphBytes

  /// A function f(a) = tanh(relu(a)), a signature of one float argument and result.
  private static func function(_ name: String) -> [UInt8] {
    let argument = { (name: String) in G.field(1, name) + G.field(3, int: 1) }
    let signature = G.field(1, name) + G.field(2, argument("a")) + G.field(3, argument("r"))
    func inner(_ name: String, _ op: String, _ input: String) -> [UInt8] { G.field(3, Array(G.node(name, op, [input]).dropFirst(2))) }
    return G.field(1, G.field(1, signature) + inner("in/Relu", "Relu", "a") + inner("out", "Tanh", "in/Relu:activations:0") + G.field(4, G.field(1, "r") + G.field(2, "out:y:0")))
  }

  private static func call(_ name: String, _ function: String, _ input: String) -> [UInt8] {
    G.node(name, "PartitionedCall", [input], [("f", G.field(10, G.field(1, function)))])
  }

  private func read(_ bytes: [UInt8], outputs: [String] = [], inputs: [String] = [], shapes: [String: [Int?]] = [:]) throws -> Graph {
    try G.withFile(bytes) { path in
      var options = ImportOptions()
      options.outputs = outputs
      options.inputs = inputs
      options.inputShapes = shapes
      return try ModelImporter.read(path: path, options: options).graph
    }
  }

  private static let calls = G.placeholder("x", [2, 3]) + call("one", "f", "x") + G.node("mid", "Square", ["one"]) + G.field(2, function("f"))

  @Test func tensorsInsideCalls() throws {
    for name in ["one/in/Relu:0", "one/in/Relu", "in/Relu:0"] {
      let graph = try read(Self.calls, outputs: [name])
      #expect(graph.outputs.map(\.name) == [name.hasSuffix(":0") ? String(name.dropLast(2)) : name])
      #expect(graph.nodes.map { ($0.op as? Elementwise)?.function } == [.relu])
    }
  }

  @Test func aNameInTwoCallsIsRefused() {
    let bytes = Self.calls + Self.call("two", "f", "mid")
    do {
      _ = try read(bytes, outputs: ["in/Relu"])
      Issue.record("a name in two calls is accepted")
    } catch let error as KilnError {
      #expect(error.message.contains("2 calls"))
      #expect(error.hint?.contains("'two/in/Relu'") == true)
    } catch { Issue.record("\(error)") }
  }

  @Test func anInteriorTensorBecomesAnInput() throws {
    let graph = try read(Self.calls, outputs: ["mid"], inputs: ["one/in/Relu:0"])
    #expect(graph.inputs.map { graph[$0].name } == ["one/in/Relu"])
    #expect(graph.inputs.map(graph.type(of:)) == [TensorType(.float32, [2, 3])])
    #expect(graph.nodes.map { ($0.op as? Elementwise)?.function } == [.tanh, .square])
  }

  @Test func theTypeOfAnInteriorInputIsFound() throws {
    let bytes = G.placeholder("x", [-1, 3]) + G.constant("zero", [], content: [0, 0, 0, 0]) + G.node("p", "Greater", ["x", "zero"])
      + G.node("y", "LogicalNot", ["p"])
    let graph = try read(bytes, outputs: ["y"], inputs: ["p"])
    #expect(graph.inputs.map(graph.type(of:)) == [TensorType(.bool, [.symbol("batch"), 3])])
  }

  @Test func inputsComeInTheOrderThatIsAsked() throws {
    let bytes = G.placeholder("x", [2]) + G.placeholder("z", [2]) + G.node("y", "Sub", ["x", "z"])
    #expect(try read(bytes, inputs: ["z:0", "x"]).inputs.count == 2)
    let graph = try read(bytes, inputs: ["z:0", "x"])
    #expect(graph.inputs.map { graph[$0].name } == ["z", "x"])
  }

  @Test func devicesAreKept() throws {
    var y = Array(G.node("y", "Relu", ["x"]).dropFirst(2))
    y += G.field(4, "/job:localhost/device:GPU:0")
    let graph = try read(G.placeholder("x", [2]) + G.field(1, y))
    #expect(graph.nodes.map(\.device) == ["/job:localhost/device:GPU:0"])
  }
}

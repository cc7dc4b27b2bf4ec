import GraphModule
import ModelFormats
import TensorModule
import Testing

/// Graphs that no honest writer makes end in one error that says what is wrong.
@Suite struct TensorFlowBadGraphTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    var message: String
    var testDescription: String { name }
  }

  static let cases: [Case] = {
    typealias G = GraphBytes
    let x = G.placeholder("x", [2, 3])
    var deep = G.float
    for _ in 0..<200 { deep = G.field(10, G.field(1, "f") + G.field(2, G.field(1, "a") + G.field(2, deep))) }
    return [
      Case(name: "too deep", bytes: x + G.node("y", "Relu", ["x"], [("a", deep)]), message: "nested deeper than 100 levels"),
      Case(name: "a group", bytes: x + G.varint(9 << 3 | 3), message: "holds a group"),
      Case(name: "field zero", bytes: x + [0x02, 0x00], message: "impossible number 0"),
      Case(name: "long varint", bytes: x + [0x18] + [UInt8](repeating: 0xFF, count: 11), message: "more than 10 bytes"),
      Case(name: "length past the end", bytes: x + G.varint(1 << 3 | 2) + G.varint(1 << 40), message: "bytes where"),
      Case(name: "reserved field", bytes: x + G.node("c", "Const", [], [("value", G.field(8, G.field(1, int: 1) + G.field(1004, int: 4)))]), message: "does not have"),
      Case(
        name: "many empty messages", bytes: x + [UInt8](repeating: 0, count: 60_000).enumerated().map { $0.offset % 2 == 0 ? 0x0A : 0 },
        message: "protobuf messages in"),
      Case(name: "NUL in a name", bytes: x + G.node("a\0b", "Relu", ["x"]), message: "NUL"),
      Case(
        name: "too few bytes", bytes: x + G.constant("w", [4, 3], content: [UInt8](repeating: 0, count: 20)) + G.node("y", "MatMul", ["x", "w"]),
        message: "tensor_content has 20 bytes, shape [4,3] of float needs 48"),
      Case(
        name: "huge constant", bytes: x + G.constant("w", [1 << 30, 1 << 30], content: []) + G.node("y", "MatMul", ["x", "w"]),
        message: "impossible shape"),
      Case(
        name: "one value, huge shape",
        bytes: x + G.node("w", "Const", [], [("dtype", G.float), ("value", G.field(8, G.field(1, int: 1) + G.field(2, G.shape([1 << 20, 1 << 12])) + G.field(5, [0, 0, 0, 0])))])
          + G.node("y", "MatMul", ["x", "w"]), message: "large"),
      Case(name: "unknown op", bytes: x + G.node("r", "ReadFile", ["x"]), message: "op 'ReadFile' (node 'r') is not supported"),
      Case(
        name: "all unknown ops", bytes: x + G.node("r", "ReadFile", ["x"]) + G.node("s", "PyFunc", ["r"]) + G.node("t", "PyFunc", ["s"]),
        message: "op 'PyFunc' (nodes 's', 't') is not supported; op 'ReadFile' (node 'r') is not supported"),
      Case(name: "cycle", bytes: x + G.node("a", "AddV2", ["x", "b"]) + G.node("b", "Relu", ["a"]) + G.node("y", "Relu", ["b"]), message: "nodes 'a', 'b', 'y' form a cycle"),
      Case(name: "cycle of identities", bytes: x + G.node("a", "Identity", ["b"]) + G.node("b", "Identity", ["a"]) + G.node("y", "Relu", ["b"]), message: "cycle"),
      Case(name: "missing operand", bytes: x + G.node("y", "Relu", ["nowhere"]), message: "there is no tensor 'nowhere:0'"),
      Case(name: "no such output", bytes: x + G.node("a", "Relu", ["x"]) + G.node("y", "Relu", ["a:3"]), message: "has no output 3"),
      Case(name: "one name twice", bytes: x + G.node("y", "Relu", ["x"]) + G.node("y", "Tanh", ["x"]), message: "two nodes have the name 'y'"),
      Case(name: "attribute of another kind", bytes: x + G.node("y", "LeakyRelu", ["x"], [("alpha", G.field(2, "text"))]), message: "attribute 'alpha' must be a number"),
      Case(name: "operand missing", bytes: x + G.node("y", "AddV2", ["x"]), message: "input 2 is missing"),
      Case(name: "negative length", bytes: G.placeholder("x", [2, -5]) + G.node("y", "Relu", ["x"]), message: "impossible length -5"),
      Case(name: "unknown rank", bytes: G.node("x", "Placeholder", [], [("dtype", G.float)]) + G.node("y", "Relu", ["x"]), message: "does not say the shape of the input 'x'"),
      Case(
        name: "function calls itself",
        bytes: x + G.node("y", "f", ["x"])
          + G.field(
            2,
            G.field(
              1,
              G.field(1, G.field(1, "f") + G.field(2, G.field(1, "a") + G.field(3, int: 1)) + G.field(3, G.field(1, "b") + G.field(3, int: 1)))
                + G.field(3, G.field(1, "inner") + G.field(2, "f") + G.field(3, "a")) + G.field(4, G.field(1, "b") + G.field(2, "inner:b:0")))),
        message: "function 'f' calls itself"),
    ]
  }()

  @Test(arguments: cases)
  func saysWhatIsWrong(_ wrong: Case) throws {
    try GraphBytes.withFile(wrong.bytes) { path in
      do {
        _ = try ModelImporter.read(path: path)
        Issue.record("was read without an error")
      } catch let error as KilnError {
        #expect(error.line.contains(wrong.message), "\(error.line)")
        #expect(error.path.first == path)
        #expect(error.code == .badInput || error.code == .unsupportedModel)
      }
    }
  }

  /// A call is inlined, and only what the output needs is read.
  @Test func readsAFunction() throws {
    typealias G = GraphBytes
    let signature = G.field(1, "twice") + G.field(2, G.field(1, "a") + G.field(3, int: 1)) + G.field(3, G.field(1, "b") + G.field(3, int: 1))
    let function =
      G.field(1, signature) + G.field(3, G.field(1, "sum") + G.field(2, "AddV2") + G.field(3, "a") + G.field(3, "a"))
      + G.field(4, G.field(1, "b") + G.field(2, "sum:z:0"))
    let bytes =
      G.placeholder("x", [2]) + G.node("call", "twice", ["x"]) + G.node("y", "Relu", ["call"]) + G.node("unused", "ReadFile", ["x"])
      + G.field(2, G.field(1, function))
    try GraphBytes.withFile(bytes) { path in
      var options = ImportOptions()
      options.outputs = ["y:0"]
      let graph = try ModelImporter.read(path: path, options: options).graph
      let results = try ReferenceBackend.run(graph, [try Tensor([1.5, -2] as [Float], shape: [2])])
      #expect(results.map(\.floats) == [[3, 0]])
      #expect(graph.outputs.map(\.name) == ["y"])
    }
  }
}

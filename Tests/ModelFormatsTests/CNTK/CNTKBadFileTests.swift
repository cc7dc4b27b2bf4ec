import GraphModule
import ModelFormats
import TensorModule
import Testing

/// Files of CNTK that no honest writer makes end in one error that says what is wrong.
@Suite struct CNTKBadFileTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    var message: String
    var testDescription: String { name }
  }

  private typealias B = CNTKBytes
  private typealias G = GraphBytes

  private static let relu = B.function("f", 3, ["x"])

  static let dictionaries: [Case] = {
    var deep = B.Value.size(1)
    for _ in 0..<60 { deep = .list([deep]) }
    func weights(_ value: B.Value, dims: [UInt64] = [2], type: UInt64 = 1) -> [UInt8] {
      B.model([B.function("f", 19, ["x", "w"])], root: "f", inputs: [B.variable("x", kind: 0), B.variable("w", kind: 2, dims: dims, type: type, axes: [], value: value)])
    }
    let nested = (0..<80).map { B.block("b\($0)", ["x"], root: $0 == 79 ? "f" : "b\($0 + 1)", []) }
    return [
      Case(name: "too deep", bytes: B.model([B.function("f", 3, ["x"], [("a", deep)])], root: "f"), message: "nested deeper than 100 levels"),
      Case(name: "a group", bytes: B.model([relu], root: "f") + G.varint(30 << 3 | 3), message: "holds a group"),
      Case(name: "reserved field", bytes: weights(.raw(G.field(2, int: 11) + G.field(13, G.field(1, int: 1) + G.field(4, G.field(1001, int: 4))))), message: "does not have"),
      Case(name: "a kind that is not its value's", bytes: B.model([relu], root: "f", inputs: [.raw(G.field(2, int: 10) + G.field(8, "x"))]), message: "says that it is of the kind 10"),
      Case(name: "a key twice", bytes: B.dictionary([("type", .text("a")), ("type", .text("b"))]), message: "the key 'type' appears twice"),
      Case(name: "no model", bytes: B.dictionary([("type", .text("Trainer")), ("version", .size(1))]), message: "holds 'Trainer', not a model"),
      Case(name: "a trainer's state", bytes: B.dictionary([("Learners", .list([])), ("Version", .size(1))]), message: "is a dictionary of CNTK with 'Learners', 'Version', not a model"),
      Case(name: "a newer version", bytes: B.model([relu], root: "f", version: 9), message: "has the version 9 of CNTK's models"),
      Case(name: "something missing", bytes: B.dictionary([("type", .text("CompositeFunction")), ("version", .size(3))]), message: "'inputs' is missing"),
      Case(name: "no root", bytes: B.model([relu], root: "g"), message: "the root function 'g' is missing"),
      Case(name: "one uid twice", bytes: B.model([relu, relu], root: "f"), message: "two functions have the uid 'f'"),
      Case(name: "one variable twice", bytes: B.model([relu], root: "f", inputs: [B.variable("x", kind: 0), B.variable("x", kind: 0)]), message: "two variables have the uid 'x'"),
      Case(name: "an input of nobody", bytes: B.model([B.function("f", 3, ["nothing"])], root: "f"), message: "there is no variable 'nothing'"),
      Case(name: "a free placeholder", bytes: B.model([B.function("f", 3, ["p"])], root: "f", inputs: [B.variable("p", kind: 4)]), message: "the placeholder 'p' stands for nothing"),
      Case(name: "a circle without a delay", bytes: B.model([B.function("f", 19, ["x", "g_Output_0"]), B.function("g", 3, ["f_Output_0"])], root: "f"), message: "feed each other in a circle without a delay"),
      Case(name: "placeholders in a circle", bytes: B.model([B.block("b", ["x"], root: "f", [("p", "q"), ("q", "p")]), B.function("f", 3, ["p"])], root: "b"), message: "lead round in a circle"),
      Case(name: "a block in itself", bytes: B.model([B.block("b", ["x"], root: "b", [])], root: "b"), message: "blocks are nested deeper than 64 levels"),
      Case(name: "blocks 80 deep", bytes: B.model(nested + [relu], root: "b0"), message: "nested deeper than 64 levels"),
      Case(name: "an unknown operation", bytes: B.model([B.function("f", 500, ["x"])], root: "f"), message: "op 'operation 500' (node 'f') is not supported"),
      Case(name: "random numbers", bytes: B.model([B.function("f", 76, ["x"])], root: "f"), message: "op 'RandomDistribution' (node 'f') is not supported"),
      Case(name: "too few values", bytes: weights(.array(type: 1, dims: [2], floats: [1])), message: "has 4 bytes of values, its shape [2] of float needs 8"),
      Case(name: "a huge shape", bytes: weights(.array(type: 1, dims: [1 << 40, 1 << 40], floats: [1]), dims: [1 << 40, 1 << 40]), message: "has the impossible shape"),
      Case(name: "another shape", bytes: weights(.array(type: 1, dims: [3], floats: [1, 2, 3])), message: "its value has the shape [3], the variable [2]"),
      Case(name: "another type", bytes: weights(.array(type: 2, dims: [2], floats: [1, 2]), type: 2), message: "has its values in a field that is not for it"),
      Case(name: "sparse values", bytes: weights(.raw(G.field(2, int: 11) + G.field(13, G.field(1, int: 1) + G.field(2, int: 1)))), message: "stored sparsely"),
      Case(name: "a parameter without values", bytes: B.model([B.function("f", 19, ["x", "w"])], root: "f", inputs: [B.variable("x", kind: 0), B.variable("w", kind: 2, axes: [])]), message: "the variable 'w' has no value"),
      Case(name: "an attribute of another kind", bytes: B.model([B.function("f", 31, ["x", "x"], [("outputRank", .text("1"))])], root: "f"), message: "attribute 'outputRank' must be an integer, found a text"),
      Case(name: "an axis out of range", bytes: B.model([B.function("f", 10, ["x"], [("axis", .axis(7, "a", true))])], root: "f"), message: "axis 7 is out of range for 1 axes"),
      Case(name: "too many axes", bytes: B.model([relu], root: "f", inputs: [B.variable("x", kind: 0, dims: [UInt64](repeating: 1, count: 40))]), message: "axes; at most"),
      Case(name: "the type of an input", bytes: B.model([relu], root: "f", inputs: [B.variable("x", kind: 0, type: 99)]), message: "has the type number 99"),
      Case(name: "lengths that do not fit", bytes: B.model([B.function("f", 19, ["x", "w"])], root: "f", inputs: [B.variable("x", kind: 0), B.variable("w", kind: 2, dims: [3], axes: [], value: .array(type: 1, dims: [3], floats: [1, 2, 3]))]), message: "node 'f' (Plus)"),
      Case(name: "arrays outside that are not there", bytes: [0x6B, 0x74, 0x6E, 0x63] + B.int(Int32(weights(.array(type: 1, dims: [2], floats: [1, 2])).count)) + weights(.array(type: 1, dims: [2], floats: [1, 2])), message: "an array needs 8 bytes"),
      Case(name: "a head longer than the file", bytes: [0x6B, 0x74, 0x6E, 0x63, 0xFF, 0xFF, 0xFF, 0x7F] + B.model([relu], root: "f"), message: "its description has 2147483647 bytes"),
    ]
  }()

  static let networks: [Case] = {
    let x = B.input("x")
    let y = B.node("Tanh", "y")
    func network(_ nodes: [[UInt8]], _ inputs: [String] = ["x"]) -> [UInt8] { B.network(nodes, [("x", []), ("y", inputs)] + (nodes.count > 2 ? [("w", [])] : [])) }
    return [
      Case(name: "a newer version", bytes: B.network([x, y], [], version: 99), message: "computation network of the version 99; 7 to 31 are read"),
      Case(name: "too many nodes", bytes: B.network([x, y], [], count: 1 << 40), message: "declares 1099511627776 nodes"),
      Case(name: "a negative number", bytes: B.network([x, y], [], count: -1), message: "declares -1 nodes"),
      Case(name: "an element type", bytes: B.network([B.node("Tanh", "y", element: "quad")], [("y", [])]), message: "where the type of a node's elements belongs"),
      Case(name: "an unknown operation", bytes: network([x, B.node("LaunchMissiles", "y", [1, 2, 3, 4])]), message: "node 'y' (LaunchMissiles)"),
      Case(name: "options that are not there", bytes: network([x, B.node("TopK", "y")]), message: "its file does not say how many are taken"),
      Case(name: "options cut off", bytes: network([x, B.node("Times", "y", [1, 0])], ["x", "x"]), message: "node 'y' (Times)"),
      Case(name: "one name twice", bytes: B.network([x, x], [("x", [])]), message: "two nodes have the name 'x'"),
      Case(name: "an input of nobody", bytes: network([x, y], ["nobody"]), message: "there is no node 'nobody'"),
      Case(name: "an output of nobody", bytes: B.network([x, y], [("x", []), ("y", ["x"])], outputs: ["z"]), message: "the output 'z' is missing"),
      Case(name: "a circle without a delay", bytes: network([x, B.node("Plus", "y")], ["x", "y"]), message: "circle without a delay"),
      Case(name: "a huge matrix", bytes: network([x, B.node("Plus", "y"), B.parameter("w", [1 << 30], B.matrix(1 << 40, 1 << 40, []))], ["x", "w"]), message: "has a matrix of 1099511627776 times 1099511627776"),
      Case(name: "a matrix of more than the file", bytes: network([x, B.node("Plus", "y"), B.parameter("w", [1 << 20], B.matrix(1 << 20, 1, []))], ["x", "w"]), message: "declares 4194304 bytes where"),
      Case(name: "a matrix that is not its parameter's", bytes: network([x, B.node("Plus", "y"), B.parameter("w", [3], B.matrix(2, 1, [1, 2]))], ["x", "w"]), message: "its shape [3] is not that of its 2 times 1 values"),
      Case(name: "a sparse matrix", bytes: network([x, B.node("Plus", "y"), B.parameter("w", [2], B.matrix(2, 1, [1, 2], kind: UInt8(ascii: "s")))], ["x", "w"]), message: "stored sparsely"),
      Case(name: "a shape of 1000 axes", bytes: network([B.node("InputValue", "x", B.long(0) + B.long(0) + B.int(1000)), y]), message: "has a shape of 1000 axes"),
      Case(name: "an endless text", bytes: B.text("BCN") + B.text("BVersion") + B.long(31) + B.text("EVersion") + B.long(1) + B.text("BNodeList") + [UInt8](repeating: 0x41, count: 8192), message: "has a text of more than 1024 characters"),
      Case(name: "cut off", bytes: [UInt8](network([x, y]).prefix(200)), message: "computation network at byte"),
    ]
  }()

  @Test(arguments: dictionaries + networks)
  func isRefused(_ bad: Case) throws {
    try GraphBytes.withFile(bad.bytes) { path in
      do {
        _ = try ModelImporter.read(path: path)
        Issue.record("it was read")
      } catch let error as KilnError {
        #expect([.badInput, .unsupportedModel].contains(error.code), "\(error.line)")
        #expect(error.line.contains(bad.message), "\(error.line)")
      }
    }
  }

  /// The writer of the cases above makes sound files.
  @Test func soundFilesAreRead() throws {
    let dictionary = B.model(
      [B.function("f", 19, ["x", "w"])], root: "f",
      inputs: [B.variable("x", kind: 0), B.variable("w", kind: 2, axes: [], value: .array(type: 1, dims: [2], floats: [10, 20]))])
    let network = B.network(
      [B.input("x"), B.node("Plus", "y"), B.parameter("w", [2], B.matrix(2, 1, [10, 20]))], [("x", []), ("y", ["x", "w"]), ("w", [])])
    // The same array behind the message, as in files over 2 GB.
    let outside = [0x6B, 0x74, 0x6E, 0x63] + B.int(Int32(dictionary.count)) + dictionary + B.bytes([10, 20])
    for bytes in [dictionary, network, outside] {
      let graph = try GraphBytes.withFile(bytes) { try ModelImporter.read(path: $0).graph }
      let y = try ReferenceBackend.run(graph, [try Tensor([1, 2] as [Float], shape: [1, 2])])
      #expect(y.map(\.floats) == [[11, 22]])
    }
  }

  /// One run names everything that is not supported.
  @Test func allProblemsAtOnce() throws {
    let bytes = B.model([B.function("f", 76, ["x"]), B.function("g", 60, ["x"]), B.function("c", 44, ["f_Output_0", "g_Output_0"])], root: "c")
    try GraphBytes.withFile(bytes) { path in
      #expect { try ModelImporter.read(path: path) } throws: { error in
        let line = (error as? KilnError)?.line ?? ""
        return line.contains("RandomDistribution") && line.contains("NDCG")
      }
    }
  }
}

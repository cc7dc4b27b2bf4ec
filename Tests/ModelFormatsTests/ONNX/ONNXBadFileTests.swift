import Foundation
import GraphModule
import ModelFormats
import TensorModule
import Testing

/// Files that no honest writer makes end in one error that says what is wrong.
@Suite struct ONNXBadFileTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    var message: String
    var testDescription: String { name }
  }

  private typealias G = GraphBytes
  private typealias O = ONNXBytes

  static let cases: [Case] = {
    let x = O.input("x"), y = O.output("y")
    let relu = O.node("Relu", ["x"], ["y"])
    func weights(_ tensor: [UInt8]) -> [UInt8] { O.model(O.node("Add", ["x", "w"], ["y"]) + G.field(5, tensor) + x + y) }
    var deep = O.node("Relu", ["x"], ["y"])
    for _ in 0..<60 { deep = O.node("If", ["x"], ["y"], O.attribute("then_branch", graph: deep)) }
    let function = G.field(1, "Self") + G.field(4, "a") + G.field(5, "b") + G.field(7, O.plainNode("Self", ["a"], ["b"], domain: "own")) + G.field(10, "own")
      + G.field(9, G.field(1, "own") + G.field(2, int: 1))
    return [
      Case(name: "too deep", bytes: O.model(deep + x + y), message: "nested deeper than 100 levels"),
      Case(name: "a group", bytes: O.model(relu + x + y + G.varint(30 << 3 | 3)), message: "holds a group"),
      Case(name: "length past the end", bytes: O.model(relu + x + y + G.varint(1 << 3 | 2) + G.varint(1 << 40)), message: "bytes where"),
      Case(
        name: "reserved field", bytes: weights(O.tensor("w", 1, [1], G.field(1009, int: 4) + O.floats([1]))), message: "does not have"),
      Case(name: "NUL in a name", bytes: O.model(O.node("Relu", ["x"], ["a\0b"]) + x + y), message: "NUL"),
      Case(name: "no opset of ONNX", bytes: O.model(relu + x + y, opset: 6), message: "uses the operator set 6 of ONNX; 7 to"),
      Case(name: "a newer opset", bytes: O.model(relu + x + y, opset: 999), message: "uses the operator set 999"),
      Case(name: "too few bytes", bytes: weights(O.tensor("w", 1, [4, 3], O.raw([UInt8](repeating: 0, count: 20)))), message: "tensor 'w': has 20 bytes of raw data, its shape [4,3] of float needs 48"),
      Case(name: "too few values", bytes: weights(O.tensor("w", 1, [3], G.field(4, [0, 0, 0, 0]))), message: "has 1 values, its shape [3] needs 3"),
      Case(name: "no data", bytes: weights(O.tensor("w", 1, [1 << 20, 1 << 18], [])), message: "has no data for its shape"),
      Case(name: "huge shape", bytes: weights(O.tensor("w", 1, [1 << 40, 1 << 40], [])), message: "impossible shape"),
      Case(name: "negative shape", bytes: weights(O.tensor("w", 1, [-2], [])), message: "impossible shape"),
      Case(name: "two data fields", bytes: weights(O.tensor("w", 1, [1], O.floats([1]) + G.field(4, [0, 0, 0, 0]))), message: "has its data in two fields"),
      Case(name: "a field of another type", bytes: weights(O.tensor("w", 1, [1], G.field(7, [1]))), message: "in a field that is not for float"),
      Case(name: "a number out of range", bytes: weights(O.tensor("w", 2, [1], G.field(5, G.varint(300)))), message: "a value that uint8 cannot hold"),
      Case(name: "complex numbers", bytes: weights(O.tensor("w", 14, [1], O.raw([UInt8](repeating: 0, count: 8)))), message: "the type complex64 is not supported"),
      Case(name: "one initializer twice", bytes: O.model(O.node("Add", ["x", "w"], ["y"]) + O.initializer("w", 1, [1], O.floats([1])) + O.initializer("w", 1, [1], O.floats([1])) + x + y), message: "two initializers have the name 'w'"),
      Case(
        name: "external data", bytes: weights(O.tensor("w", 1, [1], G.field(13, G.field(1, "location") + G.field(2, "w.bin")) + G.field(14, int: 1))),
        message: "tensor 'w': its data are in another file, 'w.bin', which is not read"),
      Case(
        name: "an unknown key of external data", bytes: weights(O.tensor("w", 1, [1], G.field(13, G.field(1, "__class__") + G.field(2, "w.bin")) + G.field(14, int: 1))),
        message: "unknown key '__class__'"),
      Case(
        name: "an offset that is none",
        bytes: weights(O.tensor("w", 1, [1], G.field(13, G.field(1, "offset") + G.field(2, "-4")) + G.field(13, G.field(1, "location") + G.field(2, "w")) + G.field(14, int: 1))),
        message: "the offset '-4', which is no number"),
      Case(name: "unknown ops", bytes: O.model(O.node("ReadFile", ["x"], ["a"]) + O.node("PyOp", ["a"], ["y"], domain: "ai.onnx.contrib") + x + y, domains: [("ai.onnx.contrib", 1)]), message: "op 'ReadFile' (node 'a') is not supported"),
      Case(name: "an opset that is not imported", bytes: O.model(O.node("Gelu", ["x"], ["y"], domain: "com.microsoft") + x + y), message: "does not say the version of the operator set 'com.microsoft'"),
      Case(name: "cycle", bytes: O.model(O.node("Add", ["x", "b"], ["a"]) + O.node("Relu", ["a"], ["b"]) + O.node("Relu", ["b"], ["y"]) + x + y), message: "form a cycle"),
      Case(name: "missing operand", bytes: O.model(O.node("Relu", ["nowhere"], ["y"]) + x + y), message: "it reads 'nowhere', which nothing makes"),
      Case(name: "two makers", bytes: O.model(relu + O.node("Tanh", ["x"], ["y"]) + x + y), message: "two nodes make the value 'y'"),
      Case(name: "no such output", bytes: O.model(relu + x + O.output("z")), message: "no node makes the output 'z'"),
      Case(name: "an attribute twice", bytes: O.model(O.node("Concat", ["x", "x"], ["y"], O.attribute("axis", int: 0) + O.attribute("axis", int: 1)) + x + y), message: "attribute 'axis' appears twice"),
      Case(name: "an attribute of another kind", bytes: O.model(O.node("Concat", ["x", "x"], ["y"], O.attribute("axis", text: "0")) + x + y), message: "attribute 'axis' must be an integer"),
      Case(name: "operand missing", bytes: O.model(O.node("Add", ["x"], ["y"]) + x + y), message: "input 2 is missing"),
      Case(name: "an axis out of range", bytes: O.model(O.node("Softmax", ["x"], ["y"], O.attribute("axis", int: 7)) + x + y), message: "axis 7 is out of range"),
      Case(name: "negative length", bytes: O.model(relu + O.input("x", 1, [2, -5]) + y), message: "impossible length -5"),
      Case(name: "a sequence as an input", bytes: O.model(relu + G.field(11, G.field(1, "x") + G.field(2, G.field(4, G.field(1, O.type(1, []))))) + y), message: "the input 'x' is no tensor"),
      Case(name: "function calls itself", bytes: O.model(O.node("Self", ["x"], ["y"], domain: "own") + x + y, domains: [("own", 1)], functions: [function]), message: "the function 'Self' calls itself"),
      Case(name: "a loop that nothing ends", bytes: O.model(O.node("Loop", ["", "", "x"], ["y"], O.attribute("body", graph: O.node("Identity", ["c"], ["d"]) + O.node("Relu", ["v"], ["w"]) + O.input("i", 7, []) + O.input("c", 9, []) + O.input("v") + O.output("d", 9, []) + O.output("w"))) + x + y), message: "nothing ends the loop"),
      Case(name: "random numbers", bytes: O.model(O.node("RandomNormalLike", ["x"], ["y"]) + x + y), message: "op 'RandomNormalLike' (node 'y') is not supported"),
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

  /// Bytes of external data are read from the model's own folder alone, and only when asked for.
  @Test func externalData() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data([0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40]).write(to: folder.appending(path: "w.bin"))
    try FileManager.default.createSymbolicLink(atPath: folder.appending(path: "link.bin").path, withDestinationPath: "/etc/hostname")
    try Data([0, 0, 0, 0, 0, 0, 0, 0]).write(to: folder.appending(path: "one.bin"))
    try FileManager.default.linkItem(at: folder.appending(path: "one.bin"), to: folder.appending(path: "twin.bin"))
    func read(_ entries: [(String, String)], dims: [Int] = [2]) throws -> Graph {
      let places = entries.flatMap { G.field(13, G.field(1, $0.0) + G.field(2, $0.1)) }
      let bytes = O.model(
        O.node("Add", ["x", "w"], ["y"]) + G.field(5, O.tensor("w", 1, dims, places + G.field(14, int: 1))) + O.input("x", 1, [2]) + O.output("y", 1, [2]))
      let path = folder.appending(path: "m.onnx").path
      try Data(bytes).write(to: URL(filePath: path))
      var options = ImportOptions()
      options.allowsExternalData = true
      return try ModelImporter.read(path: path, options: options).graph
    }
    func message(_ entries: [(String, String)], dims: [Int] = [2]) -> String {
      do {
        _ = try read(entries, dims: dims)
        return "it was read"
      } catch let error as KilnError { return error.message } catch { return "\(error)" }
    }
    let graph = try read([("location", "w.bin"), ("offset", "4"), ("length", "8")])
    let sum = try ReferenceBackend.run(graph, [try Tensor([Float(1), 1], shape: [2])])
    #expect(sum[0].floats == [2, 3])
    _ = try read([("location", "w.bin"), ("offset", "4"), ("checksum", "66cdd54c62702bb4ca47029748a7a1341750a552")])
    #expect(message([("location", "../w.bin")]).contains("leaves the model's folder"))
    #expect(message([("location", "/etc/passwd")]).contains("leaves the model's folder"))
    #expect(message([("location", "*/_ORT_MEM_ADDR_/*"), ("offset", "4096")]).contains("leaves the model's folder"))
    #expect(message([("location", "..")]).contains("leaves the model's folder"))
    #expect(message([("location", "link.bin")]).contains("is not a regular file"))
    #expect(message([("location", "none.bin")]).contains("is missing"))
    #expect(message([("location", "w.bin"), ("offset", "8")]).contains("leads out of 'w.bin'"))
    #expect(message([("location", "w.bin"), ("length", "4")]).contains("has 4 bytes, its shape needs 8"))
    #expect(message([("location", "w.bin"), ("checksum", String(repeating: "0", count: 40))]).contains("does not have its checksum"))
    #expect(message([("location", "twin.bin")]).contains("several names"))
  }
}

import GraphModule
import ModelFile
import TensorModule
import TestSupport
import Testing

@Suite struct KilnFileTests {
  private let folder = TemporaryFolder()

  private func model() throws -> StoredModel {
    var graph = Graph(name: "a \"model\"")
    graph.metadata = ["framework": "keras", "keras_version": "2.3.1"]
    let x = try graph.addInput("x:0", TensorType(.float32, [.symbol("batch"), 3]))
    let w = graph.addConstant("dense/kernel", try Tensor((0..<15).map { Float($0) * 0.25 }, shape: [3, 5]))
    let b = graph.addConstant("dense/bias", try Tensor([1, 2, 3, 4, 5] as [Float], shape: [5]))
    let product = try graph.addOne(MatMul(epilogue: Epilogue(bias: true)), [x, w, b], name: "dense", scope: "top")
    _ = graph.addConstant("vocabulary", Tensor(strings: ["", "é", ByteString([0xFF, 0, 0x41])], shape: [3]))
    _ = graph.addConstant("empty", try Tensor([Int64](), shape: [0, 2]))
    let relu = try graph.addOne(Elementwise(.relu), [product], name: "relu \u{1}", device: "/device:GPU:0")
    // Weights of subgraphs, with names that the outer graph has too.
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let h = body.declareInput("h", TensorType(.float32, [.symbol("batch"), 5]))
    let inner = body.addConstant("dense/bias", try Tensor([2, 2, 2, 2, 2] as [Float], shape: [5]))
    let words = body.addConstant("vocabulary", Tensor(strings: ["x"], shape: [1]))
    let sum = try body.addOne(Elementwise(.add), [h, inner], name: "sum")
    body.outputs = [.init(name: "h", value: sum), .init(name: "words", value: words)]
    let y = try graph.add(Loop(carried: 1, maxTrips: 2, body: body), [relu], name: "loop")[0]
    graph.outputs = [Graph.Output(name: "y", value: y), Graph.Output(name: "z", value: product)]
    let input = try Tensor([1, 2, 3] as [Float], shape: [1, 3])
    let results = try ReferenceBackend.run(graph, [input])
    let check = CheckVector(
      origin: .reference, tolerance: .framework, inputs: [("x:0", input)], outputs: [("y", results[0]), ("z", results[1])])
    return StoredModel(graph: graph, checks: [check])
  }

  @Test func comesBackEqual() throws {
    let model = try model()
    let path = folder.file("m.kiln")
    try KilnFile.save(model, to: path)
    let back = try KilnFile.load(path: path)
    #expect(back.graph == model.graph.compacted())
    #expect(back.checks.count == 1 && back.checks[0].outputs[1].tensor == model.checks[0].outputs[1].tensor)
    #expect(back.checks[0].inputs[0].name == "x:0" && back.checks[0].tolerance == .framework)
  }

  /// Elements that are computed while they are written, and layers whose variables the graph has already.
  @Test func deferredWeightsAreWritten() throws {
    var model = try model()
    let source = try Tensor((0..<400_000).map { Float($0) }, shape: [400, 1000])
    let scaled = try Tensor(dtype: .float32, shape: [400, 1000]) { elements, memory in
      for (index, element) in elements.enumerated() { memory.storeBytes(of: Float(element) * 2, toByteOffset: 4 * index, as: Float.self) }
    }
    let value = model.graph.addConstant("scaled", scaled)
    model.graph.outputs.append(Graph.Output(name: "scaled", value: value))
    let copy = try Tensor((0..<400_000).map { Float($0) * 2 }, shape: [400, 1000])
    model.layers = SourceLayers(description: .object(JSONObject()), variables: [source, copy, source])
    let path = folder.file("m.kiln")
    try KilnFile.save(model, to: path, flushing: false)
    let back = try KilnFile.load(path: path)
    #expect(back.graph == model.graph.compacted())
    let layers = try #require(try KilnFile.layers(path: path))
    #expect(layers.variables == [source, copy, source])
    let names = try MappedFile.contents(of: path).withUnsafeBytes { try Safetensors.readHeader($0).entries.map(\.name) }
    #expect(names.filter { $0.hasPrefix("kiln.layers/") } == ["kiln.layers/0", "kiln.layers/2"])
  }

  /// The state of training comes back whole for a trainer, and is no part of the model that predicts.
  @Test func trainingStateIsApart() throws {
    var model = try model()
    let moment = try Tensor((0..<15).map { Float($0) }, shape: [3, 5])
    let configuration = try JSON.parse(#"{"optimizer": "adam", "loss": "mse"}"#)
    let path = folder.file("m.kiln")
    try KilnFile.save(model, to: path)
    #expect(try KilnFile.training(path: path) == nil)
    let step = try Tensor([7] as [Int64], shape: [])
    model.training = TrainingState(configuration: configuration, variables: [("step", step), ("m/kernel", moment)])
    try KilnFile.save(model, to: path, overwriting: true)
    let back = try #require(try KilnFile.training(path: path))
    #expect(back.configuration == configuration && back.variables.map(\.name) == ["step", "m/kernel"])
    #expect(back.variables[0].tensor == step && back.variables[1].tensor == moment)
    let loaded = try KilnFile.load(path: path, checkOnly: true)
    #expect(loaded.graph == model.graph.compacted() && loaded.trainingText?.contains("m/kernel") == true)
    // The last bytes of the file are the step's: the model loads without looking at them.
    var bytes = try MappedFile.contents(of: path)
    bytes[bytes.count - 1] ^= 1
    let damaged = try folder.write("damaged.kiln", bytes)
    #expect(try KilnFile.load(path: damaged).graph == loaded.graph)
    #expect { try KilnFile.training(path: damaged) } throws: { "\($0)".contains("checksum") }
  }

  @Test func doesNotOverwriteUnasked() throws {
    let path = try folder.write("m.kiln", [1, 2, 3])
    let model = try model()
    #expect { try KilnFile.save(model, to: path) } throws: { "\($0)".contains("exists") }
    #expect(try MappedFile.contents(of: path) == [1, 2, 3])
    try KilnFile.save(model, to: path, overwriting: true)
    #expect(try KilnFile.load(path: path).graph == model.graph.compacted())
    #expect(throws: KilnError.self) { try KilnFile.save(model, to: folder.file("none/m.kiln")) }
    #expect(folder.names == ["m.kiln"])
  }

  @Test func everyFlippedBitIsFound() throws {
    let path = folder.file("m.kiln")
    try KilnFile.save(model(), to: path)
    let good = try MappedFile.contents(of: path)
    let loaded = try KilnFile.load(path: path)
    for position in good.indices {
      var bytes = good
      bytes[position] ^= 1 << UInt8(position % 8)
      let other = try folder.write("damaged.kiln", bytes)
      // White space in the header is the only place where a change may mean nothing.
      if let back = try? KilnFile.load(path: other) { #expect(back.graph == loaded.graph && good[position] == 0x20) }
    }
  }

  @Test func truncationIsFound() throws {
    let path = folder.file("m.kiln")
    try KilnFile.save(model(), to: path)
    let good = try MappedFile.contents(of: path)
    for length in 0..<good.count {
      let other = try folder.write("cut.kiln", Array(good.prefix(length)))
      #expect(throws: KilnError.self) { try KilnFile.load(path: other) }
    }
  }

  @Test(arguments: [
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, "without a Kiln graph"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "hole"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "overlaps"),
    (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "needs 12"),
    (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}}"#, 8, "shape"),
    (#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, 8, "dtype"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4000]}}"#, 8, "outside"),
    (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 8, "end at"),
    (#"{"__metadata__":{"kiln.format":"9"}}"#, 0, "format"),
    (#"{"__metadata__":{"kiln.format":"1","kiln.graph":"graph \"g\" {}","kiln.hashes":"{}","kiln.checks":"[]","kiln.digest":"0"}}"#, 0, "checksum"),
  ])
  func refusesBadContainers(_ header: String, _ dataCount: Int, _ message: String) throws {
    var bytes: [UInt8] = []
    bytes.append64(UInt64(header.utf8.count))
    let path = try folder.write("bad.kiln", bytes + Array(header.utf8) + [UInt8](repeating: 0, count: dataCount))
    #expect { try KilnFile.load(path: path) } throws: { "\($0)".contains(message) }
  }

  @Test func refusesHugeHeader() throws {
    let path = try folder.write("bad.kiln", [UInt8](repeating: 0xFF, count: 64))
    #expect { try KilnFile.load(path: path) } throws: { "\($0)".contains("not a .kiln file") || "\($0)".contains("impossible") }
  }
}

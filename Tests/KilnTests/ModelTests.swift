import GraphModule
import Kiln
import MallocCount
import ModelFile
import TensorModule
import TestSupport
import Testing

@Suite struct ModelTests {
  /// y = 2x + [1, 2, 3], z = the sum of each row; from `x` [batch, 3] and, when asked for, integers `n` [batch].
  static func graph(withIntegers: Bool = false) throws -> Graph {
    var graph = Graph(name: "affine")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 3]))
    let shift = graph.addConstant("shift", try Tensor([1, 2, 3] as [Float], shape: [3]))
    let doubled = try graph.addOne(Elementwise(.affine, [2, 0]), [x], name: "doubled")
    let y = try graph.addOne(Elementwise(.add), [doubled, shift], name: "y")
    let z = try graph.addOne(Reduce(.sum, axes: [1]), [y], name: "z")
    graph.outputs = [Graph.Output(name: "y", value: y), Graph.Output(name: "z", value: z)]
    if withIntegers {
      let n = try graph.addInput("n", TensorType(.int32, [.symbol("batch")]))
      graph.outputs.append(Graph.Output(name: "m", value: try graph.addOne(Elementwise(.neg), [n], name: "m")))
    }
    return graph
  }

  /// Weights of a file so large that other threads find its checksums while the graph is read.
  @Test(arguments: [1, 2, 3]) func damagedWeightsOfALargeFileAreFound(threads: Int) throws {
    var graph = Graph(name: "large")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 1024]))
    var y = x
    for layer in 0..<3 {
      let w = graph.addConstant("w\(layer)", try Tensor((0..<1024 * 1024).map { Float(($0 + layer) % 7) * 1e-3 }, shape: [1024, 1024]))
      y = try graph.addOne(MatMul(), [y, w], name: "y\(layer)")
    }
    graph.outputs = [Graph.Output(name: "y", value: y)]
    let folder = TemporaryFolder()
    let path = folder.file("m.kiln")
    try KilnFile.save(StoredModel(graph: graph, checks: []), to: path, flushing: false)
    let good = try MappedFile.contents(of: path)
    let input = try Tensor((0..<2048).map { Float($0 % 5) }, shape: [2, 1024])
    let expected = try Model(graph: graph).predict(input)
    // After the plan has given pages of the file back, another plan reads them again.
    let model = try Model(contentsOf: path, options: Model.Options(threads: threads))
    for rows in [2, 40, 2] {
      let samples = try Tensor((0..<1024 * rows).map { Float($0 % 2048 % 5) }, shape: [rows, 1024])
      let got = try model.predict(samples)
      #expect(zip(got.floats, expected.floats).allSatisfy { ($0 - $1).magnitude <= 1e-4 * $1.magnitude })
    }
    for place in [good.count - 1, good.count - (6 << 20), good.count - (11 << 20)] {
      var bytes = good
      bytes[place] ^= 1
      let damaged = try folder.write("damaged.kiln", bytes)
      #expect { try Model(contentsOf: damaged, options: Model.Options(threads: threads)) } throws: {
        ($0 as? KilnError)?.message.contains("checksum") == true
      }
    }
  }

  @Test func describesItsInputsAndOutputs() throws {
    let model = try Model(graph: Self.graph())
    #expect(model.inputs.map(\.name) == ["x"])
    #expect(model.inputs[0].typeText == "float32[?,3]")
    #expect(model.inputs[0].shapeText == "[batch,3]")
    #expect(model.outputs.map(\.name) == ["y", "z"])
    #expect(model.outputs[1].dims == [nil])
  }

  @Test(arguments: ["x", "x:0", "serving_default_x", "serving_default_x:0"])
  func knowsAnInputByTheNameOfItsSourceToo(_ name: String) throws {
    var graph = try Self.graph()
    graph.metadata["alias of x"] = "serving_default_x"
    let model = try Model(graph: graph)
    #expect(model.inputs[0].alias == "serving_default_x")
    let named = try model.predict([name: Tensor([1, 2, 3] as [Float], shape: [1, 3])])
    #expect(named[0].tensor.floats == [3, 6, 9])
    #expect(throws: KilnError.self) { try model.predict(["other": Tensor([1, 2, 3] as [Float], shape: [1, 3])]) }
  }

  @Test func predictsByNameAndByPosition() throws {
    let model = try Model(graph: Self.graph())
    let x = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    #expect(try model.predict(x).floats == [3, 6, 9, 9, 12, 15])
    let named = try model.predict(["x": x])
    #expect(named.map(\.name) == ["y", "z"])
    #expect(named[1].tensor.floats == [18, 36])
  }

  /// Rows of x repeated until they take 4 bytes · 3 · `rows` · batch.
  private static func repeating(_ rows: Int) throws -> Graph {
    var graph = Graph(name: "repeating")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 1, 3]))
    let wide = try graph.addOne(BroadcastTo([.symbol("batch"), Dim(rows), 3]), [x], name: "wide")
    let sines = try graph.addOne(Elementwise(.sin), [wide], name: "sines")
    graph.outputs = [Graph.Output(name: "y", value: try graph.addOne(Reduce(.sum, axes: [1, 2]), [sines], name: "y"))]
    return graph
  }

  @Test(arguments: [(1 << 20, Int?.some(1 << 20)), (1 << 40, nil)])
  func refusesWhatTakesMoreMemoryThanThereIs(_ rows: Int, _ limit: Int?) throws {
    let model = try Model(graph: Self.repeating(rows), options: .init(memoryLimit: limit))
    let error = #expect(throws: KilnError.self) { try model.predict(Tensor([1, 2, 3] as [Float], shape: [1, 1, 3])) }
    #expect(error?.code == .failed)
    #expect(error?.line.contains("MiB; \(limit == nil ? "the machine has" : "the limit is 1024 KiB")") == true, "\(error?.line ?? "")")
    #expect(error?.line.contains("'wide'") == true || error?.line.contains("'sines'") == true, "\(error?.line ?? "")")
  }

  @Test func aLimitLeavesAloneWhatFits() throws {
    let model = try Model(graph: Self.repeating(1000), options: .init(memoryLimit: 100_000))
    #expect(try model.predict(Tensor([1, 2, 3] as [Float], shape: [1, 1, 3])).shape == [1])
    #expect(throws: KilnError.self) { try model.predict(Tensor([Float](repeating: 1, count: 30), shape: [10, 1, 3])) }
  }

  @Test func convertsNumbers() throws {
    let model = try Model(graph: Self.graph(withIntegers: true))
    let x = try Tensor([1, 2, 3] as [Int64], shape: [1, 3])
    let n = try Tensor([7] as [Double], shape: [1])
    let outputs = try model.predict(["x": x, "n": n])
    #expect(outputs[0].tensor.floats == [3, 6, 9])
    #expect(outputs[2].tensor.integers == [-7])
    for bad in [try Tensor([7.5] as [Double], shape: [1]), try Tensor([1 << 40] as [Int64], shape: [1])] {
      #expect(throws: KilnError.self) { try model.predict(["x": x, "n": bad]) }
    }
  }

  @Test func batchesGiveTheSameAsOneRun() throws {
    var random = TestRandom(named: "batches")
    let model = try Model(graph: Self.graph(withIntegers: true))
    let rows = 23
    let x = try Tensor((0..<rows * 3).map { _ in Float.random(in: -1...1, using: &random) }, shape: [rows, 3])
    let n = try Tensor((0..<rows).map { Int32($0) }, shape: [rows])
    let whole = try model.predict([x, n])
    for size in [1, 5, 22, 23, 100] { #expect(try model.predict([x, n], batchSize: size) == whole) }
    #expect(throws: KilnError.self) { try model.predict([x, n], batchSize: 0) }
  }

  /// Batches that run at once on a device come back in their order; wrong data in one of them end all.
  @Test(arguments: [1, 2, 3]) func batchesAtOnce(lanes: Int) throws {
    guard !doctor().gpuDevices[0].hasPrefix("none") else { return }
    var graph = try Self.graph(withIntegers: true)
    let table = graph.addConstant("table", try Tensor((0..<40).map { Float($0) }, shape: [40]))
    graph.outputs.append(Graph.Output(name: "t", value: try graph.addOne(Gather(axis: 0), [table, graph.inputs[1]], name: "t")))
    var device = DeviceOptions(.auto)
    (device.ignoresCost, device.acceptsProcessors, device.lanes) = (true, true, lanes)
    let model = try Model(graph: graph, options: .init(threads: 1, device: device))
    let rows = 37
    let x = try Tensor((0..<rows * 3).map { Float($0) }, shape: [rows, 3])
    func numbers(_ wrong: Int?) throws -> Tensor { try Tensor((0..<rows).map { Int32($0 == wrong ? 99 : $0) }, shape: [rows]) }
    let whole = try model.predict([x, numbers(nil)])
    for size in [1, 3, 36] { #expect(try model.predict([x, numbers(nil)], batchSize: size) == whole) }
    let error = #expect(throws: KilnError.self) { try model.predict([x, numbers(20)], batchSize: 2) }
    #expect(error?.code == .badInput, "\(error?.line ?? "")")
    #expect(try model.predict([x, numbers(nil)], batchSize: 4) == whole)
  }

  @Test func mistakesAreNamed() throws {
    let model = try Model(graph: Self.graph(withIntegers: true))
    let x = try Tensor([1, 2, 3] as [Float], shape: [1, 3])
    let n = try Tensor([7] as [Int32], shape: [1])
    func line(_ body: () throws -> Void) -> String {
      do { try body() } catch let error as KilnError { return error.line } catch { return "\(error)" }
      return "no error"
    }
    #expect(line { _ = try model.predict(["x": x]) } == "input 'n' is missing: expected int32[?]")
    #expect(line { _ = try model.predict(["x": x, "n": n, "q": n]) } == "the model has no input 'q' (inputs: x, n)")
    #expect(line { _ = try model.predict(x) } == "the model has 2 inputs, found 1 (inputs: x, n)")
    let flat = try Tensor([1, 2, 3] as [Float], shape: [3])
    #expect(
      line { _ = try model.predict(["x": flat, "n": n]) }
        == "input 'x': expected float32[?,3], found float32[3] (one sample needs a leading axis of 1: [1,3])")
    let two = try Tensor([1, 2] as [Int32], shape: [2])
    #expect(line { _ = try model.predict(["x": x, "n": two]) } == "input 'n': 'batch' is 2 here and 1 in another input")
  }

  @Test func sessionsAllocateNothing() throws {
    let model = try Model(graph: Self.graph(), options: .init(threads: 1))
    let session = try model.session(shapes: ["x": [1, 3]])
    session.inputBytes(0).bindMemory(to: Float.self).update(repeating: 2)
    try session.run()
    let before = malloc_count()
    for _ in 0..<20 { try session.run() }
    let count = malloc_count() - before
    #expect(count == 0)
    #expect(Array(session.outputBytes(0).bindMemory(to: Float.self)) == [5, 6, 7])
    var own: [Float] = [0, 1, 2]
    var sum: [Float] = [0]
    try own.withUnsafeMutableBytes { input in
      try sum.withUnsafeMutableBytes { output in
        try session.bindInput(0, to: input)
        try session.bindOutput(1, to: output)
        try session.run()
      }
    }
    #expect(sum == [12])
    #expect(throws: KilnError.self) { try model.session() }
  }

  @Test func doctorKnowsTheMachine() {
    let report = doctor()
    #expect(["scalar", "avx2", "avx512"].contains(report.instructionSet))
    #expect(report.threads >= 1)
    #expect(report.kernels.contains("conv"))
  }

  @Test func profileTimesEveryNode() throws {
    let model = try Model(graph: Self.graph())
    let profile = try model.profile([Tensor([1, 2, 3] as [Float], shape: [1, 3])], repeats: 2)
    #expect(profile.nodes.count >= 2)
    #expect(profile.nodes.allSatisfy { $0.nanoseconds >= 0 && !$0.kernel.isEmpty })
  }
}

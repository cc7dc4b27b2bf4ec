import Foundation
import GPURuntime
import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Every variant of the kernels for products and convolutions, against the op's definition in Double.
@Suite(.enabled(if: TestDevice.isThere)) struct VariantTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var op: any OpDefinition
    var shapes: [Shape]
    /// Constant operands, as a model's weights are.
    var constants: Set<Int> = [1]
    var testDescription: String { name }
  }

  private static let full = Epilogue(bias: true, residual: true, activation: Activation(.relu))

  static let cases: [Case] = [
    Case(name: "odd product", op: MatMul(), shapes: [[131, 37], [37, 133]]),
    Case(name: "aligned product", op: MatMul(epilogue: full), shapes: [[132, 72], [72, 136], [136], [132, 136]]),
    Case(name: "both transposed", op: MatMul(transposeA: true, transposeB: true), shapes: [[40, 68], [72, 40]], constants: []),
    Case(name: "odd transposed", op: MatMul(transposeA: true, transposeB: true), shapes: [[41, 67], [71, 41]], constants: []),
    Case(name: "batches", op: MatMul(), shapes: [[2, 3, 65, 66], [2, 3, 66, 34]], constants: []),
    Case(name: "few rows", op: MatMul(), shapes: [[3, 520], [520, 130]]),
    Case(name: "one row", op: MatMul(epilogue: Epilogue(bias: true)), shapes: [[1, 1030], [1030, 64], [64]]),
    Case(name: "long sum", op: MatMul(epilogue: full), shapes: [[9, 1200], [1200, 20], [20], [9, 20]]),
    Case(name: "odd convolution", op: Conv(strides: [2, 1], padding: .same, epilogue: full), shapes: [[2, 13, 11, 5], [3, 4, 5, 7], [7], [2, 7, 11, 7]]),
    Case(
      name: "dilated groups", op: Conv(strides: [1, 1], dilations: [2, 3], padding: .same, groups: 2, epilogue: full),
      shapes: [[1, 14, 15, 16], [3, 3, 8, 48], [48], [1, 14, 15, 48]]),
    Case(
      name: "depthwise", op: Conv(strides: [1, 1], padding: .same, groups: 32, epilogue: full),
      shapes: [[2, 9, 11, 32], [3, 3, 1, 32], [32], [2, 9, 11, 32]]),
    Case(
      name: "depthwise, strides", op: Conv(strides: [2, 2], dilations: [1, 1], padding: .same, groups: 19, epilogue: Epilogue(bias: true)),
      shapes: [[1, 12, 13, 19], [5, 3, 1, 19], [19]]),
    Case(
      name: "depthwise, multiplier", op: Conv(strides: [1, 1], dilations: [1, 2], padding: .same, groups: 7),
      shapes: [[1, 6, 9, 7], [3, 3, 1, 21]]),
    Case(name: "volume", op: Conv(strides: [1, 2, 1], padding: .valid, epilogue: full), shapes: [[1, 4, 9, 6, 8], [2, 3, 2, 8, 12], [12], [1, 3, 4, 5, 12]]),
    Case(name: "taps of a line", op: Conv(strides: [1], padding: .same, epilogue: full), shapes: [[2, 150, 12], [11, 12, 20], [20], [2, 150, 20]]),
    Case(name: "winograd", op: Conv(strides: [1, 1], padding: .same, epilogue: full), shapes: [[2, 11, 14, 16], [3, 3, 16, 33], [33], [2, 11, 14, 33]]),
    Case(name: "winograd, valid", op: Conv(strides: [1, 1], padding: .valid, epilogue: full), shapes: [[1, 10, 9, 17], [3, 3, 17, 32], [32], [1, 8, 7, 32]]),
  ]

  private func graph(_ example: Case) throws -> (graph: Graph, feed: [Tensor]) {
    var random = TestRandom(named: "variants of \(example.name)")
    var graph = Graph(name: "variants")
    var feed: [Tensor] = []
    let operands = try example.shapes.enumerated().map { index, shape in
      let tensor = try random.tensor(TensorType(.float32, shape: shape))
      if example.constants.contains(index) { return graph.addConstant("w\(index)", tensor) }
      feed.append(tensor)
      return try graph.addInput("x\(index)", TensorType(.float32, shape: shape))
    }
    graph.outputs = [Graph.Output(name: "y", value: try graph.addOne(example.op, operands, name: "y"))]
    return (graph, feed)
  }

  private func backend(vectors: Bool, exact: Bool = false, precision: GPUPrecision = .float32, _ tuning: GPUTuning, report: (@Sendable (String) -> Void)? = nil) throws -> GPUBackend {
    try GPUBackend(
      #require(TestDevice.device),
      options: .init(precision: precision, isStrict: true, prefersVectors: vectors, ignoresCost: true, exact: exact, tuning: tuning, report: report))
  }

  @Test(arguments: cases, [true, false]) func everyVariant(_ example: Case, vectors: Bool) throws {
    let (graph, feed) = try graph(example)
    let expected = try #require(ReferenceBackend.run(graph, feed).first)
    let largest = max(1, expected.doubles.map(\.magnitude).max() ?? 1)
    var seen: Set<String> = []
    for number in 0..<24 {
      let (outputs, plan) = try run(graph, feed, try backend(vectors: vectors, GPUTuning(seconds: 0, number: number)))
      let kernel = plan.report.nodes[0].deviceNodes[0].kernel
      if !seen.insert(kernel).inserted { break }
      let tolerance = kernel.contains("winograd") ? 1e-4 : 2e-6
      #expect(firstDifference(outputs[0], expected, relative: 1e-5, absolute: tolerance * largest) == nil, "\(kernel)")
    }
    #expect(seen.count > 1 || example.name == "one row" || example.name == "odd convolution", "\(seen)")
    let isWinograd = example.name.hasPrefix("winograd")
    #expect(seen.contains { $0.contains("winograd 4x4") } == isWinograd && seen.contains { $0.contains("winograd 2x2") } == isWinograd)
  }

  @Test(arguments: [true, false]) func exactSumsHaveNoWinograd(vectors: Bool) throws {
    let (graph, feed) = try graph(try #require(Self.cases.first { $0.name == "winograd" }))
    for number in 0..<24 {
      let plan = try PlanBuilder.plan(
        graph, shapes: feed.map(\.shape), options: PlanOptions(device: try backend(vectors: vectors, exact: true, GPUTuning(seconds: 0, number: number))))
      #expect(!plan.report.nodes[0].deviceNodes[0].kernel.contains("winograd"))
    }
  }

  /// CLBlast's products beside ours, with an epilogue, transposed and in batches.
  @Test(.enabled(if: CLBlast.isThere, "libclblast.so.1 is not installed (Debian: libclblast1)"))
  func productsByCLBlast() throws {
    let cases = [
      Case(name: "epilogue", op: MatMul(epilogue: Self.full), shapes: [[301, 300], [300, 290], [290], [301, 290]]),
      Case(name: "transposed", op: MatMul(transposeA: true, transposeB: true), shapes: [[300, 301], [290, 300]], constants: []),
      Case(name: "batches", op: MatMul(), shapes: [[3, 201, 220], [3, 220, 210]], constants: []),
    ]
    for example in cases {
      let (graph, feed) = try graph(example)
      let expected = try ReferenceBackend.run(graph, feed)
      var isSeen = false
      for number in 0..<24 {
        let backend = try backend(vectors: true, GPUTuning(seconds: 0, number: number))
        let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(device: backend))
        guard plan.report.nodes[0].deviceNodes[0].kernel.contains("clblast") else { continue }
        let executor = Executor(plan, pool: .single)
        for _ in 0..<2 { #expect(firstDifference(try executor.run(feed)[0], expected[0], relative: 1e-5, absolute: 1e-3) == nil, "\(example.name)") }
        isSeen = true
        break
      }
      #expect(isSeen, "\(example.name)")
    }
  }

  @Test func timingChoosesOnceAndIsKept() throws {
    let (graph, feed) = try graph(Case(name: "timed", op: MatMul(), shapes: [[150, 160], [160, 170]]))
    let expected = try ReferenceBackend.run(graph, feed)
    let device = try #require(TestDevice.device)
    let context = try GPUContext(device)
    let notes = Notes()
    var kernels: [String] = []
    for _ in 0..<2 {
      let backend = try GPUBackend(
        device, options: .init(isStrict: true, ignoresCost: true, tuning: GPUTuning(seconds: 30), report: { notes.add($0) }), context: context)
      let (outputs, plan) = try run(graph, feed, backend)
      #expect(firstDifference(outputs[0], expected[0], relative: 1e-5, absolute: 1e-4) == nil)
      kernels.append(plan.report.nodes[0].deviceNodes[0].kernel)
      #expect(plan.report.nodes[0].deviceNodes[0].reason.contains("as timed"))
    }
    #expect(kernels[0] == kernels[1])
    // At most the first was timed: an earlier run of this test may have left the choice on disk.
    #expect(notes.lines.count <= 1 && notes.lines.allSatisfy { $0.hasPrefix("note: timed kernels for 1 shape ") })
  }

  @Test func tablesAreKeptAndDamagedOnesIgnored() throws {
    let device = try #require(TestDevice.device)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kiln-tuning-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let table = TuningTable(device, folder: folder.path)
    table["matmul 1 2 3"] = "a tile"
    table.save()
    // Another process adds its own.
    let other = TuningTable(device, folder: folder.path)
    #expect(other["matmul 1 2 3"] == "a tile" && other["matmul 4"] == nil)
    other["matmul 4"] = "rows"
    other.save()
    table["conv 5"] = "winograd"
    table.save()
    let all = TuningTable(device, folder: folder.path)
    #expect(all["matmul 1 2 3"] == "a tile" && all["matmul 4"] == "rows" && all["conv 5"] == "winograd")
    let file = try #require(FileManager.default.contentsOfDirectory(atPath: folder.path).first)
    let path = folder.appendingPathComponent(file)
    var bytes = try Data(contentsOf: path)
    bytes[bytes.count - 3] ^= 1
    try bytes.write(to: path)
    #expect(TuningTable(device, folder: folder.path)["matmul 4"] == nil)
    try Data("garbage".utf8).write(to: path)
    #expect(TuningTable(device, folder: folder.path)["conv 5"] == nil)
  }
}

private final class Notes: @unchecked Sendable {
  private let lock = NSLock()
  private var kept: [String] = []
  var lines: [String] { lock.withLock { kept } }
  func add(_ line: String) { lock.withLock { kept.append(line) } }
}

import GraphModule
import GraphOptimizer
import ModelFormats
import TensorModule
import Testing
import TestSupport

/// Loops and conditions of TensorFlow become `loop`, `branch` and, where they are recurrent layers, `rnn`.
@Suite struct TensorFlowLoopTests {
  private typealias G = GraphBytes

  private static func ops(_ graph: Graph) -> [String] { graph.allGraphs.flatMap { $0.nodes.map(\.op.opName) } }

  // MARK: Files of TensorFlow

  /// The optimized graph has the ops, and gives what TensorFlow gave.
  @Test(arguments: [
    ("tf1.15_loop_dynamic_lstm_lengths", ["rnn"], ["loop"]), ("tf2.13_loop_lstm_masked", ["rnn"], ["loop"]),
    ("tf2.13_loop_gru_lowered", ["rnn"], ["loop"]), ("tf1.15_loop_raw_rnn", ["loop"], []), ("tf1.15_loop_greedy_decoder", ["loop"], []),
    ("tf1.15_loop_in_branch_in_loop", ["loop", "branch"], []), ("tf1.15_loop_list_grows", ["loop"], []),
    ("tf2.21_loop_autograph_collect", ["loop"], []),
  ])
  func becomes(_ name: String, _ wanted: [String], _ unwanted: [String]) throws {
    let fixture = FixtureCase(folder: "\(FixtureCase.root)/fixtures/tensorflow-containers/\(name)", name: name)
    let json = try fixture.json()
    var options = ImportOptions()
    options.outputs = json["outputs"]?.arrayValue?.compactMap { $0["tensor"]?.stringValue } ?? []
    let read = try ModelImporter.read(path: "\(fixture.folder)/model.pb", options: options).graph
    let graph = try Optimizer.run(read, .portable).graph
    try Verifier.verify(graph)
    let ops = Self.ops(graph)
    for op in wanted { #expect(ops.contains(op), "no \(op)") }
    for op in unwanted { #expect(!ops.contains(op), "\(op) is left") }
    let given = try fixture.arrays(json, "inputs")
    let expected = try fixture.arrays(json, "outputs")
    let inputs = try graph.inputs.map { input in
      try #require(given.count == 1 ? given.first : given.first { $0.name == graph[input].name }, "no input \(graph[input].name)").tensor
    }
    let got = try ReferenceBackend.run(graph, inputs)
    for (index, (output, wanted)) in expected.enumerated() {
      let tolerance = Tolerance(absolute: 1e-4 * max(1, wanted.doubles.map(\.magnitude).max() ?? 1), relative: 0)
      let difference = try TensorDifference.between(try got[index].converted(to: wanted.dtype), wanted, tolerance)
      #expect(difference.outside == 0, "\(output): \(difference.outside) of \(wanted.count) differ")
    }
  }

  // MARK: Graphs made here

  private static let int = G.field(6, int: 3)

  private static func integer(_ name: String, _ value: UInt64) -> [UInt8] {
    G.node(name, "Const", [], [("dtype", int), ("value", G.field(8, G.field(1, int: 3) + G.field(2, []) + G.field(7, int: value)))])
  }

  /// A function whose arguments and results have the given types (1 float, 3 int32, 10 bool).
  private static func function(
    _ name: String, _ arguments: [(String, UInt64)], _ results: [(String, UInt64, String)], _ nodes: [[UInt8]]
  ) -> [UInt8] {
    var signature = G.field(1, name)
    for (argument, type) in arguments { signature += G.field(2, G.field(1, argument) + G.field(3, int: type)) }
    for (result, type, _) in results { signature += G.field(3, G.field(1, result) + G.field(3, int: type)) }
    var out = G.field(1, signature)
    // A node in a GraphDef is field 1, in a function field 3.
    for node in nodes { out += [0x1A] + node.dropFirst() }
    for (result, _, reference) in results { out += G.field(4, G.field(1, result) + G.field(2, reference)) }
    return G.field(1, out)
  }

  /// x ← x · x while `condition` holds, with a counter i.
  private static func loop(condition: [[UInt8]], test: String, next: String = "sum:z:0", bodyArguments: [(String, UInt64)] = [("i", 3), ("a", 1)]) -> [UInt8] {
    let library = function("cond", [("i", 3), ("a", 1)], [("go", 10, test)], condition)
      + function(
        "body", bodyArguments, [("i2", 3, next), ("a2", 1, "square:y:0")],
        [integer("one", 1), G.node("sum", "AddV2", ["i", "one:output:0"]), G.node("square", "Square", ["a"])])
    func name(_ function: String) -> [UInt8] { G.field(10, G.field(1, function)) }
    return G.placeholder("x", [2]) + integer("zero", 0) + G.node("loop", "While", ["zero", "x"], [("cond", name("cond")), ("body", name("body"))])
      + G.node("y", "Identity", ["loop:1"]) + G.field(2, library)
  }

  private static func read(_ bytes: [UInt8]) throws -> Graph { try G.withFile(bytes) { try ModelImporter.read(path: $0).graph } }

  /// A long loop is one node, however often it runs.
  @Test func longLoopsAreNotWrittenOut() throws {
    let graph = try Self.read(Self.loop(condition: [Self.integer("n", 5000), G.node("less", "Less", ["i", "n:output:0"])], test: "less:z:0"))
    #expect(graph.nodes.count < 10)
    let loop = try #require(graph.nodes.compactMap { $0.op as? Loop }.first)
    #expect(loop.maxTrips == 5000 && loop.condition == nil && loop.carried == 1)
    #expect(try ReferenceBackend.run(graph, [Tensor([1, -1] as [Float], shape: [2])])[0].floats == [1, 1])
  }

  @Test func shortLoopsAreWrittenOut() throws {
    let graph = try Self.read(Self.loop(condition: [Self.integer("n", 3), G.node("less", "Less", ["i", "n:output:0"])], test: "less:z:0"))
    #expect(!Self.ops(graph).contains("loop"))
    #expect(try ReferenceBackend.run(graph, [Tensor([2, 1] as [Float], shape: [2])])[0].floats == [256, 1])
  }

  /// A loop that is not run gives what it is given.
  @Test func loopsOfNoIterations() throws {
    let graph = try Self.read(Self.loop(condition: [Self.integer("n", 0), G.node("less", "Less", ["i", "n:output:0"])], test: "less:z:0"))
    #expect(!Self.ops(graph).contains("loop"))
  }

  @Test(arguments: [
    ("always true", loop(condition: [G.node("yes", "Const", [], [("dtype", G.field(6, int: 10)), ("value", G.field(8, G.field(1, int: 10) + G.field(2, []) + G.field(11, [1])))])], test: "yes:output:0"), "it never ends"),
    ("no such result", loop(condition: [integer("n", 5), G.node("less", "Less", ["i", "n:output:0"])], test: "nowhere:z:0"), "there is no tensor"),
    ("arity", loop(condition: [integer("n", 5), G.node("less", "Less", ["i", "n:output:0"])], test: "less:z:0", bodyArguments: [("i", 3)]), "do not take its 2 variables"),
    ("kinds", loop(condition: [integer("n", 5000), G.node("less", "Less", ["i", "n:output:0"])], test: "less:z:0", next: "square:y:0"), "becomes float32[2]"),
    ("condition is no bool", loop(condition: [G.node("twice", "AddV2", ["a", "a"])], test: "twice:z:0"), "the condition of a loop gives float32[2]"),
  ])
  func saysWhatIsWrong(_ name: String, _ bytes: [UInt8], _ message: String) throws {
    do {
      _ = try Self.read(bytes)
      Issue.record("\(name) was read without an error")
    } catch let error as KilnError {
      #expect(error.line.contains(message), "\(name): \(error.line)")
      #expect(error.code == .badInput || error.code == .unsupportedModel)
    }
  }

  /// A body that loops over itself is refused before it fills the memory.
  @Test func recursiveBodiesEnd() throws {
    func name(_ function: String) -> [UInt8] { G.field(10, G.field(1, function)) }
    let inner = (0..<3).map { G.node("w\($0)", "While", [$0 == 0 ? "a" : "w\($0 - 1):output:0"], [("cond", name("cond")), ("body", name("body"))]) }
    let library = Self.function("cond", [("a", 1)], [("go", 10, "less:z:0")], [G.node("less", "IsFinite", ["a"])])
      + Self.function("body", [("a", 1)], [("b", 1, "w2:output:0")], inner)
    let bytes = G.placeholder("x", []) + G.node("y", "While", ["x"], [("cond", name("cond")), ("body", name("body"))]) + G.field(2, library)
    do {
      _ = try Self.read(bytes)
      Issue.record("was read without an error")
    } catch let error as KilnError {
      #expect(error.code == .badInput || error.code == .unsupportedModel)
    }
  }

  /// A condition on data runs one side.
  @Test func conditionsBecomeBranches() throws {
    func name(_ function: String) -> [UInt8] { G.field(10, G.field(1, function)) }
    let library = Self.function("then", [("a", 1)], [("b", 1, "n:y:0")], [G.node("n", "Neg", ["a"])])
      + Self.function("else", [("a", 1)], [("b", 1, "n:y:0")], [G.node("n", "Square", ["a"])])
    let bytes = G.placeholder("x", [2]) + G.node("axis", "Const", [], [("dtype", Self.int), ("value", G.field(8, G.field(1, int: 3) + G.field(2, G.shape([1])) + G.field(7, int: 0)))])
      + G.node("sum", "Sum", ["x", "axis"]) + G.node("zero", "ZerosLike", ["sum"]) + G.node("test", "Less", ["sum", "zero"])
      + G.node("y", "If", ["test", "x"], [("then_branch", name("then")), ("else_branch", name("else"))]) + G.field(2, library)
    let graph = try Self.read(bytes)
    #expect(graph.nodes.contains { $0.op is Branch })
    #expect(try ReferenceBackend.run(graph, [Tensor([-3, 1] as [Float], shape: [2])])[0].floats == [3, -1])
    #expect(try ReferenceBackend.run(graph, [Tensor([3, 1] as [Float], shape: [2])])[0].floats == [9, 1])
  }
}

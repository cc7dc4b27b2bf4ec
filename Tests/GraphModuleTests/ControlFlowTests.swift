import GraphModule
import TensorModule
import Testing

/// Graphs inside graphs: the text form, the verifier, types.
@Suite struct ControlFlowTests {
  /// A loop in a branch in a loop …, `depth` deep, each adding 1 in its body.
  static func nested(_ depth: Int) throws -> Graph {
    var graph = Graph(name: "level \(depth)")
    let isInner = depth > 0
    let number = isInner ? graph.declareInput("i", TensorType(.int64, [])) : nil
    let x = graph.declareInput("x", TensorType(.float32, [.symbol("n")]))
    let one = graph.addConstant("one", try Tensor([1] as [Float], shape: []))
    var y = try graph.addOne(Elementwise(.add), [x, one], name: "y", scope: "add", device: depth == 1 ? "/device:GPU:0" : "")
    _ = number
    if depth < maximum {
      let body = try nested(depth + 1)
      y = try graph.add(Loop(carried: 1, maxTrips: depth < 3 ? 2 : 1, body: body), [y], name: "loop")[0]
    }
    graph.outputs = [.init(name: "y", value: y)]
    return graph
  }

  @TaskLocal static var maximum = 4

  @Test func nestedGraphsPrintAndParseBack() throws {
    let graph = try Self.nested(0)
    try Verifier.verify(graph)
    let text = TextForm.print(graph)
    let parsed = try TextForm.parse(text)
    #expect(parsed == graph)
    #expect(TextForm.print(parsed) == text)
    #expect(text.contains("on \"/device:GPU:0\""))
    #expect(graph.allGraphs.map(\.name) == (0...4).map { "level \($0)" })
    // 1 at the top, then twice: 1 more and twice 1 more and twice (1 + 1 + 1).
    let result = try ReferenceBackend.run(graph, [Tensor([0] as [Float], shape: [1])])[0].floats
    #expect(result == [23])
  }

  /// Constants whose values are not in the text are asked for by a name that tells the subgraphs apart.
  @Test func constantsOfSubgraphsHaveTheirOwnNames() throws {
    let graph = try Self.nested(0)
    let text = TextForm.print(graph, inlineConstants: false)
    var names: [String] = []
    let parsed = try TextForm.parse(text) { name, _ in
      names.append(name)
      return try Tensor([1] as [Float], shape: [])
    }
    #expect(names == ["one"] + (1...4).map { "kiln.graph/\($0)/one" })
    #expect(parsed == graph)
  }

  @Test func depthIsLimited() throws {
    let deep = try Self.$maximum.withValue(64) { try Self.nested(0) }
    try Verifier.verify(deep)
    #expect(try TextForm.parse(TextForm.print(deep)) == deep)
    let deeper = try Self.$maximum.withValue(65) { try Self.nested(0) }
    #expect(throws: KilnError.self) { try Verifier.verify(deeper) }
    #expect(throws: KilnError.self) { try TextForm.parse(TextForm.print(deeper)) }
    let brackets = String(repeating: "graph \"g\" { %y: float32[] = branch() {branches: [", count: 100_000)
    #expect(throws: KilnError.self) { try TextForm.parse(brackets) }
  }

  @Test func faultsInSubgraphsAreFound() throws {
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let x = body.declareInput("x", TensorType(.float32, [2]))
    let y = try body.addOne(Elementwise(.neg), [x], name: "y")
    body.outputs = [.init(name: "y", value: y)]
    body.setType(TensorType(.float32, [3]), of: y)
    var graph = Graph(name: "outer")
    let input = try graph.addInput("x", TensorType(.float32, [2]))
    let result = try graph.add(Loop(carried: 1, maxTrips: 2, body: body), [input], name: "loop")[0]
    graph.outputs = [.init(name: "y", value: result)]
    let error = #expect(throws: KilnError.self) { try Verifier.verify(graph) }
    #expect(error?.line.contains("loop") == true)
  }

  /// Each text is refused with a message that says what is wrong.
  @Test(arguments: [
    ("%y: float32[2], %t: int64[] = loop(%x) {carried: 1, sliced: 0, max_trips: none, condition: none, body: BODY}", "nothing ends"),
    ("%y: float32[2], %t: int64[] = loop(%x) {carried: 2, sliced: 0, max_trips: 1, condition: none, body: BODY}", "carried"),
    ("%y: float32[2], %t: int64[] = loop(%x) {carried: -1, sliced: 9223372036854775807, max_trips: 1, condition: none, body: BODY}", "carried"),
    ("%y: float32[2], %t: int64[] = loop(%x, %x) {carried: 1, sliced: 0, max_trips: 1, condition: none, body: BODY}", "inputs"),
    ("%y: float32[2], %t: int64[] = loop(%x) {carried: 1, sliced: 0, max_trips: 1, condition: BODY, body: BODY}", "condition"),
    ("%y: float32[2] = branch(%x, %x) {branches: [BODY]}", "selector"),
    ("%y: float32[2] = branch(%b, %x) {branches: []}", "graphs"),
    ("%y: float32[2] = branch(%b, %b, %x) {branches: [BODY]}", "graphs"),
  ])
  func wrongSignatures(_ line: String, _ word: String) throws {
    let body = """
      graph "body" {
        input %i: int64[]
        input %x: float32[n]
        output "x" = %x
      }
      """
    let text = """
      graph "g" {
        input %x: float32[2]
        input %b: bool[]
        \(line.split(separator: "BODY", omittingEmptySubsequences: false).joined(separator: body))
      }
      """
    let error = #expect(throws: KilnError.self) { try TextForm.parse(text) }
    #expect(error?.code == .badInput && error?.line.contains(word) == true, "\(error?.line ?? "")")
  }

  @Test func loopsThatDoNotEndAreStopped() throws {
    var forever = Graph(name: "condition")
    _ = forever.declareInput("i", TensorType(.int64, []))
    _ = forever.declareInput("x", TensorType(.float32, []))
    let yes = forever.addConstant("yes", try Tensor(integers: [1], dtype: .bool, shape: []))
    forever.outputs = [.init(name: "yes", value: yes)]
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let x = body.declareInput("x", TensorType(.float32, []))
    body.outputs = [.init(name: "x", value: x)]
    var graph = Graph(name: "forever")
    let input = try graph.addInput("x", TensorType(.float32, []))
    let result = try graph.add(Loop(carried: 1, condition: forever, body: body), [input], name: "loop")[0]
    graph.outputs = [.init(name: "y", value: result)]
    let feed = [try Tensor([1] as [Float], shape: [])]
    #expect(throws: KilnError.self) { try LoopLimit.$reference.withValue(1000) { try ReferenceBackend.run(graph, feed) } }
  }
}

import GraphModule
import TensorModule
import Testing

/// The text form prints every graph and reads it back equal; bad text is an error, never a trap.
@Suite struct TextFormTests {
  @Test(arguments: Case.all)
  func oneOp(_ test: Case) throws {
    let graph = try Graph.of(test.example.op, test.example.inputs)
    let text = TextForm.print(graph)
    let parsed = try TextForm.parse(text)
    #expect(parsed == graph)
    #expect(TextForm.print(parsed) == text)
    #expect(parsed.nodes[0].op.isEqual(to: test.example.op))
  }

  /// Names that files may hold.
  static let names = [
    "", "x", "block1/conv1", "block1_conv1/Relu:0", "a b", "\"", "\\", "\n", "tab\there", "ä€🙂", "%x", "1abc", "-", "{",
    "inf",
    "true", "none", "floor", "graph", "input", "\u{7F}\u{0}", "\u{202E}rtl", "e\u{301}", "#comment", "@", "x:1", "a,b",
    "a=b",
  ]

  /// A graph of random ops, each fed by inputs, constants or values that fit, under odd names.
  static func graph(_ random: inout Random) throws -> Graph {
    var graph = Graph(name: random.pick(names))
    for _ in 0..<random.int(0...3) { graph.metadata[random.pick(names)] = random.pick(names) }
    for _ in 0..<random.int(1...6) {
      let example = random.pick(random.pick(OpCatalog.all).examples)
      let operands = random.operands(example)
      var ids: [ValueID] = []
      for (type, value) in zip(example.inputs, operands) {
        let fits = graph.values.indices.filter { graph.values[$0].type == type }
        if !fits.isEmpty && random.chance(40) {
          ids.append(ValueID(random.pick(fits)))
        } else if type.elementCount.fixed ?? 0 <= TextForm.inlineLimit {
          ids.append(graph.addConstant(random.pick(names), try value.tensor()))
        } else {
          let name = random.pick(names) + String(graph.values.count)
          ids.append(try graph.addInput(graph.value(named: name) == nil ? name : "free \(graph.values.count)", type))
        }
      }
      let results = try graph.add(example.op, ids, name: random.pick(names), scope: random.pick(names))
      graph.outputs.append(.init(name: "\(random.pick(names)) \(graph.outputs.count)", value: random.pick(results)))
    }
    return graph
  }

  @Test func randomGraphs() throws {
    var random = Random(Random.seed)
    for _ in 0..<300 {
      let graph = try Self.graph(&random)
      try Verifier.verify(graph)
      let text = TextForm.print(graph)
      let parsed = try TextForm.parse(text)
      #expect(parsed == graph, "seed \(Random.seed)")
      #expect(TextForm.print(parsed) == text, "seed \(Random.seed)")
      #expect(TextForm.print(graph.compacted(keepDeadNodes: true)) == text, "seed \(Random.seed)")
    }
  }

  @Test(arguments: DType.allCases)
  func constantsOfEveryDType(_ dtype: DType) throws {
    var graph = Graph(name: "constants")
    let tensors: [Tensor]
    if dtype == .string {
      tensors = [Tensor(strings: ["", "\"\\\n", "ä🙂", ByteString([0xC3, 0x28, 0xFF, 0x5C, 0x78, 0])], shape: [4]), Tensor(strings: [], shape: [0])]
    } else if let range = dtype.integerRange {
      tensors = [
        try Tensor(integers: [range.lowerBound, range.upperBound, 0, 1], dtype: dtype, shape: [2, 2]),
        try Tensor(integers: [1], dtype: dtype, shape: []),
      ]
    } else {
      tensors = [
        try Tensor(converting: [0, -0.0, 1, -1.5, .nan, .infinity, -.infinity, -.nan], to: dtype, shape: [8]),
        try Tensor(converting: [1e-45, 0.1, 3.4e38, 5e-324, 65504], to: dtype, shape: [5]),
        try Tensor(converting: [], to: dtype, shape: [2, 0]),
      ]
    }
    for tensor in tensors {
      let id = graph.addConstant("c", tensor)
      graph.outputs.append(.init(name: "\(graph.outputs.count)", value: id))
    }
    let parsed = try TextForm.parse(TextForm.print(graph))
    #expect(parsed == graph)
    #expect(parsed.outputs.map { parsed.constants[$0.value] } == tensors)
  }

  @Test func largeConstantsComeFromTheResolver() throws {
    var graph = Graph(name: "large")
    let tensor = try Tensor((0..<9).map(Float.init), shape: [9])
    graph.outputs = [.init(name: "c", value: graph.addConstant("c", tensor))]
    let text = TextForm.print(graph)
    #expect(!text.contains("[0.0"))
    #expect(throws: KilnError.self) { try TextForm.parse(text) }
    #expect(try TextForm.parse(text) { _, _ in tensor } == graph)
    #expect(throws: KilnError.self) { try TextForm.parse(text) { _, _ in try Tensor([Float(1)], shape: [1]) } }
  }

  @Test func differencesAreSeen() throws {
    let graph = try Graph.of(Pad(low: [1], high: [0], value: 0), [TensorType(.float32, [3])])
    #expect(try graph != Graph.of(Pad(low: [1], high: [0], value: -0.0), [TensorType(.float32, [3])]))
    #expect(try graph != Graph.of(Pad(low: [0], high: [1], value: 0), [TensorType(.float32, [3])]))
    let undefined = try Graph.of(Pad(low: [1], high: [0], value: .nan), [TensorType(.float32, [3])])
    #expect(undefined == undefined)
    var renamed = graph
    renamed.outputs[0].name = "other"
    #expect(renamed != graph)
    var scoped = graph
    scoped.nodes[0].scope = "block"
    #expect(scoped != graph)
    var noted = graph
    noted.metadata["framework"] = "keras"
    #expect(noted != graph)
  }

  static let sample = """
    graph "sample" {
      meta framework = "keras"  # where from
      input %x: float32[batch,4]
      const %w: float32[4,2] = [1, 2.5, -inf, nan, 5e-3, 6, 7, -0.0]
      %y: float32[batch,2] = matmul(%x, %w) {transpose_a: false, transpose_b: false} @dense
      %z: float32[batch,2] = softmax(%y) {axis: -1, log: false}
      output "out" = %z
    }
    """

  @Test(arguments: [
    ("float32[batch,2] = matmul", "float32[batch,3] = matmul", "line 5"), ("matmul", "matmal", "unknown op 'matmal'"),
    ("%x, %w", "%x, %v", "no value has the name 'v'"), ("axis: -1", "axis: 2", "axis 2 is out of range"),
    ("axis: -1", "axes: -1", "attribute 'axis' is missing"), (", log: false", "", "attribute 'log' is missing"),
    ("log: false", "log: false, more: 1", "has no attribute 'more'"), ("log: false", "axis: 1", "appears twice"),
    ("log: false", "log: 1", "must be true or false"), ("%z:", "%y:", "two values have the name 'y'"),
    ("= %z", "= %q", "no value"), ("= [1,", "= [", "do not fill"), ("graph", "grape", "expected 'graph'"),
    ("-0.0]", "word]", "does not fit"), ("input", "inlet", "found 'inlet'"),
    ("float32[batch", "float31[batch", "unknown dtype"),
    ("%w: float32[4,2]", "%w: float32[n,2]", "no fixed type"), ("\"keras\"", "\"keras", "end of a string"),
  ])
  func faultsAreNamed(_ find: String, _ replacement: String, _ message: String) throws {
    let range = try #require(Self.sample.firstRange(of: find))
    let text = Self.sample.replacingCharacters(in: range, with: replacement)
    let error = #expect(throws: KilnError.self) { try TextForm.parse(text) }
    #expect(error?.code == .badInput)
    #expect(error?.line.contains(message) == true, "\(error?.line ?? "")")
  }

  @Test func theSampleParses() throws {
    let graph = try TextForm.parse(Self.sample)
    #expect(graph.nodes.count == 2 && graph.nodes[0].scope == "dense" && graph.symbols == ["batch"])
  }
}

extension String {
  func firstRange(of text: String) -> Range<String.Index>? {
    indices.first { self[$0...].hasPrefix(text) }.map { $0..<index($0, offsetBy: text.count) }
  }

  func replacingCharacters(in range: Range<String.Index>, with text: String) -> String {
    self[..<range.lowerBound] + text + self[range.upperBound...]
  }
}

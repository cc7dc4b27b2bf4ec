import GraphModule
import TensorModule
import Testing

/// The suite that is generated over all ops and their examples.
@Suite struct ConformanceTests {
  @Test(arguments: Case.all)
  func resultsHaveTheInferredTypes(_ test: Case) throws {
    var random = Random(Random.seed)
    let types = try test.example.op.infer(test.example.inputs)
    let results = try test.example.op.reference(random.operands(test.example), types)
    #expect(results.map { TensorType($0.dtype, shape: $0.shape) } == types)
    #expect(results.allSatisfy(isSound))
    #expect(test.example.op.flops(test.example.inputs, types) >= 0)
    try Verifier.verify(Graph.of(test.example.op, test.example.inputs))
  }

  /// An axis of unknown length gives the same results once its length is known.
  @Test(arguments: Case.all)
  func symbolsCanStandForLengths(_ test: Case) throws {
    let (op, inputs) = (test.example.op, test.example.inputs)
    let expected = try op.infer(inputs)
    for (operand, type) in inputs.enumerated() {
      for axis in type.dims.indices {
        guard let length = type.dims[axis].fixed else { continue }
        var symbolic = inputs
        symbolic[operand].dims[axis] = .symbol("n")
        guard let types = try? op.infer(symbolic) else { continue }
        let graph = try Graph.of(op, symbolic)
        let bound = try graph.specialized(to: inputs.map { $0.shape ?? [] })
        #expect(bound.outputs.map { bound.type(of: $0.value) } == expected, "operand \(operand), axis \(axis)")
        // Slices that reach over the end are clamped only when the length is known.
        if op is Slice { continue }
        #expect(types.map { $0.substituting(["n": length]) } == expected, "operand \(operand), axis \(axis)")
      }
    }
  }

  @Test(arguments: OpCatalog.all.map { $0.name })
  func batchCanBeSymbolic(_ name: String) throws {
    let op = try #require(OpCatalog.op(named: name))
    let works = op.examples.contains { example in
      guard var type = example.inputs.first, !type.dims.isEmpty else { return false }
      type.dims[0] = .symbol("batch")
      guard let types = try? example.op.infer([type] + example.inputs.dropFirst()) else { return false }
      return types.contains { $0.dims.contains { $0.symbols.contains("batch") } }
    }
    // The dims of a reshape or broadcast name the symbol themselves; others let it through.
    let namesDims = op is any SymbolicAttributes.Type && op is any DataDependentOp.Type
    #expect(works || namesDims || ["reshape", "branch", "broadcast_to", "shape_of", "unicode_encode", "segment_join", "conv_kernel_gradient", "random"].contains(name))
  }

  @Test func dimsInAttributesTakeSymbols() throws {
    let n = Dim.symbol("n")
    for (op, dims, expected) in [
      (Reshape([n * 3, 2]) as any OpDefinition, [n, 6], [12, 2]), (BroadcastTo([n, 5]), [1, 5], [4, 5]),
      (Resize(.nearest, dims: [n * 2]), [1, n, 3], [1, 8, 3]),
    ] as [(any OpDefinition, [Dim], Shape)] {
      var graph = Graph(name: "symbols")
      let size = try graph.addInput("size", TensorType(.float32, [n]))
      let x = try graph.addInput("x", TensorType(.float32, dims))
      let y = try graph.addOne(op, [x], name: "y")
      graph.outputs = [.init(name: "y", value: y), .init(name: "size", value: size)]
      let bound = try graph.specialized(to: [[4], dims.map { $0.fixed ?? 4 }])
      #expect(bound.type(of: y).shape == expected)
      try Verifier.verify(bound)
    }
  }

  @Test(arguments: OpCatalog.all.map { $0.name })
  func examplesAreEnough(_ name: String) throws {
    let op = try #require(OpCatalog.op(named: name))
    #expect(op.examples.count >= 3)
    #expect(op.examples.allSatisfy { $0.op.opName == name })
    let isEmpty = op.examples.contains { example in
      (example.inputs + ((try? example.op.infer(example.inputs)) ?? [])).contains { $0.dims.contains(0) }
    }
    // A picture has pixels.
    #expect(isEmpty || name == "decode_picture", "no example of size 0")
    #expect(
      op.examples.contains { $0.inputs.contains { $0.dims.isEmpty || $0.dims.contains(1) } }, "no example of size 1")
    #expect(op.summary.count > 20 && !op.summary.contains("\n"))
    #expect(name.utf8.allSatisfy { (97...122).contains($0) || $0 == 95 })
  }

  @Test func catalogueIsOrderedAndFinds() {
    let names = OpCatalog.all.map { String(describing: $0).lowercased() }
    #expect(names == names.sorted())
    for op in OpCatalog.all { #expect(OpCatalog.op(named: op.name) == op) }
    #expect(OpCatalog.op(named: "no_such_op") == nil)
  }

  /// A tensor without elements can have an axis as long as a file says.
  @Test func longAxesWithoutElementsAreNotWalked() throws {
    let empty = TensorType(.float32, [Dim(1 << 40), 0])
    for (op, inputs) in [
      (Transpose([1, 0]), [empty]), (Softmax(), [empty]), (Reverse(axes: [0]), [empty]),
      (Cumulative(.sum, axis: 0), [empty]),
      (Slice([.init(step: -1), .all]), [empty]), (TopK(k: 0), [empty]), (Elementwise(.add), [empty, empty]),
      (Reduce(.sum, axes: [0, 1]), [empty]),
      (MatMul(), [TensorType(.float32, [0, 3]), TensorType(.float32, [3, Dim(1 << 40)])]),
    ] as [(any OpDefinition, [TensorType])] {
      let operands = inputs.map { ReferenceTensor(.float32, $0.shape ?? [], .floats([])) }
      let types = try op.infer(inputs)
      let results = try op.evaluated(operands, types)
      #expect(results.map { TensorType($0.dtype, shape: $0.shape) } == types)
    }
  }

  /// Constants and inputs make no difference.
  @Test(arguments: OpCatalog.all.map { $0.name })
  func backendRunsExamples(_ name: String) throws {
    let op = try #require(OpCatalog.op(named: name))
    var random = Random(Random.seed)
    for example in op.examples.prefix(6) {
      let operands = random.operands(example)
      var graph = Graph(name: "mixed")
      var fed: [ReferenceTensor] = []
      let ids = try operands.enumerated().map { index, value in
        if index % 2 == 0 {
          fed.append(ReferenceTensor(try value.tensor()))
          return try graph.addInput("x\(index)", example.inputs[index])
        }
        return graph.addConstant("x\(index)", try value.tensor())
      }
      let results = try graph.add(example.op, ids, name: "y")
      graph.outputs = results.enumerated().map { .init(name: "\($0)", value: $1) }
      let rounded = try operands.map { ReferenceTensor(try $0.tensor()) }
      let expected = try example.op.reference(rounded, try example.op.infer(example.inputs))
      let found = try ReferenceBackend.run(graph, fed)
      for (a, b) in zip(found, expected) { #expect(try a.tensor() == b.tensor()) }
    }
  }
}

import TensorModule

/// One of several graphs, chosen by a number: `tf.switch_case`, ONNX If, TensorFlow's If and Case.
package struct Branch: ControlFlowOp {
  package static let name = "branch"
  package static let summary =
    "runs one of the graphs on the operands after the first and gives its outputs. The first is the selector, a scalar: bool picks graph 1 for true and 0 for false, an integer out of range the last. All graphs have the same signature"

  package var branches: [Graph]

  package init(_ branches: [Graph]) { self.branches = branches }

  /// `then` where the selector is true.
  package init(then: Graph, otherwise: Graph) { branches = [otherwise, then] }

  package var attributes: Attributes { [("branches", .list(branches.map { .graph($0) }))] }

  package init(from reader: inout AttributeReader) throws { branches = try reader.graphs("branches") }

  package var subgraphs: [Graph] { branches }

  package func replacing(subgraphs: [Graph]) -> Branch { Branch(subgraphs) }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    guard let selector = inputs.first else { throw KilnError(.badInput, "op 'branch' takes a selector") }
    try Expect.that(
      selector.rank == 0 && (selector.dtype == .bool || selector.dtype.isInteger), Self.name,
      "the selector must be a scalar bool or integer, found \(selector.message)")
    try Expect.that(
      !branches.isEmpty && (selector.dtype != .bool || branches.count == 2), Self.name,
      "\(branches.count) graphs for a selector of \(selector.dtype.name)")
    let all = try branches.map { try $0.outputTypes(for: Array(inputs.dropFirst()), Self.name) }
    var types = all[0]
    for (graph, other) in zip(branches, all).dropFirst() {
      let fits = other.count == types.count && zip(other, types).allSatisfy { $0.dtype == $1.dtype && $0.rank == $1.rank }
      try Expect.that(
        fits, Self.name,
        "graphs \(KilnError.quoted(branches[0].name)) and \(KilnError.quoted(graph.name)) give \(Self.text(types)) and \(Self.text(other))")
      for index in types.indices {
        for axis in types[index].dims.indices {
          let (a, b) = (types[index].dims[axis], other[index].dims[axis])
          try Expect.equal(a, b, Self.name, "dims of result \(index) in all graphs")
          types[index].dims[axis] = Axes.merged(a, b)
        }
      }
    }
    return types
  }

  private static func text(_ types: [TensorType]) -> String {
    "(" + types.map(\.message).joined(separator: ", ") + ")"
  }

  /// The index of the graph that a selector picks.
  package func index(_ selector: Int64) -> Int {
    (0..<Int64(branches.count)).contains(selector) ? Int(selector) : branches.count - 1
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    try ReferenceBackend.run(branches[index(inputs[0].integers[0])], Array(inputs.dropFirst()))
  }

  /// The work of the most expensive graph.
  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    branches.map { $0.flops(Array(inputs.dropFirst())) }.max() ?? 0
  }

  package static var examples: [OpExample] {
    func graph(_ function: ScalarFunction, _ dims: [Dim], _ dtype: DType = .float32) -> Graph {
      var graph = Graph(name: function.rawValue)
      let x = graph.declareInput("x", TensorType(dtype, dims))
      let y = (try? graph.addOne(Elementwise(function), [x], name: "y")) ?? x
      graph.outputs = [.init(name: "y", value: y), .init(name: "x", value: x)]
      return graph
    }
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    let n = Dim.symbol("n")
    let pair = Branch(then: graph(.exp, [n, 3]), otherwise: graph(.neg, [n, 3]))
    let three = Branch([graph(.abs, [n]), graph(.square, [n]), graph(.neg, [n])])
    var fixed = graph(.tanh, [2])
    let bias = fixed.addConstant("bias", (try? Tensor([1, -2] as [Float], shape: [2])) ?? Tensor(strings: [], shape: [0]))
    if let sum = try? fixed.addOne(Elementwise(.add), [fixed.outputs[0].value, bias], name: "sum") {
      fixed.outputs[0].value = sum
    }
    return [
      OpExample(pair, [TensorType(.bool, []), f([2, 3])], fixed: [0: [1]]),
      OpExample(pair, [TensorType(.bool, []), f([5, 3])], fixed: [0: [0]]),
      OpExample(pair, [TensorType(.bool, []), f([0, 3])], fixed: [0: [0]]),
      OpExample(three, [TensorType(.int32, []), f([17])], fixed: [0: [0]]),
      OpExample(three, [TensorType(.int64, []), f([1])], fixed: [0: [1]]),
      OpExample(three, [TensorType(.int32, []), f([4])], fixed: [0: [-1]]),
      OpExample(three, [TensorType(.uint8, []), f([4])], fixed: [0: [9]]),
      OpExample(Branch([fixed]), [TensorType(.int32, []), f([2])], fixed: [0: [0]]),
      OpExample(
        Branch([graph(.abs, [n], .int64), graph(.identity, [n], .int64)]), [TensorType(.int32, []), TensorType(.int64, [3])],
        range: -9...9, fixed: [0: [1]]),
      OpExample(
        Branch([graph(.identity, [n], .string)]), [TensorType(.int32, []), TensorType(.string, [3])], fixed: [0: [0]]),
    ]
  }
}

extension Graph {
  /// The work of one run on operands of fixed shapes; 0 when it is not known.
  package func flops(_ operands: [TensorType]) -> Int {
    let shapes = operands.compactMap(\.shape)
    guard shapes.count == operands.count, let bound = try? specialized(to: shapes) else { return 0 }
    return bound.nodes.reduce(0) { sum, node in
      let (next, overflow) = sum.addingReportingOverflow(
        node.op.flops(node.inputs.map(bound.type(of:)), node.outputs.map(bound.type(of:))))
      return overflow ? Int.max : next
    }
  }
}

import GraphModule
import TensorModule

/// A check vector of Kiln's own: inputs from a fixed seed and the reference backend's outputs.
package enum ReferenceCheck {
  /// The reference backend is plain loops; a model of more work or weights goes without a check.
  private static let maximumFlops = 100_000_000
  private static let maximumWeights = 16 << 20
  /// Elements of all values together: an op without arithmetic, such as `broadcast_to`, makes any number of them for nothing.
  private static let maximumElements = 16 << 20

  /// Iterations of a loop that only its condition ends, which the inputs of a check may never do.
  private static let maximumTrips = 100

  /// nil for a model that is too large, takes strings, or has lengths that cannot be chosen, and where a loop does not end.
  package static func vector(for graph: Graph) -> CheckVector? {
    let weights = graph.constants.values.reduce(0) { $0 + $1.count }
    guard weights <= maximumWeights, graph.inputs.allSatisfy({ graph.type(of: $0).dtype != .string }) else { return nil }
    let (bound, _) = bound(graph)
    guard let bound, work(bound) <= maximumFlops, isSmall(bound) else { return nil }
    // Integers may be indices: 0 and 1 are in range of nearly every table.
    for largest: UInt64 in [2, 1] {
      var state = UInt64(20)
      let inputs = bound.inputs.compactMap { id in try? input(bound.type(of: id), largest, &state) }
      guard inputs.count == bound.inputs.count, let outputs = try? run(graph, inputs) else { continue }
      let values = outputs.filter { $0.dtype.isFloat }.flatMap { $0.doubles }.filter { $0.isFinite }
      let scale = values.reduce(1) { max($0, $1.magnitude) }
      return CheckVector(
        origin: .reference, tolerance: Tolerance(absolute: 1e-5 * scale, relative: 1e-4),
        inputs: zip(bound.inputs, inputs).map { (bound[$0].name, $1) },
        outputs: zip(bound.outputs, outputs).map { ($0.name, $1) })
    }
    return nil
  }

  /// The graph for one sample. A free length other than the batch is tried until the ops take it.
  package static func bound(_ graph: Graph) -> (graph: Graph?, lengths: [(symbol: String, length: Int)]) {
    for length in [1, 16, 64, 256] {
      let lengths = graph.symbols.map { (symbol: $0, length: $0 == "batch" ? 1 : length) }
      let table = Dictionary(uniqueKeysWithValues: lengths.map { ($0.symbol, $0.length) })
      let shapes = graph.inputs.compactMap { graph.type(of: $0).substituting(table).shape }
      if shapes.count == graph.inputs.count, let bound = try? graph.specialized(to: shapes) { return (bound, lengths) }
    }
    return (nil, [])
  }

  private static func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [Tensor] {
    try LoopLimit.$unbounded.withValue(maximumTrips) { try ReferenceBackend.run(graph, inputs) }
  }

  private static func work(_ graph: Graph) -> Int {
    graph.nodes.reduce(0) { sum, node in
      let flops = node.op.flops(node.inputs.map { graph.type(of: $0) }, node.outputs.map { graph.type(of: $0) })
      return sum.addingReportingOverflow(max(0, flops)).overflow ? .max : sum + max(0, flops)
    }
  }

  private static func isSmall(_ graph: Graph) -> Bool {
    var left = maximumElements
    for type in graph.allGraphs.flatMap({ graph in graph.nodes.flatMap { $0.outputs.map { graph.type(of: $0) } } }) {
      guard let count = checkedProduct(type.dims.map { $0.fixed ?? 1 }), count <= left else { return false }
      left -= count
    }
    return true
  }

  private static func input(_ type: TensorType, _ largest: UInt64, _ state: inout UInt64) throws -> Tensor {
    let shape = type.shape ?? []
    let values = (0..<shape.elementCount).map { _ in
      type.dtype.isFloat ? Double(next(&state) >> 11) * 0x1p-52 - 1 : Double(next(&state) % largest)
    }
    return try Tensor(converting: values, to: type.dtype, shape: shape)
  }

  /// splitmix64.
  private static func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

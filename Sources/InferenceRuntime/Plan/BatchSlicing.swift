import GraphModule
import TensorModule

/// Runs large batches in slices whose activations stay in the processor's caches.
///
/// A network whose samples do not meet each other becomes a loop over slices of the batch: no sample then costs more in a
/// large batch than in a small one. Networks bound by their weights keep the whole batch, which reads them once.
package enum BatchSlicing {
  /// Nanoseconds a byte: what an activation costs more from memory than from a cache, and weights from either.
  private static let activationCost = 0.04
  private static let weightCosts = (cached: 0.01, memory: 0.05)
  /// Operations a nanosecond of a recurrence over three to six rows at a time.
  private static let recurrentSpeed = 60.0
  /// How much longer a row takes when one or two run alone.
  private static let (excessOfOne, excessOfTwo) = (0.5, 0.12)

  /// The graph as a loop over slices of its batch, or nil when the batch is better whole or its samples are not apart.
  ///
  /// - Parameter cachedBytes: of a node's operands and results; beyond it they come from memory, not from a shared cache.
  package static func sliced(_ graph: Graph, shapes: [Shape], cachedBytes: Int = 12 << 20) throws -> Graph? {
    guard let symbol = batchSymbol(graph), let batch = shapes.first?.first, batch > 1,
      shapes.allSatisfy({ $0.first == batch }), graph.states.isEmpty, samplesAreApart(graph, symbol)
    else { return nil }
    let single = try graph.specialized(to: shapes.map { [1] + $0.dropFirst() })
    let slice = bestSlice(single, batch, cachedBytes)
    return slice < batch ? try loop(graph, shapes, batch: batch, slice: slice) : nil
  }

  // MARK: Samples apart

  /// The symbol that is the first axis of every input and output and nothing else.
  private static func batchSymbol(_ graph: Graph) -> Dim? {
    guard let first = graph.inputs.first.flatMap({ graph.type(of: $0).dims.first }), first.fixed == nil else { return nil }
    let ends = graph.inputs + graph.outputs.map(\.value)
    return ends.allSatisfy { graph.type(of: $0).dims.first == first && graph.type(of: $0).dtype != .string } ? first : nil
  }

  /// Whether every result's first axis is the batch and each of its samples comes from that sample alone.
  private static func samplesAreApart(_ graph: Graph, _ batch: Dim) -> Bool {
    var batched = Set(graph.inputs)
    for node in graph.nodes {
      let isBatched = node.inputs.map(batched.contains)
      guard isBatched.contains(true) else { return false }
      let outputs = node.outputs.map(graph.type(of:))
      let inputs = node.inputs.map(graph.type(of:))
      let keepsBatch = (outputs + zip(inputs, isBatched).filter(\.1).map(\.0)).allSatisfy { type in
        type.dims.first == batch && type.dims.dropFirst().allSatisfy { $0.fixed != nil }
      }
      guard keepsBatch, isApart(node.op, inputs, isBatched, outputs[0]) else { return false }
      batched.formUnion(node.outputs)
    }
    return graph.outputs.allSatisfy { batched.contains($0.value) }
  }

  private static func isApart(
    _ op: any OpDefinition, _ inputs: [TensorType], _ isBatched: [Bool], _ output: TensorType
  ) -> Bool {
    // Operands that broadcast: batched ones have the result's rank, others no length along its first axis.
    func broadcasts(from first: Int = 0) -> Bool {
      zip(inputs, isBatched).dropFirst(first).allSatisfy { type, batched in
        batched ? type.rank == output.rank : type.rank < output.rank || type.dims.first?.fixed == 1
      }
    }
    switch op {
    case is Elementwise, is ElementwiseChain, is Cast: return broadcasts()
    case is Conv, is ConvTranspose: return isBatched[0] && !isBatched[1] && broadcasts(from: 2)
    case is Pool, is Resize, is BatchNorm: return isBatched[0] && !isBatched.dropFirst().contains(true)
    case is Reshape: return true
    case let op as MatMul:
      return isBatched[0] && broadcasts(from: 2)
        && (isBatched[1] ? inputs[0].rank > 2 && inputs[1].rank == output.rank : !op.transposeA && inputs[1].dims.dropLast(2).allSatisfy { $0.fixed == 1 })
    case let op as LayerNorm: return inputs[0].axis(op.axis) != 0 && !isBatched.dropFirst().contains(true)
    case let op as Softmax: return inputs[0].axis(op.axis) != 0
    case let op as Reduce: return op.axes.allSatisfy { inputs[0].axis($0) != 0 }
    case let op as Concat: return inputs[0].axis(op.axis) != 0 && !isBatched.contains(false)
    case let op as Transpose: return op.permutation.first == 0
    case let op as Slice: return op.ranges.first == .all
    case let op as Reverse: return !op.axes.contains(0)
    case let op as RNN:
      let perSample = [0, op.operands.mask, op.operands.h0, op.operands.c0].compactMap { $0 }
      return inputs.indices.allSatisfy { isBatched[$0] == perSample.contains($0) }
    case let op as Pad: return op.low.first == 0 && op.high.first == 0
    case let op as Gather: return op.batchDims == 0 && !isBatched[0] && op.axis == 0
    default: return false
    }
  }

  // MARK: Choice

  /// The divisor of `batch` for which a sample should take the least time.
  private static func bestSlice(_ single: Graph, _ batch: Int, _ cachedBytes: Int) -> Int {
    let weights = single.constants.values.reduce(0) { $0 + $1.byteCount }
    let weightTime = Double(weights) * (weights > cachedBytes ? weightCosts.memory : weightCosts.cached)
    let activations = single.nodes.map { node in
      (node.inputs.filter { single.constants[$0] == nil } + node.outputs).reduce(0) {
        $0 + (single.type(of: $1).elementCount.fixed ?? 0) * single.type(of: $1).dtype.byteCount
      }
    }
    let recurrentTime = single.nodes.reduce(0.0) { $0 + recurrence($1, single) } / recurrentSpeed
    func cost(_ slice: Int) -> Double {
      let far = activations.filter { $0.multipliedReportingOverflow(by: slice).overflow || $0 * slice > cachedBytes }
      let excess = slice == 1 ? excessOfOne : slice == 2 ? excessOfTwo : 0
      return weightTime / Double(slice) + far.reduce(0) { $0 + Double($1) } * activationCost + recurrentTime * excess
    }
    return (1...batch).filter { batch % $0 == 0 }.reversed().min { cost($0) < cost($1) } ?? batch
  }

  /// The operations of a recurrent node's steps.
  private static func recurrence(_ node: Node, _ single: Graph) -> Double {
    guard node.op is RNN, let x = single.type(of: node.inputs[0]).shape, let weights = single.type(of: node.inputs[2]).shape else { return 0 }
    return 2 * Double(x[1]) * Double(weights.elementCount)
  }

  // MARK: The loop

  private static func loop(_ graph: Graph, _ shapes: [Shape], batch: Int, slice: Int) throws -> Graph {
    var body = try graph.specialized(to: shapes.map { [slice] + $0.dropFirst() })
    body.name = "slice"
    body.setInputs([body.declareInput("slice_number", TensorType(.int64, shape: []))] + body.inputs.dropLast())
    var outer = Graph(name: graph.name)
    outer.metadata = graph.metadata
    var operands: [ValueID] = []
    for (input, shape) in zip(graph.inputs, shapes) {
      let id = try outer.addInput(graph[input].name, TensorType(graph.type(of: input).dtype, shape: shape))
      let dims = [batch / slice, slice] + shape.dropFirst()
      operands.append(try outer.addOne(Reshape(dims.map { Dim($0) }), [id], name: "\(graph[input].name)/slices"))
    }
    let results = try outer.add(Loop(carried: 0, sliced: operands.count, body: body), operands, name: "slices")
    outer.outputs = try zip(graph.outputs, results).map { output, rows in
      let dims = [Dim(batch)] + body.type(of: output.value).dims.dropFirst()
      return Graph.Output(name: output.name, value: try outer.addOne(Reshape(dims), [rows], name: output.name))
    }
    return outer
  }
}

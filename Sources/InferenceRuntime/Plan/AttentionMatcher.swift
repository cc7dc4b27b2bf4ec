import CKernels
import GraphModule
import TensorModule

/// Finds the attentions of a graph: a product, a softmax over its rows with elementwise functions on either side, and the product of
/// that with values.
struct AttentionMatcher {
  let graph: Graph
  /// The nodes that read each value, and an index behind them for a result of the graph.
  let readers: [[Int]]
  let makers: [Int?]

  /// Rows below which laying keys and values out costs more than it saves, unless they are as few as this, or transposed otherwise.
  private static let (leastRows, fewElements) = (8, 4096)

  /// By the node where each runs.
  func all() -> [Int: Attention] {
    var found: [Int: Attention] = [:]
    // Values within an attention are never made, so that no other one may look through its nodes.
    var taken: Set<Int> = []
    for (index, node) in graph.nodes.enumerated() where node.op is MatMul {
      guard let (last, attention) = attention(index, node, taken), taken.isDisjoint(with: attention.nodes + [last]) else { continue }
      found[last] = attention
      taken.formUnion(attention.nodes + [last])
    }
    return found
  }

  /// The nodes that nothing else needs: those of the attentions, and what only arranged their operands.
  func absorbed(_ attentions: [Int: Attention]) -> Set<Int> {
    var gone = Set(attentions.values.flatMap(\.nodes))
    let arranging = Set(attentions.values.flatMap { $0.query.nodes + $0.key.nodes + $0.value.nodes })
    let kept = Set(attentions.values.flatMap(\.operands))
    for node in arranging.sorted(by: >) {
      let output = graph.nodes[node].outputs[0]
      if !kept.contains(output), readers[output.index].allSatisfy(gone.contains) { gone.insert(node) }
    }
    return gone
  }

  // MARK: The parts

  private func isFloat(_ node: Node) -> Bool { (node.inputs + node.outputs).allSatisfy { graph.type(of: $0).dtype == .float32 } }

  private func shape(_ value: ValueID) -> Shape? { graph.type(of: value).shape }

  private func isRead(_ value: ValueID, onlyBy node: Int) -> Bool { readers[value.index].allSatisfy { $0 == node } }

  /// - Parameters:
  ///   - index: of the second product.
  ///   - taken: nodes of other attentions.
  private func attention(_ index: Int, _ node: Node, _ taken: Set<Int>) -> (last: Int, Attention)? {
    guard let context = node.op as? MatMul, context.epilogue == .none, !context.transposeA, isFloat(node),
      let scoresShape = shape(node.inputs[0]), let made = shape(node.outputs[0]), made.elementCount > 0,
      made.dropLast(2) == scoresShape.dropLast(2), node.inputs[0] != node.inputs[1]
    else { return nil }
    let batch = Array(scoresShape.dropLast(2))
    let (m, n, width) = (scoresShape[scoresShape.count - 2], scoresShape[scoresShape.count - 1], made[made.count - 1])
    guard let weights = path(to: node.inputs[0], from: index, scoresShape, isEnd: { isSoftmax($0) }),
      let scores = path(
        to: graph.nodes[weights.end].inputs[0], from: weights.end, scoresShape, besides: weights.nodes, isEnd: { $0.op is MatMul })
    else { return nil }
    let product = graph.nodes[scores.end]
    guard let op = product.op as? MatMul, isFloat(product), let left = shape(product.inputs[0]) else { return nil }
    let depth = left[left.count - (op.transposeA ? 2 : 1)]
    guard depth > 0, n > 0,
      let query = operand(product.inputs[0], swapped: op.transposeA, batch, taken, { Self.isAdjacent($0, 1) }),
      let (key, value, finer) = keysAndValues(product.inputs[1], !op.transposeB, node.inputs[1], context.transposeB, batch, taken),
      finer.count <= Int(KILN_ATTENTION_AXES),
      m >= Self.leastRows || n * (depth + width) <= Self.fewElements || [key, value].allSatisfy({ $0.nodes.contains { graph.nodes[$0].op is Transpose } })
    else { return nil }
    let (last, result, behind) = end(index, made)
    var attention = Attention(
      batch: batch, m: m, n: n, depth: depth, width: width, query: query, key: key, value: value, result: result,
      before: [], after: weights.programs, nodes: weights.nodes + scores.nodes + [weights.end, scores.end] + behind)
    if let epilogue = program(ofEpilogue: op.epilogue, product, scoresShape) { attention.before.append(epilogue) }
    attention.before += scores.programs
    attention.takeScale()
    let inside = Set(attention.nodes)
    guard attention.operands.allSatisfy({ makers[$0.index].map { !inside.contains($0) } ?? true }) else { return nil }
    guard (attention.before + attention.after).allSatisfy(\.chain.isRunnable), attention.operands.count + 2 <= Int(KILN_MAX_OPERANDS), finer == batch || attention.refine(finer) else { return nil }
    return (last, attention)
  }

  private func isSoftmax(_ node: Node) -> Bool {
    guard let op = node.op as? Softmax, !op.log, isFloat(node) else { return false }
    return graph.type(of: node.inputs[0]).axis(op.axis) == graph.type(of: node.inputs[0]).rank - 1
  }

  private static func isAdjacent(_ view: StridedView, _ fromEnd: Int) -> Bool {
    view.shape[view.shape.count - fromEnd] == 1 || view.strides[view.shape.count - fromEnd] == 1
  }

  // MARK: Between the products

  private struct Path {
    var programs: [Attention.Program] = []
    var nodes: [Int] = []
    /// The node that it starts from.
    var end: Int
  }

  /// How `value` comes from a node that `isEnd` says, by elementwise functions.
  ///
  /// - Parameters:
  ///   - reader: the one node that may read the value, but for those in `besides`.
  private func path(
    to value: ValueID, from reader: Int, _ scores: Shape, besides: [Int] = [], isEnd: (Node) -> Bool, depth: Int = 0
  ) -> Path? {
    guard depth < 5, readers[value.index].allSatisfy({ $0 == reader || besides.contains($0) }), let maker = makers[value.index] else { return nil }
    let node = graph.nodes[maker]
    if isEnd(node) { return node.outputs.count == 1 ? Path(end: maker) : nil }
    guard node.op is Elementwise || node.op is ElementwiseChain else { return nil }
    // A value that is named twice is followed once: else a chain of such nodes takes for ever.
    var tried: Set<ValueID> = []
    for input in node.inputs where tried.insert(input).inserted && graph.type(of: input).dtype == .float32 && shape(input) == scores {
      guard var path = path(to: input, from: maker, scores, isEnd: isEnd, depth: depth + 1),
        let (program, nodes) = program(node, maker, over: input, scores, end: path.end)
      else { continue }
      path.programs.append(program)
      path.nodes += nodes + [maker]
      return path
    }
    return nil
  }

  /// What an elementwise node does to `running`, and the nodes that this takes in.
  private func program(_ node: Node, _ index: Int, over running: ValueID, _ scores: Shape, end: Int) -> (Attention.Program, nodes: [Int])? {
    guard let own = steps(node), graph.type(of: node.outputs[0]).dtype == .float32, shape(node.outputs[0]) == scores else { return nil }
    var program = Attention.Program(chain: ChainProgram(shape: Array(scores.suffix(2)), inputs: [], steps: [], resultType: .float32), sources: [])
    var nodes: [Int] = []
    var places: [ChainProgram.Source] = []
    for input in node.inputs {
      if input == running {
        places.append(add(.scores, Array(scores.suffix(2)), .float32, to: &program))
      } else if let maker = makers[input.index], let maxima = maxima(graph.nodes[maker], end), isRead(input, onlyBy: index),
        let inner = steps(graph.nodes[maker])
      {
        // A function of the rows' largest scores.
        let first = program.chain.steps.count
        let sources = graph.nodes[maker].inputs.compactMap {
          $0 == graph.nodes[maxima].outputs[0] ? add(.maxima, [scores[scores.count - 2], 1], .float32, to: &program) : add($0, scores, to: &program)
        }
        guard sources.count == graph.nodes[maker].inputs.count, isRead(graph.nodes[maxima].outputs[0], onlyBy: maker) else { return nil }
        program.chain.steps += Self.placed(inner, sources, first)
        places.append(.step(program.chain.steps.count - 1))
        nodes += [maxima, maker]
      } else {
        guard !graph.nodes[end].inputs.contains(input) || !isSoftmax(graph.nodes[end]), let place = add(input, scores, to: &program) else { return nil }
        places.append(place)
      }
    }
    program.chain.steps += Self.placed(own, places, program.chain.steps.count)
    return (program, nodes)
  }

  /// The node of the largest scores, when `node` is a function of them that has a row's one number for each row.
  private func maxima(_ node: Node, _ softmax: Int) -> Int? {
    guard isSoftmax(graph.nodes[softmax]), node.op is Elementwise || node.op is ElementwiseChain, let dims = shape(node.outputs[0]), dims.last == 1 else { return nil }
    for input in node.inputs {
      guard let maker = makers[input.index], let reduce = graph.nodes[maker].op as? Reduce, reduce.kind == .max, reduce.keepDims,
        reduce.axes == [graph.type(of: input).rank - 1], graph.nodes[maker].inputs == graph.nodes[softmax].inputs
      else { continue }
      return maker
    }
    return nil
  }

  private func steps(_ node: Node) -> [ChainProgram.Step]? {
    switch node.op {
    case let op as Elementwise:
      return [.init(function: op.function, parameters: op.parameters, sources: node.inputs.indices.map { .input($0) })]
    case let op as ElementwiseChain:
      guard (try? op.overflowsInside(node.inputs.map { graph.type(of: $0).dtype })) == false else { return nil }
      return op.steps.map { .init(function: $0.function, parameters: $0.parameters, sources: $0.operands) }
    default: return nil
    }
  }

  /// Steps with their inputs at `places`, behind `first` other steps.
  private static func placed(_ steps: [ChainProgram.Step], _ places: [ChainProgram.Source], _ first: Int) -> [ChainProgram.Step] {
    steps.map { step in
      var step = step
      step.sources = step.sources.map {
        switch $0 {
        case .input(let index): places[index]
        case .step(let index): .step(index + first)
        case .constant: $0
        }
      }
      return step
    }
  }

  private func add(_ source: Attention.Program.Source, _ shape: Shape, _ dtype: DType, to program: inout Attention.Program) -> ChainProgram.Source {
    program.chain.inputs.append(.init(operand: .absent, dtype: dtype, shape: shape))
    program.sources.append(source)
    return .input(program.sources.count - 1)
  }

  /// Adds an operand that broadcasts to the scores.
  private func add(_ value: ValueID, _ scores: Shape, to program: inout Attention.Program) -> ChainProgram.Source? {
    guard let dims = shape(value), dims.count <= scores.count, graph.type(of: value).dtype != .string else { return nil }
    let strides = ChainProgram.strides(of: dims, in: scores)
    return add(.value(value, strides: strides.dropLast(2)), Array(dims.suffix(2)), graph.type(of: value).dtype, to: &program)
  }

  private func program(ofEpilogue epilogue: Epilogue, _ product: Node, _ scores: Shape) -> Attention.Program? {
    if epilogue == .none { return nil }
    var program = Attention.Program(chain: ChainProgram(shape: Array(scores.suffix(2)), inputs: [], steps: [], resultType: .float32), sources: [])
    var left = add(.scores, Array(scores.suffix(2)), .float32, to: &program)
    for index in [epilogue.biasIndex(), epilogue.residualIndex()].compactMap({ $0 }) {
      guard let right = add(product.inputs[index], scores, to: &program) else { continue }
      program.chain.steps.append(.init(function: .add, parameters: [], sources: [left, right]))
      left = .step(program.chain.steps.count - 1)
    }
    if epilogue.activation != .identity {
      program.chain.steps.append(.init(function: epilogue.activation.function, parameters: epilogue.activation.parameters, sources: [left]))
    }
    return program
  }

  // MARK: Operands and result

  /// The furthest view of a product's operand, with its last two axes swapped if they are, that `fits` a kernel; over `batch`.
  private func operand(_ value: ValueID, swapped: Bool, _ batch: [Int], _ taken: Set<Int>, _ fits: (StridedView) -> Bool) -> StridedView? {
    guard graph.constants[value] == nil else { return nil }
    return graph.views(of: value, makers, besides: taken).compactMap { Self.matrices($0, swapped: swapped, batch) }.last {
      graph.constants[$0.base] == nil && fits($0)
    }
  }

  private static func matrices(_ view: StridedView, swapped: Bool, _ batch: [Int]) -> StridedView? {
    guard view.shape.count >= 2, view.shape.count - 2 <= batch.count else { return nil }
    var view = view
    if swapped {
      view.shape.swapAt(view.shape.count - 2, view.shape.count - 1)
      view.strides.swapAt(view.strides.count - 2, view.strides.count - 1)
    }
    let whole = batch + view.shape.suffix(2)
    view.strides = StridedView.broadcast(view.shape, view.strides, to: whole)
    view.shape = whole
    return view
  }

  /// Keys as [batch…, n, depth], values as [batch…, n, width], and the batch's axes: those of heads that share keys and values are two.
  private func keysAndValues(_ key: ValueID, _ keySwapped: Bool, _ value: ValueID, _ valueSwapped: Bool, _ batch: [Int], _ taken: Set<Int>) -> (
    key: StridedView, value: StridedView, batch: [Int]
  )? {
    func fitsKey(_ view: StridedView) -> Bool { Self.isAdjacent(view, 1) || Self.isAdjacent(view, 2) }
    func fitsValue(_ view: StridedView) -> Bool { Self.isAdjacent(view, 1) }
    if let (keys, finer) = ungrouped(key), let (values, other) = ungrouped(value), finer == other, finer.elementCount == batch.elementCount,
      let left = operand(keys.value, swapped: keySwapped, finer, taken, fitsKey), let right = operand(values.value, swapped: valueSwapped, finer, taken, fitsValue),
      StridedView.strides(of: finer, over: batch, batch.rowMajorStrides) != nil
    {
      var (left, right) = (left, right)
      left.nodes.insert(keys.node, at: 0)
      right.nodes.insert(values.node, at: 0)
      return (left, right, finer)
    }
    guard let left = operand(key, swapped: keySwapped, batch, taken, fitsKey), let right = operand(value, swapped: valueSwapped, batch, taken, fitsValue) else { return nil }
    return (left, right, batch)
  }

  /// The value of which `value` is the same matrices under fewer axes, and its batches: heads that were repeated for groups.
  private func ungrouped(_ value: ValueID) -> (made: (value: ValueID, node: Int), batch: [Int])? {
    guard let maker = makers[value.index], graph.nodes[maker].op is Reshape, let wide = shape(graph.nodes[maker].inputs[0]),
      let dims = shape(value), wide.count == dims.count + 1, wide.suffix(2) == dims.suffix(2),
      let before = makers[graph.nodes[maker].inputs[0].index], graph.nodes[before].op is BroadcastTo
    else { return nil }
    return ((graph.nodes[maker].inputs[0], maker), Array(wide.dropLast(2)))
  }

  /// The node whose result the attention writes, the strides of [batch…, m, width] there, and the nodes that it takes in: a transpose
  /// behind the product, if that is all that reads it.
  private func end(_ index: Int, _ made: Shape) -> (last: Int, strides: [Int], nodes: [Int]) {
    var (nodes, at) = ([index], index)
    while nodes.count < 3 {
      let output = graph.nodes[at].outputs[0]
      guard let reader = readers[output.index].first, isRead(output, onlyBy: reader), graph.nodes.indices.contains(reader),
        graph.nodes[reader].op is Transpose || graph.nodes[reader].op is Reshape
      else { break }
      nodes.append(reader)
      at = reader
    }
    while nodes.count > 1, let last = nodes.last, !(graph.nodes[last].op is Transpose) { nodes.removeLast() }
    if nodes.count > 1, let shape = shape(graph.nodes[nodes[nodes.count - 1]].outputs[0]) {
      var strides: [Int]? = shape.rowMajorStrides
      for node in nodes.dropFirst().reversed() {
        let (from, to) = (self.shape(graph.nodes[node].inputs[0]) ?? [], self.shape(graph.nodes[node].outputs[0]) ?? [])
        strides = strides.flatMap { own in
          guard let op = graph.nodes[node].op as? Transpose else { return StridedView.strides(of: from, over: to, own) }
          var before = own
          for (axis, source) in op.permutation.enumerated() { before[source] = own[axis] }
          return before
        }
      }
      if let strides, made[made.count - 1] == 1 || strides[strides.count - 1] == 1 { return (nodes[nodes.count - 1], strides, nodes.dropLast()) }
    }
    return (index, made.rowMajorStrides, [])
  }
}

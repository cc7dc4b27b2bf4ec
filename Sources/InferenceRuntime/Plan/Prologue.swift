import CKernels
import GraphModule
import TensorModule

/// What the first operand of a product or pooling goes through on its way in, in place of a pass over it before:
/// `activation(x * scale + shift)`, as batch normalization in front of a convolution and squeeze-and-excite leave it.
package struct Prologue {
  /// The operand before the prologue, in pieces of the last axis.
  package var sources: [ValueID]
  /// [channels], or [samples, channels] when `perSample`.
  package var scale: ValueID?
  package var perSample = false
  /// [channels].
  package var shift: ValueID?
  package var activation: Activation = .identity

  /// What the node computes, if it has that form.
  init?(_ node: Node, in graph: Graph) {
    guard let output = node.outputs.first, let shape = graph.type(of: output).shape, shape.count >= 2,
      (node.inputs + node.outputs).allSatisfy({ graph.type(of: $0).dtype == .float32 })
    else { return nil }
    var steps: ArraySlice<ElementwiseChain.Step>
    switch node.op {
    case let chain as ElementwiseChain: steps = chain.steps[...]
    case let single as Elementwise:
      steps = [.init(single.function, single.parameters, node.inputs.indices.map { .input($0) })]
    default: return nil
    }
    guard steps.count <= 3 else { return nil }
    let channels = shape[shape.count - 1]
    sources = []
    // The running value is the first full operand, then the result of the step before.
    func other(_ step: ElementwiseChain.Step, _ index: Int) -> (running: ElementwiseChain.Operand, value: ValueID)? {
      for (running, extra) in [(0, 1), (1, 0)] {
        guard case .input(let input) = step.operands[extra] else { continue }
        if index > 0, step.operands[running] != .step(index - 1) { continue }
        if index == 0 {
          guard case .input(let first) = step.operands[running], graph.type(of: node.inputs[first]).shape == shape else { continue }
        }
        return (step.operands[running], node.inputs[input])
      }
      return nil
    }
    func isVector(_ value: ValueID) -> Bool {
      guard let dims = graph.type(of: value).shape else { return false }
      return dims.last == channels && dims.dropLast().allSatisfy { $0 == 1 }
    }
    func isPerSample(_ value: ValueID) -> Bool {
      guard let dims = graph.type(of: value).shape, dims.count == shape.count else { return false }
      return dims[0] == shape[0] && dims[dims.count - 1] == channels && dims[1..<(dims.count - 1)].allSatisfy { $0 == 1 }
    }
    var index = 0
    var found: ValueID?
    func take(_ running: ElementwiseChain.Operand) { if index == 0, case .input(let input) = running { found = node.inputs[input] } }
    if let step = steps.first, step.function == .mul, let (running, value) = other(step, index),
      isVector(value) || isPerSample(value)
    {
      (scale, perSample) = (value, !isVector(value))
      take(running)
      steps.removeFirst()
      index += 1
    }
    if let step = steps.first, step.function == .add, let (running, value) = other(step, index), isVector(value) {
      shift = value
      take(running)
      steps.removeFirst()
      index += 1
    }
    if index > 0, let step = steps.first, step.function.arity == 1, step.operands == [.step(index - 1)] {
      activation = Activation(step.function, step.parameters)
      steps.removeFirst()
    }
    guard steps.isEmpty, let found else { return nil }
    sources = [found]
  }

  /// Pieces that one step can take beside its other operands.
  static let mostSources = Int(KILN_MAX_OPERANDS) - 8

  var operands: [ValueID] { sources + [scale, shift].compactMap { $0 } }
}

/// Nodes that compute others on the way in.
package struct Prologues {
  /// By the node of the product or pooling.
  package var byReader: [Int: Prologue] = [:]
  /// Nodes that are left out for them.
  package var absorbed: Set<Int> = []
  /// By the last of their nodes.
  package var bands: [Int: Band<Int>] = [:]
  /// Products in front of others, by those: both run in turns by blocks of rows.
  package var pairs: [Int: Int] = [:]
  private var inTurns: Set<Int> = []
  /// By the node where each runs.
  package var attentions: [Int: Attention] = [:]
  /// Nodes that attentions do.
  package var inAttention: Set<Int> = []
  private var operandsByNode: [Int: [ValueID]] = [:]

  /// What the node reads beside its own operands.
  func operands(of node: Int) -> [ValueID] { operandsByNode[node] ?? [] }

  /// Whether a node behind computes it by bands or blocks of rows.
  func isInTurns(_ node: Int) -> Bool { inTurns.contains(node) }

  /// The nodes that the node computes before itself.
  func leading(_ node: Int) -> [Int] { bands[node]?.leading ?? pairs[node].map { [$0] } ?? [] }

  mutating func collectOperands(_ graph: Graph) {
    operandsByNode = byReader.mapValues(\.operands).merging(attentions.mapValues(\.operands)) { $0 + $1 }
    for last in Array(bands.keys) + Array(pairs.keys) {
      inTurns.formUnion(leading(last))
      operandsByNode[last, default: []] += leading(last).flatMap { graph.nodes[$0].inputs }
    }
  }
}

extension Graph {
  /// The prologues of products and poolings, whose nodes are left out, and the graph in which no other node reads what is left out.
  func absorbingPrologues(_ options: PlanOptions) -> (graph: Graph, prologues: Prologues) {
    var readers = [[Int]](repeating: [], count: values.count)
    var makers = [Int?](repeating: nil, count: values.count)
    for (index, node) in nodes.enumerated() {
      for input in node.inputs { readers[input.index].append(index) }
      for output in node.outputs { makers[output.index] = index }
    }
    for output in outputs { readers[output.value.index].append(nodes.count) }
    var found = Prologues()
    // By the node that is left out.
    var parsed: [Int: Prologue] = [:]
    for (index, node) in nodes.enumerated() {
      guard let op = node.op as? any CPUBinding, let operand = node.inputs.first, readers[operand.index] == [index],
        let maker = makers[operand.index], let prologue = Prologue(nodes[maker], in: self),
        op.takesPrologue(prologue, node, in: self, options)
      else { continue }
      found.byReader[index] = prologue
      parsed[maker] = prologue
    }
    let concats = concatsInPieces(readers, parsed)
    found.absorbed = concats.union(parsed.keys)
    func pieces(_ value: ValueID) -> [ValueID] {
      guard let maker = makers[value.index], concats.contains(maker) else { return [value] }
      return nodes[maker].inputs.flatMap(pieces)
    }
    for (index, prologue) in found.byReader { found.byReader[index]?.sources = prologue.sources.flatMap(pieces) }
    var graph = self
    for (index, node) in nodes.enumerated() where node.op is Concat && !concats.contains(index) {
      graph.nodes[index].inputs = node.inputs.flatMap(pieces)
    }
    let matcher = AttentionMatcher(graph: self, readers: readers, makers: makers)
    found.attentions = matcher.all()
    found.inAttention = matcher.absorbed(found.attentions)
    found.bands = graph.bands(options, readers, makers, found)
    found.pairs = graph.productsInTurns(options, readers, makers, found)
    found.collectOperands(graph)
    return (graph, found)
  }

  /// Concatenations of the last axis that only prologues and further such concatenations read, which can read the pieces.
  ///
  /// - Parameters:
  ///   - readers: the nodes that read each value, and an index behind them for a result of the graph.
  ///   - prologues: by the node that is left out.
  private func concatsInPieces(_ readers: [[Int]], _ prologues: [Int: Prologue]) -> Set<Int> {
    func isLastAxis(_ node: Node) -> Bool {
      guard let op = node.op as? Concat, let output = node.outputs.first else { return false }
      return op.axis == type(of: output).rank - 1
    }
    // Pieces of a value if every concatenation goes.
    var pieces = [Int](repeating: 1, count: values.count)
    for node in nodes where isLastAxis(node) {
      pieces[node.outputs[0].index] = node.inputs.reduce(0) { min(Prologue.mostSources + 1, $0 + pieces[$1.index]) }
    }
    func canReadPieces(_ reader: Int, of value: ValueID) -> Bool {
      guard nodes.indices.contains(reader) else { return false }
      if isLastAxis(nodes[reader]) { return pieces[nodes[reader].outputs[0].index] <= Prologue.mostSources }
      return pieces[value.index] <= Prologue.mostSources && prologues[reader]?.sources == [value]
        && nodes[reader].inputs.filter { $0 == value }.count == 1
    }
    return Set(
      nodes.indices.filter { index in
        guard isLastAxis(nodes[index]) else { return false }
        let output = nodes[index].outputs[0]
        return !readers[output.index].isEmpty && readers[output.index].allSatisfy { canReadPieces($0, of: output) }
          && nodes[index].inputs.allSatisfy { constants[$0] == nil && (type(of: $0).elementCount.fixed ?? 0) > 0 }
      })
  }
}

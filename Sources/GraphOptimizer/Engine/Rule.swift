import GraphModule
import TensorModule

/// A local rewrite with its proof obligations: what it finds, what it puts there, how near the results stay, and graphs
/// on which it must and must not fire.
///
/// The engine owns legality: interior values have no consumer outside the pattern and are no outputs, the replacement's
/// type is inferred and equal, the result keeps the root's name, new nodes get the root's scope.
package struct Rule: Sendable {
  package typealias Rewrite = @Sendable (Match, inout Draft) throws -> ValueID?
  package typealias Witness = @Sendable (inout WitnessBuilder) throws -> ValueID

  /// Lower case with hyphens; what `--disable-rule` takes.
  package var name: String
  /// One line with the equation: `x · σ(x) → silu(x)`.
  package var summary: String
  package var phase: Phase
  package var exactness: Exactness
  /// Kinds of results that may differ although `exactness` says otherwise.
  package var mayDiffer: SpecialValues
  package var find: Pattern
  package var guardTest: @Sendable (Match) -> Bool
  /// Builds the replacement and returns its result, or nil to leave the graph as it is.
  package var rewrite: Rewrite
  /// A graph around which the proof suite builds: the rule fires at the value that it returns.
  package var witness: Witness
  /// Graphs that differ from the witness in what the guard asks for: the rule must not fire.
  package var refusals: [Witness]

  package init(
    _ name: String, _ summary: String, find: Pattern, rewrite: @escaping Rewrite,
    when guardTest: @escaping @Sendable (Match) -> Bool = { _ in true }, exactness: Exactness = .exact,
    mayDiffer: SpecialValues = [], phase: Phase, witness: @escaping Witness, refusals: [Witness] = []
  ) {
    self.name = name
    self.summary = summary
    self.find = find
    self.rewrite = rewrite
    self.guardTest = guardTest
    self.exactness = exactness
    self.mayDiffer = mayDiffer
    self.phase = phase
    self.witness = witness
    self.refusals = refusals
  }

  /// A rule whose replacement is a pattern over the same captures.
  package init(
    _ name: String, _ summary: String, find: Pattern, replace: Pattern,
    when guardTest: @escaping @Sendable (Match) -> Bool = { _ in true }, exactness: Exactness = .exact,
    mayDiffer: SpecialValues = [], phase: Phase, witness: @escaping Witness, refusals: [Witness] = []
  ) {
    self.init(
      name, summary, find: find, rewrite: { match, draft in try draft.build(replace, match) }, when: guardTest,
      exactness: exactness, mayDiffer: mayDiffer, phase: phase, witness: witness, refusals: refusals)
  }

  /// The key of the nodes that the rule can be rooted at.
  var rootKey: String {
    switch find {
    case .node(let node): return node.key
    case .oneOf(let patterns):
      let keys = patterns.map { if case .node(let node) = $0 { node.key } else { "" } }
      return keys.allSatisfy { $0 == keys.first } ? keys.first ?? "" : ""
    default: return ""
    }
  }
}

/// A rule that costs nothing to hand on.
final class SharedRule: Sendable {
  let rule: Rule
  let find: Pattern

  init(_ rule: Rule) {
    self.rule = rule
    find = rule.find
  }
}

/// Collects a small graph with random shapes, as a rule's witness.
package struct WitnessBuilder {
  package var graph: Graph
  package var random: SeededRandom
  private var counter = 0

  package init(graph: Graph = Graph(name: "witness"), random: SeededRandom) {
    self.graph = graph
    self.random = random
  }

  /// A float32 input.
  package mutating func input(_ dims: [Dim], _ dtype: DType = .float32) throws -> ValueID {
    counter += 1
    return try graph.addInput("x\(counter)_\(graph.inputs.count)", TensorType(dtype, dims))
  }

  /// A constant of normal float32 numbers, or positive ones.
  package mutating func weights(_ shape: Shape, positive: Bool = false) throws -> ValueID {
    let values = (0..<shape.elementCount).map { _ in positive ? 0.5 + random.uniform() : random.normal() }
    return graph.addConstant("w", try Tensor(converting: values, to: .float32, shape: shape))
  }

  package mutating func constant(_ values: [Double], _ shape: Shape, _ dtype: DType = .float32) throws -> ValueID {
    graph.addConstant("c", try Tensor(converting: values, to: dtype, shape: shape))
  }

  package mutating func scalar(_ value: Double, _ dtype: DType = .float32) throws -> ValueID {
    try constant([value], [], dtype)
  }

  package mutating func add(_ op: any OpDefinition, _ operands: ValueID...) throws -> ValueID {
    counter += 1
    return try graph.addOne(op, operands, name: "n\(counter)", scope: "witness")
  }

  package mutating func add(_ function: ScalarFunction, _ operands: ValueID...) throws -> ValueID {
    counter += 1
    return try graph.addOne(Elementwise(function), operands, name: "n\(counter)", scope: "witness")
  }

  /// Output `index` of a node with several results.
  package mutating func addMany(_ op: any OpDefinition, _ operands: [ValueID]) throws -> [ValueID] {
    counter += 1
    return try graph.add(op, operands, name: "n\(counter)", scope: "witness")
  }

  /// Random dims of a small matrix.
  package mutating func matrix() -> [Dim] { [Dim(size(1...4)), Dim(size(1...9))] }

  /// A number from a range.
  package mutating func size(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(random.next() % UInt64(range.count))
  }
}

/// A small generator of reproducible random numbers (SplitMix64).
package struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64
  package init(_ seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number from 0 to below 1.
  package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// About a standard normal number: the sum of 12 uniform ones less 6.
  package mutating func normal() -> Double { (0..<12).reduce(-6.0) { sum, _ in sum + uniform() } }
}

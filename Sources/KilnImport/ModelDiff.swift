import GraphModule
import GraphOptimizer
import ModelFile
import ModelFormats
import TensorModule

/// Runs two models on the same inputs and finds the first node where they part.
///
/// Values are aligned by what they hold: a value of one model has a counterpart in the other when that has a value of the same
/// numbers, if need be with its axes in another order. So models of different formats, and models of which one fuses what the
/// other computes step by step, can be compared. The first difference is the first node whose operands have counterparts, and
/// neither its result nor anything computed from it has one.
public struct ModelDiff: Sendable {
  /// What is to be compared, and how.
  public struct Options: Sendable {
    /// The largest |a − b| that counts as equal, relative to the largest |a| of the value.
    public var tolerance = 1e-4
    public var seed: UInt64 = 1
    /// Inputs by name, in place of drawn ones.
    public var inputs: [String: Tensor] = [:]
    public var importing = ImportOptions()

    public init() {}
  }

  /// A node of one of the models.
  public struct Place: Sendable {
    public var name: String
    public var op: String
    public var scope: String
    public var type: String
  }

  /// The first node where the models part.
  public struct Difference: Sendable {
    public var first: Place?
    public var second: Place?
    /// The largest |a − b|, where both results have one shape.
    public var error: Double?
    /// The largest |a|.
    public var scale: Double?
    /// What may be the cause, the likeliest first.
    public var causes: [Cause]
  }

  /// What may be the cause of a difference.
  public struct Cause: Sendable, Hashable {
    /// `kernel-flip`, `gate-order`, `padding`, `epsilon`, `layout`, `transposed-weight`, `missing-activation`, `activation`, `weights`, `attribute`.
    public var kind: String
    public var text: String
  }

  /// How an output of both came out.
  public struct Output: Sendable {
    public var first: String
    public var second: String
    public var error: Double?
    public var agrees: Bool
  }

  public var outputs: [Output] = []
  public var difference: Difference?
  /// How many nodes of the first model have a counterpart, of how many.
  public var aligned = 0
  public var nodes = 0
  public var notes: [String] = []

  public var isEqual: Bool { outputs.allSatisfy(\.agrees) }

  /// Compares two model files.
  ///
  /// - Parameter run: computes the outputs of a graph from its inputs.
  /// - Throws: `KilnError` when a file cannot be read, or the models do not take the same inputs.
  package static func compare(
    _ first: String, _ second: String, options: Options, isolation: ModelImport.Isolation, isCancelled: () -> Bool = { false },
    run: (Graph, [Tensor]) throws -> [Tensor]
  ) throws -> ModelDiff {
    let graphs = try [first, second].map { path in
      try ModelImport.load(path, options: options.importing, isolation: isolation, isCancelled: isCancelled).graph
    }
    return try compare(graphs[0], graphs[1], options: options, run: run)
  }

  /// Compares two graphs.
  package static func compare(
    _ first: Graph, _ second: Graph, options: Options, run: (Graph, [Tensor]) throws -> [Tensor]
  ) throws -> ModelDiff {
    // Spellings of one thing become one, transposes cancel; weights stay as they are in the files.
    let (a, b) = (try canonical(first), try canonical(second))
    var diff = ModelDiff()
    let inputs = try DiffInputs(a, b, options).draw(&diff.notes)
    let (left, right) = (try DiffTrace(a, inputs.first, options.tolerance, run), try DiffTrace(b, inputs.second, options.tolerance, run))
    guard a.outputs.count == b.outputs.count else {
      throw KilnError(.badInput, "the models have \(a.outputs.count) and \(b.outputs.count) outputs")
    }
    for (x, y) in zip(a.outputs, b.outputs) {
      let error = left.error(x.value, right, y.value)
      diff.outputs.append(Output(first: x.name, second: y.name, error: error, agrees: left.matches(x.value, right, y.value)))
    }
    let alignment = DiffAlignment(left, right)
    diff.nodes = a.nodes.count
    diff.aligned = alignment.alignedNodes
    if !diff.isEqual { diff.difference = alignment.difference() }
    return diff
  }

  private static func canonical(_ graph: Graph) throws -> Graph {
    var graph = graph
    graph.states = []
    // What a file computes from constants alone is computed; batch norms stay batch norms.
    let rules = RuleCatalog.rules.filter { $0.phase == .canonicalise || $0.phase == .simplify }
    return try Optimizer.run(graph, .portable, rules: rules).graph
  }
}

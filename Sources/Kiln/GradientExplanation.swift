import GraphModule
import InferenceRuntime
import ModelFile
import TensorModule
import Training

/// What a step of training runs: the gradient graph after the optimizer, and how much memory its plan takes.
public struct GradientExplanation {
  /// The graph in its text form.
  public let graphText: String
  /// Bytes for activations and what lies between.
  public let arenaBytes: Int
  /// The same with activations kept, and with them computed again.
  public let keptBytes: Int
  public let recomputedBytes: Int
  public let nodeCount: Int
  /// How many values the backward part reads of the forward part.
  public let keptCount: Int

  /// - Parameters:
  ///   - path: a `.kiln` that was imported for training.
  ///   - batch: samples in the step.
  ///   - loss: in the place of the file's own.
  ///   - recomputes: shows the step that computes activations again.
  ///   - precision: what it computes in.
  public init(contentsOf path: String, batch: Int, loss: LossConfiguration?, recomputes: Bool = false, precision: TrainingPrecision = .float32) throws {
    var options = FineTuning.Options()
    options.loss = loss
    options.metrics = []
    (options.threads, options.precision) = (1, precision)
    let trainer = try FineTuning(contentsOf: path, options: options).trainer
    let (graph, report) = try trainer.explanation(batch: batch, recomputes: recomputes)
    let other = try trainer.explanation(batch: batch, recomputes: !recomputes).report.arenaBytes
    (keptBytes, recomputedBytes) = recomputes ? (other, report.arenaBytes) : (report.arenaBytes, other)
    graphText = TextForm.print(graph)
    arenaBytes = report.arenaBytes
    nodeCount = graph.nodes.count
    let isBackward = { (node: Node) in node.scope.hasPrefix("gradient") }
    let forward = Set(graph.nodes.filter { !isBackward($0) }.flatMap(\.outputs))
    keptCount = Set(graph.nodes.filter(isBackward).flatMap(\.inputs)).intersection(forward).count
  }

  /// The graph, then a line on memory.
  public var text: String {
    graphText + "# \(nodeCount) nodes; activations and temporaries \(arenaBytes) bytes (\(keptBytes) kept, \(recomputedBytes) with --recompute), \(keptCount) values kept for the backward part\n"
  }
}

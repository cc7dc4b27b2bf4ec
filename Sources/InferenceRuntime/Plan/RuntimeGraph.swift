import GraphModule
import GraphOptimizer

/// Brings a portable graph to the form that plans are made of.
package enum RuntimeGraph {
  /// The graph with arithmetic of 16-bit floats widened, after all phases of the optimizer; those of the import find
  /// little left to do.
  package static func prepare(_ graph: Graph) throws -> Graph {
    let (lifted, initial) = graph.liftingStates()
    return try Optimizer.run(WindowDecomposition.apply(widened(lifted)), .all).graph.loweringStates(initial)
  }
}

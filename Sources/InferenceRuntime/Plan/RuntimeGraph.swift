import GraphModule
import GraphOptimizer

/// Brings a portable graph to the form that plans are made of.
package enum RuntimeGraph {
  /// The graph after the optimizer's fuse and lower phases.
  package static func prepare(_ graph: Graph) throws -> Graph {
    graph.compacted()
  }
}

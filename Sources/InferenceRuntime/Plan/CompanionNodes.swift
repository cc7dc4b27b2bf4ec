import CKernels
import GraphModule

extension Graph {
  /// The graph with sequential nodes that do not depend on each other (the directions of a bidirectional layer) next to
  /// each other, and their groups.
  ///
  /// - Parameter most: nodes of a group.
  func groupingSequences(atMost most: Int) -> (graph: Graph, groups: [Range<Int>]) {
    guard most > 1, nodes.filter(Graph.isSequential).count > 1 else { return (self, []) }
    var graph = self
    var groups: [Range<Int>] = []
    var start = 0
    while start < graph.nodes.count {
      var group = start..<start + 1
      if Graph.isSequential(graph.nodes[start]) {
        while group.count < most, let next = graph.companion(of: group) {
          let nodes = graph.nodes
          let taken = Set(next.needed + [next.index])
          graph.nodes = nodes[..<group.lowerBound] + next.needed.map { nodes[$0] } + nodes[group] + [nodes[next.index]]
            + nodes.indices[group.upperBound...].filter { !taken.contains($0) }.map { nodes[$0] }
          group = group.lowerBound + next.needed.count..<group.upperBound + next.needed.count + 1
        }
        if group.count > 1 { groups.append(group) }
      }
      start = group.upperBound
    }
    return (graph, groups)
  }

  private static func isSequential(_ node: Node) -> Bool { (node.op as? any CPUBinding)?.isSequential ?? false }

  /// A sequential node soon after the group that can run with it, and the nodes between that it needs.
  private func companion(of group: Range<Int>) -> (index: Int, needed: [Int])? {
    let made = Set(nodes[group].flatMap(\.outputs))
    for index in group.upperBound..<min(nodes.count, group.upperBound + 12) where Graph.isSequential(nodes[index]) {
      var wanted = Set(nodes[index].inputs)
      var needed: [Int] = []
      for earlier in (group.upperBound..<index).reversed() where nodes[earlier].outputs.contains(where: wanted.contains) {
        wanted.formUnion(nodes[earlier].inputs)
        needed.append(earlier)
      }
      if wanted.isDisjoint(with: made) { return (index, needed.reversed()) }
    }
    return nil
  }
}

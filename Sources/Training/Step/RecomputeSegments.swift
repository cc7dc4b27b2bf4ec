import GraphModule
import TensorModule

/// Cuts the forward part of a step into runs whose values are computed again for the derivative, so that only what lies between
/// them is kept.
enum RecomputeSegments {
  private static let mostSegments = 64

  /// The runs but for the last, whose values the derivative reads first; none where cutting saves nothing.
  ///
  /// As many runs, cut at places where little is handed on, as make the sum of what is kept and the largest run smallest: about
  /// the square root of the depth for layers of one size.
  static func choose(_ graph: Graph) -> [Range<Int>] {
    let count = graph.nodes.count
    let sizes = graph.nodes.map { node in node.outputs.reduce(0) { $0 + bytes(graph, $1) } }
    let handed = handedOn(graph)
    // sums[i]: of the nodes before i.
    var sums = [0]
    for size in sizes { sums.append(sums[sums.count - 1] + size) }
    let total = sums[count]
    var best: (cost: Int, cuts: [Int]) = (total, [])
    guard count >= 2 else { return [] }
    for segments in 2...min(mostSegments, max(2, count / 2)) {
      let window = max(1, count / (4 * segments))
      var cuts: [Int] = []
      for index in 1..<segments {
        let target = sums.firstIndex { $0 >= total / segments * index } ?? count
        let near = (max(1, target - window)...min(count - 1, max(1, target + window)))
        guard let cut = near.min(by: { (handed[$0], abs($0 - target)) < (handed[$1], abs($1 - target)) }), cut > cuts.last ?? 0 else { continue }
        cuts.append(cut)
      }
      let bounds = [0] + cuts + [count]
      let largest = zip(bounds, bounds.dropFirst()).map { sums[$1] - sums[$0] }.max() ?? 0
      let cost = largest + cuts.reduce(0) { $0 + handed[$1] }
      if cost < best.cost { best = (cost, cuts) }
    }
    let bounds = [0] + best.cuts
    return zip(bounds, bounds.dropFirst()).map { $0..<$1 }
  }

  private static func bytes(_ graph: Graph, _ value: ValueID) -> Int {
    let type = graph.type(of: value)
    return (type.shape?.elementCount ?? 0) * type.dtype.byteCount
  }

  /// For each place among the nodes, the bytes that nodes before it hand to nodes from it on.
  private static func handedOn(_ graph: Graph) -> [Int] {
    var last: [ValueID: Int] = [:]
    for (place, node) in graph.nodes.enumerated() { for input in node.inputs { last[input] = place } }
    var changes = [Int](repeating: 0, count: graph.nodes.count + 2)
    for (place, node) in graph.nodes.enumerated() {
      for output in node.outputs {
        guard let end = last[output], end > place else { continue }
        changes[place + 1] += bytes(graph, output)
        changes[end + 1] -= bytes(graph, output)
      }
    }
    var sum = 0
    return changes.map { change in
      sum += change
      return sum
    }
  }
}

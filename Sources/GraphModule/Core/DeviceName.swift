/// A device as a node names it: `/job:worker/task:1/device:GPU:0`, `/gpu:1`, `cpu`.
package struct DeviceName: Hashable, Sendable {
  /// In capital letters: `CPU`, `GPU`.
  package let kind: String
  /// Which one of its kind; nil when the name does not say, or leaves it open (`*`).
  package let index: Int?

  /// - Returns: nil when the text names no kind of device.
  package init?(_ text: String) {
    var found: (kind: String, index: Int?)?
    for part in text.split(separator: "/") {
      var words = part.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard let first = words.first, !["job", "replica", "task"].contains(first.lowercased()) else { continue }
      if first.lowercased() == "device" { words.removeFirst() }
      guard let kind = words.first, !kind.isEmpty, kind != "*" else { continue }
      found = (kind.uppercased(), words.count > 1 ? Int(words[1]) : nil)
    }
    guard let found else { return nil }
    kind = found.kind
    index = found.index
  }

  /// Whether two nodes may become one: unless both name devices that differ.
  package static func agree(_ left: String, _ right: String) -> Bool {
    if left == right { return true }
    guard let a = DeviceName(left), let b = DeviceName(right) else { return true }
    return a.kind == b.kind && (a.index == nil || b.index == nil || a.index == b.index)
  }
}

extension Graph {
  /// How many nodes name each device, by the text that they name it with; loops' and branches' nodes included.
  package var deviceCounts: [String: Int] {
    var counts: [String: Int] = [:]
    var open = [self]
    while let graph = open.popLast() {
      for node in graph.nodes {
        if !node.device.isEmpty { counts[node.device, default: 0] += 1 }
        if let control = node.op as? any ControlFlowOp { open += control.subgraphs }
      }
    }
    return counts
  }
}

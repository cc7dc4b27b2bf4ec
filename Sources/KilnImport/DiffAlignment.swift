import GraphModule
import TensorModule

/// Which values of two models are the same, and where that ends.
struct DiffAlignment {
  private let left: DiffTrace
  private let right: DiffTrace
  /// A counterpart of each value that has one.
  private var rightOf: [ValueID: ValueID] = [:]
  private var leftOf: [ValueID: ValueID] = [:]

  init(_ left: DiffTrace, _ right: DiffTrace) {
    (self.left, self.right) = (left, right)
    let others = right.values.filter(right.isTelling)
    // A counterpart stands most often at about the same place.
    var next = 0
    for id in left.values where left.isTelling(id) {
      let order = Array(others[min(next, others.count)...]) + others[..<min(next, others.count)].reversed()
      guard let found = order.first(where: { left.matchesTurned(id, right, $0) }) else { continue }
      rightOf[id] = found
      if leftOf[found] == nil { leftOf[found] = id }
      next = others.firstIndex(of: found) ?? next
    }
    for id in right.values where right.isTelling(id) && leftOf[id] == nil {
      leftOf[id] = left.values.first { left.isTelling($0) && left.matchesTurned($0, right, id) }
    }
  }

  var alignedNodes: Int { left.graph.nodes.filter { node in node.outputs.contains { rightOf[$0] != nil || !left.isTelling($0) } }.count }

  /// The nodes whose operands are the same in both models, and whose results are lost for good.
  private func frontier(_ trace: DiffTrace, _ counterpart: [ValueID: ValueID], strict: Bool) -> [Int] {
    let graph = trace.graph
    // A value that something later makes up for.
    var recovered: Set<ValueID> = []
    for node in graph.nodes.reversed() where node.outputs.contains(where: { counterpart[$0] != nil || recovered.contains($0) }) && strict {
      recovered.formUnion(node.inputs)
    }
    func isFine(_ id: ValueID) -> Bool {
      graph.constants[id] != nil || counterpart[id] != nil || recovered.contains(id) || !trace.isTelling(id)
    }
    return graph.nodes.indices.filter { index in
      let node = graph.nodes[index]
      let isLost = node.outputs.contains { !isFine($0) } && !node.outputs.contains { counterpart[$0] != nil || recovered.contains($0) }
      return isLost && node.inputs.allSatisfy(isFine)
    }
  }

  /// The first difference.
  func difference() -> ModelDiff.Difference {
    var (first, second) = (frontier(left, rightOf, strict: true), frontier(right, leftOf, strict: true))
    if first.isEmpty { first = frontier(left, rightOf, strict: false) }
    if second.isEmpty { second = frontier(right, leftOf, strict: false) }
    let here = first.first.map { left.graph.nodes[$0] }
    // Of the other model's nodes that are lost, the one that reads the same.
    let nodes = second.map { right.graph.nodes[$0] }
    let sources = Set((here?.inputs ?? []).compactMap { rightOf[$0] })
    let near = nodes.filter { node in node.inputs.contains { id in sources.contains(id) || leftOf[id].map { here?.inputs.contains($0) == true } ?? false } }
    let there = near.first { node in here.map { node.op.opName == $0.op.opName } ?? false } ?? near.first ?? nodes.first
    var difference = ModelDiff.Difference(first: here.map { place($0, left) }, second: there.map { place($0, right) }, error: nil, scale: nil, causes: [])
    if let here, let there, let x = here.outputs.first, let y = there.outputs.first {
      difference.error = left.error(x, right, y)
      difference.scale = left.scale(x)
    }
    difference.causes = DiffCauses(left, right, here, there).list
    return difference
  }

  private func place(_ node: Node, _ trace: DiffTrace) -> ModelDiff.Place {
    let id = node.outputs.first
    let shape = id.flatMap { trace.tensor($0) }.map { "\($0.dtype.name)\($0.shape.shapeText)" }
    return ModelDiff.Place(name: id.map { trace.graph[$0].name } ?? "", op: DiffAlignment.title(node.op), scope: node.scope, type: shape ?? "")
  }

  /// An op by name, an elementwise one by its function.
  static func title(_ op: any OpDefinition) -> String { (op as? Elementwise)?.function.rawValue ?? op.opName }
}

import GraphModule
import ModelFile
import TensorModule

/// A model layer by layer, as Keras's `summary()` shows it.
package struct ModelSummary {
  package struct Row {
    /// The layer's path, or the node's name when it came from no layer.
    package let name: String
    package let ops: [String]
    package let nodes: Int
    /// The devices that the source file names for its nodes.
    package let devices: [String]
    package let output: TensorType
    package let parameters: Int
    /// For the lengths in `bindings`; nil when no lengths were found for which every op takes its operands.
    package let flops: Int?
  }

  package let rows: [Row]
  package let model: StoredModel
  /// What the symbols stand for in `flops`.
  package let bindings: [(symbol: String, length: Int)]

  package var parameters: Int { rows.reduce(0) { $0 + $1.parameters } }
  package var flops: Int? { rows.allSatisfy { $0.flops != nil } ? rows.reduce(0) { $0 + ($1.flops ?? 0) } : nil }

  /// - Parameter depth: layers deeper than this are folded into the one that holds them; nil folds nothing.
  package init(_ model: StoredModel, depth: Int? = nil) {
    let graph = model.graph
    let (bound, bindings) = ReferenceCheck.bound(graph)
    var order: [String] = []
    var nodes: [String: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      let name = ModelSummary.layer(node, graph, depth)
      if nodes[name] == nil { order.append(name) }
      nodes[name, default: []].append(index)
    }
    var counted: Set<ValueID> = []
    rows = order.map { name in
      let indices = nodes[name] ?? []
      var ops: [String] = []
      var parameters = 0
      var flops: Int? = 0
      for index in indices {
        let node = graph.nodes[index]
        let op = ModelSummary.opText(node)
        if !ops.contains(op) { ops.append(op) }
        for input in node.inputs {
          if let tensor = graph.constants[input], tensor.dtype.isFloat, tensor.count > 1, counted.insert(input).inserted {
            parameters += tensor.count
          }
        }
        flops = bound.flatMap { bound in
          let node = bound.nodes[index]
          let work = node.op.flops(node.inputs.map { bound.type(of: $0) }, node.outputs.map { bound.type(of: $0) })
          return flops.map { $0 + work }
        }
      }
      let last = indices.last.map { graph.nodes[$0] }
      let output = last?.outputs.first.map { graph.type(of: $0) } ?? TensorType(.float32, [])
      let devices = Set(indices.map { graph.nodes[$0].device }).subtracting([""]).sorted()
      return Row(
        name: name, ops: ops, nodes: indices.count, devices: devices, output: output, parameters: parameters, flops: flops)
    }
    self.model = model
    self.bindings = bindings
  }

  private static func layer(_ node: Node, _ graph: Graph, _ depth: Int?) -> String {
    if node.scope.isEmpty { return node.outputs.first.map { graph[$0].name } ?? "" }
    guard let depth else { return node.scope }
    return node.scope.split(separator: "/").prefix(depth).joined(separator: "/")
  }

  private static func opText(_ node: Node) -> String {
    (node.op as? Elementwise).map(\.function.rawValue) ?? node.op.opName
  }
}

import TensorModule

/// The order in which Keras 3 lists the layers of a Functional model: by depth from the outputs, and within one depth as a walk
/// from the outputs meets them. Trees of objects and legacy groups number and list layers in this order.
///
/// Keras 3 computes masks by functions of its own, which are nodes of the graph and make what is before them deeper; Keras 2 does not.
enum LayerOrder {
  /// A call of a layer; layers beyond the model's own are functions that compute masks.
  struct Call: Hashable {
    var layer: Int
    var call: Int
  }

  /// The layers in Keras's order, those that no output needs left out but for inputs.
  static func sorted(_ model: WrittenModel, countsMasks: Bool = true) -> [WrittenLayer] {
    let layers = model.layers
    let index = Dictionary(layers.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    func call(_ reference: KerasReference) -> Call? { index[reference.layer].map { Call(layer: $0, call: reference.call) } }
    let inputs = Set(model.inputs.leaves.compactMap(call))
    var masks = MaskNodes(count: layers.count, call: call)
    // A layer's arguments by position, then those by name in the order of the names.
    func parents(_ node: Call) -> [Call] {
      if let found = masks.parents(ofFunction: node) { return found }
      let calls = layers[node.layer].calls
      guard !inputs.contains(node), calls.indices.contains(node.call) else { return [] }
      let made = calls[node.call]
      let named = made.keywords.map { ($0.key, $0.value.leaves.compactMap(call)) } + (masks.arguments[node] ?? [])
      return made.arguments.flatMap(\.leaves).compactMap(call) + named.sorted { $0.0 < $1.0 }.flatMap(\.1)
    }
    let outputs = model.outputs.leaves.compactMap(call)
    var (order, indices) = walk(from: outputs, parents)
    if countsMasks {
      for node in order where !inputs.contains(node) { masks.add(node, layers[node.layer]) }
      if !masks.arguments.isEmpty { (order, indices) = walk(from: outputs, parents) }
    }
    var nodeDepths: [Call: Int] = [:]
    var depths: [Int: Int] = [:]
    for node in order.reversed() {
      let depth = max(nodeDepths[node] ?? 0, depths[node.layer] ?? 0)
      depths[node.layer] = depth
      nodeDepths[node] = depth
      for parent in parents(node) { nodeDepths[parent] = max(depth + 1, nodeDepths[parent] ?? 0) }
    }
    for input in model.inputs.leaves.compactMap(call) where depths[input.layer] == nil {
      depths[input.layer] = 0
      indices[input.layer] = -1
    }
    return layers.indices.filter { depths[$0] != nil }.sorted { left, right in
      (-(depths[left] ?? 0), indices[left] ?? 0, left) < (-(depths[right] ?? 0), indices[right] ?? 0, right)
    }.map { layers[$0] }
  }

  /// The calls that the outputs need, each behind its parents, and the place at which the walk met each layer first.
  private static func walk(from outputs: [Call], _ parents: (Call) -> [Call]) -> (order: [Call], indices: [Int: Int]) {
    var indices: [Int: Int] = [:]
    var finished: Set<Call> = []
    var order: [Call] = []
    for output in outputs {
      // Depth-first with a stack of our own: files decide how deep it goes. A call is met, then its parents, then it is done.
      var stack: [(node: Call, parents: [Call], next: Int)] = []
      var open: Set<Call> = []
      func enter(_ node: Call) {
        guard !finished.contains(node), open.insert(node).inserted else { return }
        if indices[node.layer] == nil { indices[node.layer] = indices.count }
        stack.append((node, parents(node), 0))
      }
      enter(output)
      while let top = stack.last {
        if top.next < top.parents.count {
          stack[stack.count - 1].next += 1
          enter(top.parents[top.next])
        } else {
          finished.insert(top.node)
          order.append(top.node)
          stack.removeLast()
        }
      }
    }
    return (order, indices)
  }
}

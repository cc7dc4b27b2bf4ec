import GraphModule
import TensorModule

/// Makes a step keep its activations in 16 bits, and multiply what was rounded to them.
///
/// A value that is rounded is a `cast` to the 16-bit dtype and one back: all that comes later reads the second, the derivative
/// keeps the first (`GradientTape.kept`). The derivative of both rounds the cotangent too. Rounded are the factors of products
/// and what the derivative reads of the forward part; not statistics (sums, means and what follows from them alone), variables
/// outside of products, and the loss.
struct MixedPrecision {
  let dtype: DType
  /// The graph of the forward part and the loss.
  let graph: Graph
  /// How many of its nodes are the model's, which come first.
  let modelNodes: Int

  private let statistics: Set<ValueID>

  init(_ dtype: DType, _ graph: Graph, modelNodes: Int) {
    (self.dtype, self.graph, self.modelNodes) = (dtype, graph, modelNodes)
    statistics = Self.statistics(graph)
  }

  /// The graph with its values rounded, and where its values are there.
  ///
  /// - Parameter kept: what the derivative reads of the graph.
  func apply(kept: Set<ValueID>) throws -> (graph: Graph, map: [ValueID: ValueID]) {
    var out = Graph(name: graph.name)
    out.metadata = graph.metadata
    var map: [ValueID: ValueID] = [:]
    for input in graph.inputs { map[input] = try out.addInput(graph[input].name, graph.type(of: input)) }
    for (id, tensor) in graph.constants.sorted(by: { $0.key.index < $1.key.index }) { map[id] = out.addConstant(graph[id].name, tensor) }
    // The 16-bit values and what they are when they are widened, by value of the graph.
    var narrow: [ValueID: ValueID] = [:]
    var rounded: [ValueID: ValueID] = [:]
    func round(_ id: ValueID, _ value: ValueID, _ scope: String) throws -> ValueID {
      if let made = rounded[id] { return made }
      let small = try narrow[id] ?? out.addOne(Cast(dtype), [value], name: "\(graph[id].name)/\(dtype.name)", scope: scope)
      let wide = try out.addOne(Cast(.float32), [small], name: "\(graph[id].name)/float32", scope: scope)
      (narrow[id], rounded[id]) = (small, wide)
      return wide
    }
    for (place, node) in graph.nodes.enumerated() {
      let factors = place < modelNodes ? (node.op as? any ProductOp)?.factorCount ?? 0 : 0
      let operands = try node.inputs.enumerated().map { index, id -> ValueID in
        guard let value = map[id] else { throw KilnError(.internal, "'\(graph[id].name)' is used before it is made") }
        return index < factors && graph.type(of: id).dtype == .float32 ? try round(id, value, node.scope) : value
      }
      let name = node.outputs.first.map { graph[$0].name } ?? node.op.opName
      for (old, new) in zip(node.outputs, try out.add(node.op, operands, name: name, scope: node.scope, device: node.device)) { map[old] = new }
      guard place < modelNodes else { continue }
      // Another shape of what is kept already.
      if node.op is Reshape, let small = narrow[node.inputs[0]] {
        narrow[node.outputs[0]] = try out.addOne(node.op, [small], name: "\(name)/\(dtype.name)", scope: node.scope)
      }
      for output in node.outputs where kept.contains(output) && graph.type(of: output).dtype == .float32 && !statistics.contains(output) {
        if let value = map[output] { map[output] = try round(output, value, node.scope) }
      }
    }
    return (out, map)
  }

  /// Sums and means, and what is computed from them and from variables alone, until a product takes them in.
  private static func statistics(_ graph: Graph) -> Set<ValueID> {
    let fixed = Set(graph.inputs).union(graph.constants.keys)
    var found: Set<ValueID> = []
    for node in graph.nodes where !(node.op is any ProductOp) {
      let computed = node.inputs.filter { !fixed.contains($0) }
      if node.op is Reduce || !computed.isEmpty && computed.allSatisfy(found.contains) { found.formUnion(node.outputs) }
    }
    return found
  }
}

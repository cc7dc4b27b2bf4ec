import GraphModule
import TensorModule

extension RuntimeGraph {
  /// The graph with float16 and bfloat16 arithmetic done in float32, for which there are kernels.
  ///
  /// Constants are widened now. Values are rounded to 16 bits where a `cast` of the graph says so, and at the outputs, as
  /// the ops' definitions do; what is only kept between such a `cast` and its readers is kept in 16 bits. Inputs and outputs
  /// keep their dtypes; a graph without 16-bit floats comes back unchanged.
  static func widened(_ graph: Graph) throws -> Graph { try widened(graph, isInner: false) }

  /// - Parameter isInner: the graph is a subgraph, whose inputs and outputs are widened as well.
  private static func widened(_ graph: Graph, isInner: Bool) throws -> Graph {
    guard hasNarrow(graph) else { return graph }
    var out = Graph(name: graph.name)
    out.metadata = graph.metadata
    var map: [ValueID: ValueID] = [:]
    for input in graph.inputs {
      let type = graph.type(of: input)
      let id = try out.addInput(graph[input].name, isInner && isNarrow(type.dtype) ? type.with(dtype: .float32) : type)
      map[input] = try isNarrow(type.dtype) && !isInner ? out.addOne(Cast(.float32), [id], name: graph[input].name) : id
    }
    for (id, tensor) in graph.constants.sorted(by: { $0.key.index < $1.key.index }) {
      map[id] = out.addConstant(graph[id].name, isNarrow(tensor.dtype) ? try tensor.converted(to: .float32) : tensor)
    }
    // Values as the graph has them; in `map` widened ones, which are made where they are read.
    var narrow: [ValueID: ValueID] = [:]
    func wide(_ id: ValueID) throws -> ValueID {
      if let made = map[id] { return made }
      guard let kept = narrow[id] else { throw KilnError(.internal, "'\(graph[id].name)' is used before it is made") }
      let made = try out.addOne(Cast(.float32), [kept], name: graph[id].name)
      map[id] = made
      return made
    }
    for node in graph.nodes {
      let name = node.outputs.first.map { graph[$0].name } ?? node.op.opName
      func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> [ValueID] {
        try out.add(op, operands, name: name, scope: node.scope, device: node.device)
      }
      if node.op is Cast || node.op is Reshape || node.op is After, let kept = narrow[node.inputs[0]] {
        let results = try add(node.op, [kept] + node.inputs.dropFirst().map { try map[$0] ?? narrow[$0] ?? wide($0) })
        let isKept = isNarrow(graph.type(of: node.outputs[0]).dtype)
        if isKept { narrow[node.outputs[0]] = results[0] } else { map[node.outputs[0]] = results[0] }
        continue
      }
      let operands = try node.inputs.map(wide)
      if let cast = node.op as? Cast, isNarrow(cast.dtype) {
        narrow[node.outputs[0]] = try add(cast, operands)[0]
        continue
      }
      var op = Self.wide(node.op)
      if let control = op as? any ControlFlowOp {
        op = control.replacing(subgraphs: try control.subgraphs.map { try widened($0, isInner: true) })
      }
      for (old, new) in zip(node.outputs, try add(op, operands)) { map[old] = new }
    }
    out.outputs = try graph.outputs.map { output in
      let dtype = graph.type(of: output.value).dtype
      if !isInner, let kept = narrow[output.value] { return Graph.Output(name: output.name, value: kept) }
      let value = try wide(output.value)
      let result = isNarrow(dtype) && !isInner ? try out.addOne(Cast(dtype), [value], name: output.name) : value
      return Graph.Output(name: output.name, value: result)
    }
    return out
  }

  /// The op where an attribute asks for a 16-bit result. A `cast` keeps its dtype: it rounds.
  private static func wide(_ op: any OpDefinition) -> any OpDefinition {
    guard var oneHot = op as? OneHot, isNarrow(oneHot.dtype) else { return op }
    oneHot.dtype = .float32
    return oneHot
  }

  private static func hasNarrow(_ graph: Graph) -> Bool {
    graph.values.contains { isNarrow($0.type.dtype) }
      || graph.nodes.contains { ($0.op as? any ControlFlowOp)?.subgraphs.contains(where: hasNarrow) ?? false }
  }

  private static func isNarrow(_ dtype: DType) -> Bool { dtype == .float16 || dtype == .bfloat16 }
}

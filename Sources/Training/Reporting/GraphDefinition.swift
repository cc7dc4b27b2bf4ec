import GraphModule
import TensorModule

/// A graph as TensorFlow's `GraphDef`, for TensorBoard's page of graphs: it folds nodes by the slashes in their names, which
/// are the scopes here.
package enum GraphDefinition {
  package static func bytes(_ graph: Graph) -> [UInt8] {
    var names: [ValueID: String] = [:]
    var taken: Set<String> = []
    func unique(_ wanted: String) -> String {
      var (name, number) = (wanted, 0)
      while !taken.insert(name).inserted {
        number += 1
        name = "\(wanted)_\(number)"
      }
      return name
    }
    var definition = WireMessage()
    func add(_ name: String, _ op: String, _ inputs: [String], _ types: [TensorType]) {
      definition.add(1) { node in
        node.add(1, name)
        node.add(2, op)
        for input in inputs { node.add(3, input) }
        node.add(5) { entry in
          entry.add(1, "_output_shapes")
          entry.add(2) { $0.add(1) { list in for type in types { list.add(7) { shape(&$0, type) } } } }
        }
      }
    }
    for id in graph.inputs {
      let name = unique(clean(graph[id].name))
      names[id] = name
      add(name, "Placeholder", [], [graph.type(of: id)])
    }
    // A constant goes into the scope of its first reader, where its own name does not say one.
    var scopes: [ValueID: String] = [:]
    for node in graph.nodes { for input in node.inputs where scopes[input] == nil { scopes[input] = node.scope } }
    for id in graph.constants.keys.sorted(by: { $0.index < $1.index }) {
      let own = clean(graph[id].name)
      let scope = clean(scopes[id] ?? "")
      let name = unique(scope.isEmpty || own.hasPrefix(scope + "/") ? own : "\(scope)/\(own.split(separator: "/").last ?? "constant")")
      names[id] = name
      add(name, "Const", [], [graph.type(of: id)])
    }
    for node in graph.nodes {
      let scope = clean(node.scope)
      let name = unique(scope.isEmpty ? node.op.opName : "\(scope)/\(node.op.opName)")
      for (index, output) in node.outputs.enumerated() { names[output] = index == 0 ? name : "\(name):\(index)" }
      add(name, node.op.opName, node.inputs.compactMap { names[$0] }, node.outputs.map(graph.type(of:)))
    }
    for output in graph.outputs {
      guard let source = names[output.value] else { continue }
      add(unique(clean(output.name)), "Identity", [source], [graph.type(of: output.value)])
    }
    definition.add(4) { $0.add(1, 1087) }
    return definition.bytes
  }

  private static func shape(_ message: inout WireMessage, _ type: TensorType) {
    for dim in type.dims { message.add(2) { $0.add(1, dim.fixed ?? -1) } }
  }

  /// A name of the letters that TensorFlow allows.
  private static func clean(_ name: String) -> String {
    let parts = name.split(separator: "/").map { part in
      String(part.map { $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) ? $0 : "_" })
    }
    return parts.joined(separator: "/")
  }
}

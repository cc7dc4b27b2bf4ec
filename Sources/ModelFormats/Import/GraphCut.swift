import GraphModule
import TensorModule

/// Takes the part of a graph between given values.
enum GraphCut {
  /// A graph whose inputs and outputs are the given values.
  ///
  /// - Parameters:
  ///   - inputs: values that become inputs; nil keeps the graph's own that are still needed.
  ///   - outputs: new outputs; nil keeps the graph's own.
  /// - Throws: `KilnError` (`usage`) when an output needs something before the inputs.
  static func cut(_ graph: Graph, inputs: [ValueID]?, outputs: [Graph.Output]?) throws -> Graph {
    var result = Graph(name: graph.name)
    result.metadata = graph.metadata
    let wanted = outputs ?? graph.outputs
    let starts = inputs ?? graph.inputs
    guard Set(starts).count == starts.count else { throw KilnError(.usage, "an input is named twice") }
    var map: [ValueID: ValueID] = [:]
    let producers = graph.producers()
    var finders: [String: Int] = [:]
    for (index, symbols) in graph.dataSizes() { for symbol in symbols { finders[symbol] = index } }
    var needed = Set(starts)
    var stack = wanted.map(\.value)
    var nodes: Set<Int> = []
    /// Takes a node, and those that find the sizes which it names.
    func take(_ start: Int) {
      var open = [start]
      while let index = open.popLast() {
        guard nodes.insert(index).inserted else { continue }
        stack += graph.nodes[index].inputs
        if !finders.isEmpty { open += graph.nodes[index].op.attributes.flatMap { $0.value.dimSymbols }.compactMap { finders[$0] } }
      }
    }
    while true {
      if stack.isEmpty {
        // A state that is read is also made.
        stack = graph.states.filter { needed.contains($0.value) && !needed.contains($0.next) }.map(\.next)
      }
      guard let value = stack.popLast() else { break }
      guard needed.insert(value).inserted else { continue }
      if let node = producers[value] {
        take(node)
      } else if graph.constants[value] == nil {
        throw KilnError(
          .usage, "input \(KilnError.quoted(graph[value].name)) is still needed for the outputs",
          hint: "name it in --inputs too")
      }
    }
    var bound: Set<String> = []
    for start in starts {
      for dim in graph.type(of: start).dims {
        if let symbol = dim.symbols.first, dim == .symbol(symbol) { bound.insert(symbol) }
      }
    }
    for start in starts {
      let type = graph.type(of: start)
      guard type.dims.allSatisfy({ $0.symbols.isSubset(of: bound) }) else {
        throw KilnError(
          .usage,
          "the shape \(type.message) of \(KilnError.quoted(graph[start].name)) depends on an input that is left out",
          hint: "give the shapes of the inputs")
      }
      map[start] = try result.addInput(graph[start].name, type)
    }
    for (index, node) in graph.nodes.enumerated() where nodes.contains(index) {
      for input in node.inputs where map[input] == nil {
        guard let tensor = graph.constants[input] else { throw KilnError(.internal, "a cut graph lacks an operand") }
        map[input] = result.addConstant(graph[input].name, tensor)
      }
      let operands = node.inputs.compactMap { map[$0] }
      let results = try result.add(
        node.op, operands, name: node.outputs.first.map { graph[$0].name } ?? node.op.opName, scope: node.scope,
        device: node.device)
      for (old, new) in zip(node.outputs, results) {
        if result.value(named: graph[old].name) == nil { result.rename(new, to: graph[old].name) }
        // A value that became an input keeps its place.
        if map[old] == nil { map[old] = new }
      }
    }
    result.outputs = try wanted.map { output in
      if map[output.value] == nil, let tensor = graph.constants[output.value] {
        map[output.value] = result.addConstant(graph[output.value].name, tensor)
      }
      guard let value = map[output.value] else { throw KilnError(.internal, "a cut graph lacks an output") }
      return Graph.Output(name: output.name, value: value)
    }
    for state in graph.states {
      if let value = map[state.value], let next = map[state.next], result.constants[value] != nil {
        result.states.append(State(value: value, next: next))
      }
    }
    return result
  }
}

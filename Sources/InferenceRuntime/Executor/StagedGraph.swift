import GraphModule
import Synchronization
import TensorModule

/// A graph some of whose sizes are known only when it has run in part, cut into stages.
///
/// A stage is a graph whose sizes are all known when it begins. It has plans of its own, one for each set of sizes met so
/// far. After its steps come the nodes that find sizes; what depends on those sizes is in later stages. Everything is
/// as early as it can be.
final class StagedGraph: Sendable {
  private struct Stage: Sendable {
    var graph: Graph
    /// The outer values that the stage's graph takes and gives.
    var inputs: [ValueID]
    var outputs: [ValueID]
    /// The symbols that its plans depend on.
    var symbols: [String]
    /// Nodes that find sizes, run when the stage has run.
    var open: [Node]
    let plans = PlanList()
  }

  private let graph: Graph
  private let stages: [Stage]
  private let options: PlanOptions
  private let pool: ThreadPool
  private let weights: WeightStore
  // Held while a plan is made: plans that share weights are made one at a time.
  private let building = Mutex(())

  init(_ graph: Graph, _ options: PlanOptions, _ pool: ThreadPool, _ weights: WeightStore) throws {
    self.graph = graph
    self.options = options
    self.pool = pool
    self.weights = weights
    stages = try Self.cut(graph)
  }

  // MARK: Cutting

  private static func cut(_ graph: Graph) throws -> [Stage] {
    let sizes = graph.dataSizes()
    var stageOf: [ValueID: Int] = [:]
    var stageOfSymbol: [String: Int] = [:]
    var stageOfNode: [Int] = []
    for (index, node) in graph.nodes.enumerated() {
      let symbols = node.op.attributes.flatMap { $0.value.dimSymbols } + (node.inputs + node.outputs).flatMap { graph.type(of: $0).dims.flatMap(\.symbols) }
      let own = sizes[index] ?? []
      let stage = max(
        node.inputs.map { stageOf[$0] ?? 0 }.max() ?? 0,
        symbols.filter { !own.contains($0) }.map { stageOfSymbol[$0] ?? 0 }.max() ?? 0)
      stageOfNode.append(stage)
      // What an open node makes is there for the stage after.
      for output in node.outputs { stageOf[output] = sizes[index] == nil ? stage : stage + 1 }
      for symbol in own { stageOfSymbol[symbol] = stage + 1 }
    }
    let count = (stageOfNode.max() ?? 0) + 1
    return try (0..<count).map { number in
      let members = graph.nodes.indices.filter { stageOfNode[$0] == number }
      let closed = members.filter { sizes[$0] == nil }.map { graph.nodes[$0] }
      let open = members.filter { sizes[$0] != nil }.map { graph.nodes[$0] }
      let made = Set(closed.flatMap(\.outputs))
      let readLater = graph.nodes.indices.filter { stageOfNode[$0] > number || (stageOfNode[$0] == number && sizes[$0] != nil) }
        .flatMap { graph.nodes[$0].inputs }
      let wanted = Set(readLater + graph.outputs.map(\.value)).intersection(made)
      return try stage(graph, closed, open, wanted.sorted { $0.index < $1.index })
    }
  }

  private static func stage(_ graph: Graph, _ nodes: [Node], _ open: [Node], _ outputs: [ValueID]) throws -> Stage {
    var part = Graph(name: graph.name)
    var map: [ValueID: ValueID] = [:]
    var inputs: [ValueID] = []
    let made = Set(nodes.flatMap(\.outputs))
    for id in Set(nodes.flatMap(\.inputs)).subtracting(made).sorted(by: { $0.index < $1.index }) {
      if let tensor = graph.constants[id] { map[id] = part.addConstant(graph[id].name, tensor) } else {
        map[id] = part.declareInput(graph[id].name, graph.type(of: id))
        inputs.append(id)
      }
    }
    var symbols: Set<String> = []
    for node in nodes {
      for output in node.outputs { map[output] = part.declare(graph[output].name, graph.type(of: output)) }
      func inner(_ ids: [ValueID]) throws -> [ValueID] {
        try ids.map { id in
          guard let known = map[id] else { throw KilnError(.internal, "'\(graph[id].name)' is used before it is made") }
          return known
        }
      }
      part.nodes.append(
        Node(op: node.op, inputs: try inner(node.inputs), outputs: try inner(node.outputs), scope: node.scope, device: node.device))
      symbols.formUnion(node.op.attributes.flatMap { $0.value.dimSymbols })
      for id in node.inputs + node.outputs { symbols.formUnion(graph.type(of: id).dims.flatMap(\.symbols)) }
    }
    part.outputs = try outputs.map { id in
      guard let value = map[id] else { throw KilnError(.internal, "'\(graph[id].name)' is not made in its stage") }
      return Graph.Output(name: graph[id].name, value: value)
    }
    return Stage(graph: part, inputs: inputs, outputs: outputs, symbols: symbols.sorted(), open: open)
  }

  // MARK: Running

  func run(_ inputs: [Tensor]) throws -> [Tensor] {
    var bindings = try graph.bind(inputs.map(\.shape))
    var values: [ValueID: Tensor] = graph.constants
    for (id, tensor) in zip(graph.inputs, inputs) { values[id] = tensor }
    func value(_ id: ValueID) throws -> Tensor {
      guard let tensor = values[id] else { throw KilnError(.internal, "'\(graph[id].name)' was not computed") }
      return tensor
    }
    for stage in stages {
      if !stage.outputs.isEmpty {
        let results = try executor(stage, bindings).run(stage.inputs.map(value))
        for (id, tensor) in zip(stage.outputs, results) { values[id] = tensor }
      }
      for node in stage.open {
        guard let op = node.op as? any DataDependentOp else { continue }
        let results: [ReferenceTensor]
        do { results = try op.run(node.inputs.map { ReferenceTensor(try value($0)) }, &bindings) } catch let error as KilnError {
          throw error.inside(node.outputs.first.map { graph[$0].name } ?? op.opName)
        }
        for (id, result) in zip(node.outputs, results) { values[id] = try result.tensor() }
      }
    }
    return try graph.outputs.map { try value($0.value) }
  }

  private func executor(_ stage: Stage, _ bindings: [String: Int]) throws -> Executor {
    let key = stage.symbols.map { bindings[$0] ?? -1 }
    return try stage.plans.executor(key, building) {
      let bound = try stage.graph.substituting(bindings)
      let shapes = bound.inputs.compactMap { bound.type(of: $0).shape }
      return Executor(
        try PlanBuilder.plan(bound, shapes: shapes, options: options, weights: weights, pool: pool), pool: pool)
    }
  }
}

/// The plans of one stage by the sizes they are for.
private final class PlanList: Sendable {
  private static let limit = 16
  private let entries = Mutex<[(key: [Int], executor: Executor)]>([])

  func executor(_ key: [Int], _ building: borrowing Mutex<Void>, _ make: () throws -> Executor) throws -> Executor {
    if let found = find(key) { return found }
    return try building.withLock { _ in
      if let found = find(key) { return found }
      let made = try make()
      entries.withLock { list in
        if list.count >= Self.limit { list.removeFirst() }
        list.append((key, made))
      }
      return made
    }
  }

  private func find(_ key: [Int]) -> Executor? {
    entries.withLock { list in
      guard let index = list.firstIndex(where: { $0.key == key }) else { return nil }
      // The one used last goes to the end.
      let entry = list.remove(at: index)
      list.append(entry)
      return entry.executor
    }
  }
}

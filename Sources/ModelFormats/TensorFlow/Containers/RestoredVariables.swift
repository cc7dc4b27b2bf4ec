import TensorModule

/// Which stored tensor goes into which variable, read from the nodes that would restore them: that is how TensorFlow
/// itself loads, whatever the variables are called.
struct RestoredVariables {
  struct Source: Hashable {
    var name: String
    var slice: String
  }

  /// By the node of the variable.
  private(set) var variables: [String: Source] = [:]
  /// Keys and values, by the node of the table.
  private(set) var tableContents: [String: (keys: Source, values: Source)] = [:]
  /// What fills the other tables, by their node.
  private(set) var fillings: [String: TableFilling] = [:]

  private static let maximumDepth = 64
  private static let maximumNodes = 1_000_000

  /// - Parameters:
  ///   - restoreOp: the node that restores everything; empty when the file does not say.
  ///   - initializers: the nodes that fill tables; those that the graph has on its own are found too.
  init(_ graph: TFGraph, _ restoreOp: String, initializers: [String] = []) throws {
    var visitor = Visitor(graph)
    let root = Frame(graph.nodes)
    var start = initializers
    if !restoreOp.isEmpty { start.append(try TFReference(restoreOp).node) }
    start += graph.nodes.filter { TableFilling.ops.contains($0.op) }.map(\.name)
    try visitor.visit(root, start, depth: 0)
    variables = visitor.variables
    tableContents = visitor.tables
    fillings = visitor.fillings
  }

  /// Loads of every variable that the store has: as restored, or else under the node's own name.
  func sources(in store: VariableStore, _ graph: TFGraph) -> [String: () throws -> Tensor] {
    var found: [String: () throws -> Tensor] = [:]
    for node in graph.nodes where RestoredVariables.isVariable(node) {
      if let source = variables[node.name] {
        found[node.name] = { try store.tensor(source.name, slice: try TensorSlice.parse(source.slice)) }
      } else if store.contains(node.name) {
        found[node.name] = { try store.tensor(node.name, slice: nil) }
      }
    }
    return found
  }

  /// Loads of every table's keys and values; what a checkpoint holds comes before what an initializer says.
  func tables(
    in store: VariableStore?, _ assets: [String: () throws -> [UInt8]]
  ) -> [String: () throws -> (keys: Tensor, values: Tensor)] {
    var found: [String: () throws -> (keys: Tensor, values: Tensor)] = [:]
    for (table, filling) in fillings { found[table] = { try filling.contents(assets) } }
    guard let store else { return found }
    for (table, source) in tableContents {
      found[table] = { (try store.tensor(source.keys.name, slice: nil), try store.tensor(source.values.name, slice: nil)) }
    }
    return found
  }

  static func isVariable(_ node: TFNode) -> Bool { ["VarHandleOp", "VariableV2", "Variable"].contains(node.op) }

  /// The nodes of a graph or a function, and what its arguments are.
  private final class Frame {
    let nodes: [String: TFNode]
    let arguments: [String: Meaning]
    /// Whether it is the graph itself.
    let isRoot: Bool
    /// The texts of constants, once they were read.
    var texts: [String: [String]] = [:]

    init(_ nodes: [TFNode], _ arguments: [String: Meaning]? = nil) {
      isRoot = arguments == nil
      self.nodes = Dictionary(nodes.map { ($0.name, $0) }, uniquingKeysWith: { one, _ in one })
      self.arguments = arguments ?? [:]
    }
  }

  /// What a tensor is, as far as restoring cares.
  private enum Meaning {
    case resource(String)
    case stored(Source)
    /// A constant, and its node when that is one of the graph itself; the path of an asset need not have a value.
    case constant(TFTensor?, node: String?)
    case other
  }

  private struct Visitor {
    let graph: TFGraph
    var variables: [String: Source] = [:]
    var tables: [String: (keys: Source, values: Source)] = [:]
    var fillings: [String: TableFilling] = [:]
    private var visited = 0

    /// What is assigned to each variable in the graph itself.
    private let initialValues: [String: TFReference]

    init(_ graph: TFGraph) {
      self.graph = graph
      initialValues = Dictionary(
        graph.nodes.filter { $0.op == "AssignVariableOp" && $0.inputs.count >= 2 }.map { ($0.inputs[0].node, $0.inputs[1]) },
        uniquingKeysWith: { first, _ in first })
    }

    /// Follows inputs and controls of `start`.
    mutating func visit(_ frame: Frame, _ start: [String], depth: Int) throws {
      guard depth <= maximumDepth else { throw KilnError(.badInput, "functions call each other more than \(maximumDepth) deep") }
      var stack = start
      var seen = Set(start)
      while let name = stack.popLast() {
        guard let node = frame.nodes[name] else { continue }
        visited += 1
        guard visited <= maximumNodes else { throw KilnError(.badInput, "restoring its variables visits over \(maximumNodes) nodes") }
        switch node.op {
        case "Assign", "AssignVariableOp": assign(node, frame)
        case "LookupTableImportV2", "LookupTableImport":
          if node.inputs.count == 3, case .resource(let table) = meaning(node.inputs[0], frame),
            case .stored(let keys) = meaning(node.inputs[1], frame), case .stored(let values) = meaning(node.inputs[2], frame)
          {
            tables[table] = (keys, values)
          } else {
            fill(node, frame)
          }
        case _ where TableFilling.ops.contains(node.op): fill(node, frame)
        case "PartitionedCall", "StatefulPartitionedCall": try call(node, frame, depth)
        default: break
        }
        for next in node.inputs.map(\.node) + node.controls where seen.insert(next).inserted { stack.append(next) }
      }
    }

    private mutating func assign(_ node: TFNode, _ frame: Frame) {
      guard node.inputs.count >= 2, case .resource(let variable) = meaning(node.inputs[0], frame),
        case .stored(let source) = meaning(node.inputs[1], frame)
      else { return }
      variables[variable] = source
    }

    private mutating func fill(_ node: TFNode, _ frame: Frame) {
      guard let first = node.inputs.first, case .resource(let name) = meaning(first, frame) else { return }
      let operands = node.inputs.dropFirst().map { input -> TableFilling.Operand in
        if case .constant(let tensor, let node) = meaning(input, frame) { return TableFilling.Operand(tensor: tensor, node: node) }
        return TableFilling.Operand(tensor: nil, node: nil, reference: frame.isRoot ? input : nil)
      }
      fillings[name] = TableFilling(node: node, operands: operands, table: graph.nodes.first { $0.name == name })
    }

    private mutating func call(_ node: TFNode, _ frame: Frame, _ depth: Int) throws {
      guard case .function(let name)? = node.attributes["f"], let function = graph.functions[name] else { return }
      var arguments: [String: Meaning] = [:]
      for (argument, input) in zip(function.inputs, node.inputs) { arguments[argument.name] = meaning(input, frame) }
      // Everything in it: what it restores need not be what it returns.
      try visit(Frame(function.nodes, arguments), function.nodes.map(\.name), depth: depth + 1)
    }

    private func meaning(_ reference: TFReference, _ frame: Frame) -> Meaning {
      var reference = reference
      for _ in 0..<64 {
        if let argument = frame.arguments[reference.node] { return argument }
        guard let node = frame.nodes[reference.node] else { return .other }
        switch node.op {
        case "Identity", "Reshape", "Cast":
          guard let next = node.inputs.first else { return .other }
          reference = next
        case "Const":
          guard case .tensor(let tensor)? = node.attributes["value"] else { return .other }
          return .constant(tensor, node: frame.isRoot ? node.name : nil)
        case "Placeholder" where frame.isRoot: return .constant(nil, node: node.name)
        case "ReadVariableOp":
          // The path of an asset is in a variable, which an initial value fills.
          guard frame.isRoot, let handle = node.inputs.first, let value = initialValues[handle.node] else { return .other }
          reference = value
        case "VarHandleOp", "VariableV2", "Variable": return .resource(node.name)
        case _ where TableFilling.tables.contains(node.op): return .resource(node.name)
        case "RestoreV2":
          guard node.inputs.count == 3, let names = texts(node.inputs[1], frame), let slices = texts(node.inputs[2], frame),
            names.indices.contains(reference.index), slices.indices.contains(reference.index)
          else { return .other }
          return .stored(Source(name: names[reference.index], slice: slices[reference.index]))
        case "RestoreSlice":
          guard node.inputs.count == 3, let name = texts(node.inputs[1], frame)?.first, let slice = texts(node.inputs[2], frame)?.first
          else { return .other }
          return .stored(Source(name: name, slice: slice))
        case "Restore":
          guard node.inputs.count == 2, let name = texts(node.inputs[1], frame)?.first else { return .other }
          return .stored(Source(name: name, slice: ""))
        default: return .other
        }
      }
      return .other
    }

    private func texts(_ reference: TFReference, _ frame: Frame) -> [String]? {
      guard let node = frame.nodes[reference.node], node.op == "Const", case .tensor(let tensor)? = node.attributes["value"],
        tensor.dtype == .string
      else { return nil }
      if let known = frame.texts[node.name] { return known }
      let texts = (try? tensor.byteStrings())?.map { String(decoding: $0, as: UTF8.self) }
      frame.texts[node.name] = texts
      return texts
    }
  }
}

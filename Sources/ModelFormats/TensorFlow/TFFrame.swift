import TensorModule

/// The nodes of the graph, or of one call of a function: calls are inlined, each has a frame of its own.
final class TFFrame {
  /// Where a function's arguments come from.
  enum Arguments {
    case none
    /// The inputs of a node in the frame around, from the given one on.
    case call(TFFrame, node: Int, offset: Int)
    case values([TFValue])
  }

  let id: Int
  /// The names of the calls around, each followed by a slash.
  let prefix: String
  let nodes: [TFNode]
  let function: TFFunction?
  let arguments: Arguments
  let depth: Int
  private let index: [String: Int]
  private let argumentIndex: [String: Int]
  /// Attributes of the call, which placeholders in the function's nodes name.
  let attributes: [String: TFAttribute]

  static let maximumDepth = 64
  /// How many calls of functions a graph may come to.
  static let maximumCalls = 50_000

  init(graph nodes: [TFNode]) throws {
    id = 0
    prefix = ""
    self.nodes = nodes
    function = nil
    arguments = .none
    depth = 0
    argumentIndex = [:]
    attributes = [:]
    index = try TFFrame.index(nodes)
  }

  init(
    id: Int, _ function: TFFunction, prefix: String, arguments: Arguments, attributes: [String: TFAttribute], depth: Int
  ) throws {
    guard depth <= TFFrame.maximumDepth else {
      throw KilnError(.badInput, "functions call each other deeper than \(TFFrame.maximumDepth) levels, at \(KilnError.quoted(function.name))")
    }
    self.id = id
    self.prefix = prefix
    nodes = function.nodes
    self.function = function
    self.arguments = arguments
    self.depth = depth
    self.attributes = attributes
    do { index = try TFFrame.index(nodes) } catch let error as KilnError {
      throw KilnError(error.code, "function \(KilnError.quoted(function.name)): \(error.message)")
    }
    argumentIndex = Dictionary(function.inputs.enumerated().map { ($1.name, $0) }) { first, _ in first }
  }

  private static func index(_ nodes: [TFNode]) throws -> [String: Int] {
    var index: [String: Int] = [:]
    index.reserveCapacity(nodes.count)
    for (position, node) in nodes.enumerated() {
      guard index.updateValue(position, forKey: node.name) == nil else {
        throw KilnError(.badInput, "two nodes have the name \(KilnError.quoted(node.name))")
      }
    }
    return index
  }

  func node(named name: String) -> Int? { index[name] }
  func argument(named name: String) -> Int? { argumentIndex[name] }

  /// A node's name in the whole graph.
  func path(_ node: Int) -> String { prefix + nodes[node].name }
}

/// A node in a frame.
struct TFKey: Hashable {
  var frame: Int
  var node: Int
}

/// One output of a node in a frame.
struct TFOutput: Hashable {
  var key: TFKey
  var index: Int
}

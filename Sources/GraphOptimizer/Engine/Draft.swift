import GraphModule
import TensorModule

/// The nodes and constants with which a rule replaces what it matched. Types are inferred as nodes are added.
package struct Draft {
  private let workspace: Workspace
  private let baseName: String
  private let scope: String
  private let device: String
  private(set) var nodes: [Node] = []
  private(set) var constants: [ValueID] = []

  /// - Parameter consumed: what is replaced; the new nodes stay on its device.
  init(_ workspace: Workspace, root: Int, consumed: [Int]) {
    self.workspace = workspace
    let node = workspace.node(root)
    baseName = workspace.graph[node.outputs[0]].name
    scope = node.scope
    device = node.device.isEmpty ? consumed.lazy.map { workspace.node($0).device }.first { !$0.isEmpty } ?? "" : node.device
  }

  package func type(of id: ValueID) -> TensorType { workspace.type(of: id) }
  package func constantValue(_ id: ValueID) -> Tensor? { workspace.constant(id) }

  /// Adds a node with one result, which gets a name derived from the root's.
  package mutating func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID {
    let types = try op.infer(operands.map(workspace.type(of:)))
    guard types.count == 1 else { throw KilnError(.internal, "a rule adds a node with \(types.count) results") }
    let id = workspace.declare("\(baseName)/\(op.opName)", types[0])
    nodes.append(Node(op: op, inputs: operands, outputs: [id], scope: scope, device: device))
    return id
  }

  package mutating func add(_ function: ScalarFunction, _ operands: [ValueID]) throws -> ValueID {
    try add(Elementwise(function), operands)
  }

  package mutating func add(_ function: ScalarFunction, _ parameters: [Double], _ operands: [ValueID]) throws -> ValueID {
    try add(Elementwise(function, parameters), operands)
  }

  /// Adds a constant, named after another value.
  package mutating func constant(_ tensor: Tensor, like id: ValueID? = nil) -> ValueID {
    let name = id.map { workspace.graph[$0].name } ?? "\(baseName)/constant"
    let constant = workspace.addConstant(name, tensor)
    constants.append(constant)
    return constant
  }

  /// Adds a constant scalar of a numeric dtype.
  package mutating func scalar(_ number: Double, _ dtype: DType) throws -> ValueID {
    constant(try Tensor(converting: [number], to: dtype, shape: []))
  }

  /// Builds what a pattern describes over a match's captures.
  mutating func build(_ pattern: Pattern, _ match: Match) throws -> ValueID {
    switch pattern {
    case .any(let name), .constant(let name), .splat(let name): return try match.value(name)
    case .number(let number): return try scalar(number, match.result.dtype)
    case .oneOf: throw KilnError(.internal, "a replacement is not definite")
    case .node(let node):
      guard let op = node.op else { throw KilnError(.internal, "a replacement names no op") }
      let operands: [Pattern] =
        switch node.operands {
        case .exactly(let list), .first(let list): list
        case .eitherWay(let a, let b): [a, b]
        case .every: []
        }
      return try add(op, operands.map { try build($0, match) })
    }
  }
}

import TensorModule

/// A value's place in its graph's table.
package struct ValueID: Hashable, Sendable {
  package let index: Int
  package init(_ index: Int) { self.index = index }
}

/// A named tensor that flows through the graph.
package struct Value: Hashable, Sendable {
  package var name: String
  package var type: TensorType

  package init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }
}

/// One application of an op. It is known by the name of its first result.
package struct Node: Sendable {
  package var op: any OpDefinition
  package var inputs: [ValueID]
  package var outputs: [ValueID]
  /// The name scope: the path of layers it came from (`block1/conv`), empty at the top.
  package var scope: String
  /// Where the source file wants the node to run (`cpu`, `/device:GPU:0`), empty when it does not say. Devices that this
  /// machine does not have are kept and have no effect.
  package var device: String

  package init(op: any OpDefinition, inputs: [ValueID], outputs: [ValueID], scope: String, device: String = "") {
    self.op = op
    self.inputs = inputs
    self.outputs = outputs
    self.scope = scope
    self.device = device
  }
}

/// A computation in SSA form, as data: nothing runs while it is built.
///
/// Nodes are in topological order. Every value has a unique name and is an input, a constant, or a result of one node.
package struct Graph: Sendable {
  package struct Output: Hashable, Sendable {
    package var name: String
    package var value: ValueID

    package init(name: String, value: ValueID) {
      self.name = name
      self.value = value
    }
  }

  package var name: String
  package private(set) var values: [Value] = []
  package var nodes: [Node] = []
  package private(set) var inputs: [ValueID] = []
  package var outputs: [Output] = []
  package private(set) var constants: [ValueID: Tensor] = [:]
  /// What one run hands to the next.
  package var states: [State] = []
  /// Facts about the source: framework, version, backend. Names are lower case with underscores.
  package var metadata: [String: String] = [:]
  private var names: [String: ValueID] = [:]

  package init(name: String) { self.name = name }

  package subscript(_ id: ValueID) -> Value { values[id.index] }

  package func type(of id: ValueID) -> TensorType { values[id.index].type }

  /// The value of that name, if there is one.
  package func value(named name: String) -> ValueID? { names[name] }

  package mutating func setType(_ type: TensorType, of id: ValueID) { values[id.index].type = type }

  // MARK: Building

  /// Adds an input. Its name is what callers feed it by.
  @discardableResult
  package mutating func addInput(_ name: String, _ type: TensorType) throws -> ValueID {
    guard names[name] == nil else {
      throw KilnError(.badInput, "two inputs have the name \(KilnError.quoted(name))")
    }
    let id = declare(name, type)
    inputs.append(id)
    return id
  }

  /// Adds an input to a graph that is being built by hand; the name gets a suffix when it is taken.
  package mutating func declareInput(_ name: String, _ type: TensorType) -> ValueID {
    adoptInput(Value(name: name, type: type))
  }

  /// Adds a constant; the name gets a suffix when it is taken.
  package mutating func addConstant(_ name: String, _ tensor: Tensor) -> ValueID {
    let id = declare(name, TensorType(tensor.dtype, shape: tensor.shape))
    constants[id] = tensor
    return id
  }

  /// Adds a node at the end, with inferred result types. Names get a suffix when they are taken.
  package mutating func add(
    _ op: any OpDefinition, _ operands: [ValueID], name: String, scope: String = "", device: String = ""
  ) throws -> [ValueID] {
    let types = try op.infer(operands.map(type(of:)))
    let results = types.enumerated().map { declare($0 == 0 ? name : "\(name):\($0)", $1) }
    nodes.append(Node(op: op, inputs: operands, outputs: results, scope: scope, device: device))
    return results
  }

  /// Adds a node that has one result.
  package mutating func addOne(
    _ op: any OpDefinition, _ operands: [ValueID], name: String, scope: String = "", device: String = ""
  ) throws -> ValueID {
    let results = try add(op, operands, name: name, scope: scope, device: device)
    guard let first = results.first else { throw KilnError(.internal, "op '\(op.opName)' has no result") }
    return first
  }

  /// Enters a new value in the table, under the name or the name with a suffix.
  package mutating func declare(_ name: String, _ type: TensorType) -> ValueID {
    let id = ValueID(values.count)
    let unique = uniqueName(name)
    values.append(Value(name: unique, type: type))
    names[unique] = id
    return id
  }

  /// Gives a value another name, which must be free.
  package mutating func rename(_ id: ValueID, to name: String) {
    guard values[id.index].name != name else { return }
    names[values[id.index].name] = nil
    values[id.index].name = name
    names[name] = id
  }

  /// Makes these values the inputs, in this order; one that was an input and is left out must be a constant now, or unread.
  package mutating func setInputs(_ ids: [ValueID]) { inputs = ids }

  /// Makes a constant a value that nothing defines; it must become an input.
  /// Lets go of a constant's tensor.
  package mutating func removeConstant(_ id: ValueID) { constants[id] = nil }

  mutating func setConstant(_ id: ValueID, _ tensor: Tensor) { constants[id] = tensor }

  mutating func adoptInput(_ value: Value) -> ValueID {
    let id = declare(value.name, value.type)
    inputs.append(id)
    return id
  }

  private func uniqueName(_ name: String) -> String {
    if names[name] == nil { return name }
    var suffix = 1
    while names["\(name)_\(suffix)"] != nil { suffix += 1 }
    return "\(name)_\(suffix)"
  }

  // MARK: Questions

  /// The index of the node that makes each value.
  package func producers() -> [ValueID: Int] {
    var map: [ValueID: Int] = [:]
    for (index, node) in nodes.enumerated() { for output in node.outputs { map[output] = index } }
    return map
  }

  /// The indices of the nodes that read each value, once per operand.
  package func consumers() -> [ValueID: [Int]] {
    var map: [ValueID: [Int]] = [:]
    for (index, node) in nodes.enumerated() { for input in node.inputs { map[input, default: []].append(index) } }
    return map
  }

  /// Every symbol in the inputs' dims, in order of first use.
  package var symbols: [String] {
    var seen: [String] = []
    for input in inputs {
      for dim in type(of: input).dims { for symbol in dim.symbols.sorted() where !seen.contains(symbol) { seen.append(symbol) } }
    }
    return seen
  }
}

import GraphModule
import TensorModule

/// Where a pattern was found: captured values and nodes.
package struct Match {
  let workspace: Workspace
  /// The slot of the pattern's outermost node.
  let root: Int
  var values: [String: ValueID] = [:]
  var nodes: [String: Int] = [:]
  /// The nodes that the rewrite makes superfluous, root first.
  var consumed: [Int] = []
  /// The nodes that were only looked through.
  var shared: [Int] = []

  /// The type of a captured value.
  package subscript(_ name: String) -> TensorType {
    values[name].map(workspace.type(of:)) ?? TensorType(.string, [])
  }

  /// The type of the root's result.
  package var result: TensorType { workspace.type(of: resultValue) }
  package var resultValue: ValueID { workspace.node(root).outputs[0] }

  package func value(_ name: String) throws -> ValueID {
    guard let id = values[name] else { throw KilnError(.internal, "a rule has no capture '\(name)'") }
    return id
  }

  /// The tensor of a captured constant, or nil when the value is none.
  package func tensor(_ name: String) -> Tensor? { values[name].flatMap(workspace.constant) }

  /// The number that all elements of a captured constant are.
  package func number(_ name: String) -> Double? { values[name].flatMap(workspace.splat) }

  /// A captured node's op.
  package func op<Op: OpDefinition>(_ name: String, _: Op.Type = Op.self) -> Op? {
    nodes[name].flatMap { workspace.node($0).op as? Op }
  }

  package func anyOp(_ name: String) -> (any OpDefinition)? { nodes[name].map { workspace.node($0).op } }

  /// A captured node's operands.
  package func operands(_ name: String) -> [ValueID] { nodes[name].map { workspace.node($0).inputs } ?? [] }

  package func isConstant(_ id: ValueID) -> Bool { workspace.constant(id) != nil }

  package func type(of id: ValueID) -> TensorType { workspace.type(of: id) }

  /// The op that makes a value, or nil for inputs and constants.
  package func producer(of id: ValueID) -> Node? { workspace.producer(of: id).map(workspace.node) }

  /// The nodes that read a value.
  package func users(of id: ValueID) -> [Node] { workspace.users(of: id).map(workspace.node) }

  /// Whether nothing but the pattern reads a value.
  package func isPrivate(_ id: ValueID) -> Bool {
    !workspace.isOutput(id) && workspace.users(of: id).allSatisfy { consumed.contains($0) }
  }
}

extension Pattern {
  /// All ways in which the node in a slot fits the pattern, in a fixed order, until one is accepted.
  func firstMatch(at slot: Int, in workspace: Workspace, accept: (Match) throws -> Bool) rethrows -> Bool {
    if case .oneOf(let patterns) = self {
      return try patterns.contains { try $0.firstMatch(at: slot, in: workspace, accept: accept) }
    }
    guard case .node(let pattern) = self else { return false }
    var matched = false
    try pattern.match(slot, Match(workspace: workspace, root: slot)) { match in
      guard match.isLegal else { return false }
      matched = try accept(match)
      return matched
    }
    return matched
  }

  fileprivate func match(_ id: ValueID, _ match: Match, _ next: (Match) throws -> Bool) rethrows -> Bool {
    switch self {
    case .any(let name):
      return try match.binding(name, id).map(next) ?? false
    case .constant(let name):
      guard match.workspace.constant(id) != nil else { return false }
      return try match.binding(name, id).map(next) ?? false
    case .splat(let name):
      guard match.workspace.splat(id) != nil else { return false }
      return try match.binding(name, id).map(next) ?? false
    case .number(let wanted):
      guard let found = match.workspace.splat(id) else { return false }
      let epsilon: Double =
        switch match.workspace.type(of: id).dtype {
        case .float32: 0x1p-22
        case .float16: 0x1p-9
        case .bfloat16: 0x1p-6
        case .float64: 1e-7  // numbers that were written as float32 and widened
        default: 0
        }
      guard found.isFinite, (found - wanted).magnitude <= epsilon * wanted.magnitude else { return false }
      return try next(match)
    case .oneOf(let patterns):
      return try patterns.contains { try $0.match(id, match, next) }
    case .node(let pattern):
      guard let slot = match.workspace.producer(of: id) else { return false }
      return try pattern.match(slot, match, next)
    }
  }
}

extension NodePattern {
  /// Calls `next` for each way to match until it returns true.
  @discardableResult
  fileprivate func match(_ slot: Int, _ match: Match, _ next: (Match) throws -> Bool) rethrows -> Bool {
    let node = match.workspace.node(slot)
    guard node.outputs.count == 1, test(node.op) else { return false }
    var inner = match
    if let capture {
      if let bound = inner.nodes[capture], bound != slot { return false }
      inner.nodes[capture] = slot
    }
    if isShared {
      if !inner.shared.contains(slot) { inner.shared.append(slot) }
    } else if !inner.consumed.contains(slot) {
      inner.consumed.append(slot)
    }
    switch operands {
    case .exactly(let patterns):
      guard node.inputs.count == patterns.count else { return false }
      return try Self.all(patterns[...], node.inputs[...], inner, next)
    case .first(let patterns):
      guard node.inputs.count >= patterns.count else { return false }
      return try Self.all(patterns[...], node.inputs.prefix(patterns.count), inner, next)
    case .eitherWay(let a, let b):
      guard node.inputs.count == 2 else { return false }
      if try Self.all([a, b], node.inputs[...], inner, next) { return true }
      return try Self.all([b, a], node.inputs[...], inner, next)
    case .every(let prefix):
      for (index, input) in node.inputs.enumerated() { inner.values["\(prefix)\(index)"] = input }
      return try next(inner)
    }
  }

  private static func all(
    _ patterns: ArraySlice<Pattern>, _ inputs: ArraySlice<ValueID>, _ match: Match, _ next: (Match) throws -> Bool
  ) rethrows -> Bool {
    guard let pattern = patterns.first, let input = inputs.first else { return try next(match) }
    return try pattern.match(input, match) { try all(patterns.dropFirst(), inputs.dropFirst(), $0, next) }
  }
}

extension Match {
  /// The match with a name bound, or nil when it stands for another value already.
  fileprivate func binding(_ name: String, _ id: ValueID) -> Match? {
    if let bound = values[name] {
      if bound == id { return self }
      guard let a = workspace.constant(bound), let b = workspace.constant(id), a == b else { return nil }
      return self
    }
    var copy = self
    copy.values[name] = id
    return copy
  }

  /// Whether every interior value is read inside the pattern only and is no output of the graph, no captured value is one that the
  /// rewrite makes superfluous, and the nodes belong on one device.
  fileprivate var isLegal: Bool {
    for value in values.values {
      if let slot = workspace.producer(of: value), consumed.contains(slot) { return false }
    }
    guard workspace.haveOneDevice(consumed) else { return false }
    for slot in consumed where slot != root {
      for output in workspace.node(slot).outputs {
        if workspace.isOutput(output) { return false }
        for user in workspace.users(of: output) where !consumed.contains(user) { return false }
      }
    }
    return true
  }
}

extension Match {
  /// Whether a value is read by nodes only, not by the caller of the graph.
  package func isRead(_ id: ValueID) -> Bool { !workspace.isOutput(id) }
}

extension Match {
  /// Whether a captured node stands before the node that makes a value.
  package func comes(_ name: String, before id: ValueID) -> Bool {
    guard let slot = nodes[name], let other = workspace.producer(of: id) else { return false }
    return workspace.precedes(slot, other)
  }
}

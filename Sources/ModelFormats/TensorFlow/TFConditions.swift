import TensorModule

/// Finds the conditions that nodes of TensorFlow 1's control flow run under: `Switch` sends a value to one side, `Merge` takes
/// what arrives.
struct TFConditions {
  /// The two sides of a `Merge`.
  struct Merge {
    var predicate: TFReference
    var sides: [TFReference]
    /// What the merge gives when the predicate is false (0) or true.
    func input(_ side: Int) -> TFReference { sides[side == 0 ? 0 : 1] }
  }

  private struct Guard { var predicate: TFReference; var side: Int }
  private var guards: [TFKey: [String: Guard]] = [:]

  /// The condition that the inputs of a `Merge` are the sides of; nil when there is none.
  mutating func merge(_ converter: TFConverter, _ key: TFKey) throws -> Merge? {
    let frame = converter.frames[key.frame]
    let node = frame.nodes[key.node]
    guard node.inputs.count == 2 else { return nil }
    let left = try edge(frame, node.inputs[0], key.frame)
    let right = try edge(frame, node.inputs[1], key.frame)
    for (name, guardian) in left.sorted(by: { $0.key < $1.key }) {
      guard let other = right[name], other.side != guardian.side else { continue }
      let sides = guardian.side == 0 ? node.inputs : [node.inputs[1], node.inputs[0]]
      return Merge(predicate: guardian.predicate, sides: sides)
    }
    return nil
  }

  /// The predicates that a node runs under, by name; the side of each.
  mutating func sides(_ frame: TFFrame, _ node: Int, _ frameID: Int) throws -> [String: Int] {
    try all(frame, node, frameID).mapValues(\.side)
  }

  /// What holds where an operand is read.
  private mutating func edge(_ frame: TFFrame, _ reference: TFReference, _ frameID: Int) throws -> [String: Guard] {
    guard let position = frame.node(named: reference.node) else { return [:] }
    var found = try all(frame, position, frameID)
    let node = frame.nodes[position]
    if node.op == "Switch" || node.op == "RefSwitch", node.inputs.count == 2 {
      let side = reference.argument == "output_true" || reference.index == 1 ? 1 : 0
      let predicate = origin(frame, node.inputs[1])
      found[predicate.description] = Guard(predicate: predicate, side: side)
    }
    return found
  }

  /// A predicate through nodes that pass it on.
  func origin(_ frame: TFFrame, _ reference: TFReference) -> TFReference {
    var reference = reference
    for _ in 0..<1000 {
      guard let position = frame.node(named: reference.node), frame.nodes[position].op == "Identity",
        let next = frame.nodes[position].inputs.first
      else { break }
      reference = next
    }
    return reference
  }

  private mutating func all(_ frame: TFFrame, _ start: Int, _ frameID: Int) throws -> [String: Guard] {
    var stack = [start]
    var open: Set<Int> = []
    while let top = stack.last {
      let key = TFKey(frame: frameID, node: top)
      if guards[key] != nil {
        stack.removeLast()
        continue
      }
      let node = frame.nodes[top]
      let before = node.inputs.map(\.node) + node.controls
      let sources = before.compactMap { frame.node(named: $0) }.filter { frame.nodes[$0].op != "NextIteration" }
      let waiting = sources.filter { guards[TFKey(frame: frameID, node: $0)] == nil && !open.contains($0) }
      if !waiting.isEmpty, open.insert(top).inserted {
        stack += waiting
        continue
      }
      var found: [String: Guard] = [:]
      if node.op == "Merge" || node.op == "RefMerge" {
        // A loop runs under what holds where it is entered.
        let entries = node.inputs.filter { input in frame.node(named: input.node).map { frame.nodes[$0].op != "NextIteration" } ?? true }
        let edges = try entries.map { reference -> [String: Guard] in
          guard let position = frame.node(named: reference.node), guards[TFKey(frame: frameID, node: position)] != nil else { return [:] }
          return try edge(frame, reference, frameID)
        }
        for (name, guardian) in edges.first ?? [:] where edges.allSatisfy({ $0[name]?.side == guardian.side }) { found[name] = guardian }
      } else {
        for reference in node.inputs + node.controls.map({ TFReference(node: $0, index: 0) }) {
          guard let position = frame.node(named: reference.node), guards[TFKey(frame: frameID, node: position)] != nil else { continue }
          found.merge(try edge(frame, reference, frameID)) { first, _ in first }
        }
      }
      guards[key] = found
      stack.removeLast()
    }
    return guards[TFKey(frame: frameID, node: start)] ?? [:]
  }
}

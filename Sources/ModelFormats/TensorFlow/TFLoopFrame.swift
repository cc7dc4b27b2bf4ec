import GraphModule
import TensorModule

/// A loop of TensorFlow 1: `Enter` leads in, `Merge` takes the first or the next value, `Switch` leads on or out.
final class TFLoopFrame {
  private struct Variable {
    var enter: Int
    var merge: Int
    var gate: Int?
    var next: TFReference
    var exit: Int?
  }

  private var variables: [Variable] = []
  /// `Enter` nodes of what never changes.
  private var constants: [Int] = []
  private let predicate: TFReference
  private let frame: TFFrame

  /// The loop that an `Exit` leads out of. Loops are told apart by their `LoopCond`: names of frames can be the same.
  static func find(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame) throws -> TFLoopFrame {
    let unknown = KilnError(.unsupportedModel, "its loop has an unknown form")
    guard let gate = source(frame, key.node, 0), frame.nodes[gate].op.hasSuffix("Switch"), let condition = decider(frame, gate) else { throw unknown }
    let place = TFKey(frame: key.frame, node: condition)
    if let known = converter.loops[place] { return known }
    let loop = try TFLoopFrame(condition, frame)
    guard loop.variables.contains(where: { $0.exit == key.node }) else { throw unknown }
    converter.loops[place] = loop
    return loop
  }

  private static func source(_ frame: TFFrame, _ node: Int, _ index: Int) -> Int? {
    frame.nodes[node].inputs.indices.contains(index) ? frame.node(named: frame.nodes[node].inputs[index].node) : nil
  }

  /// The `LoopCond` that a `Switch` obeys.
  private static func decider(_ frame: TFFrame, _ gate: Int) -> Int? {
    var node = source(frame, gate, 1)
    for _ in 0..<100 {
      guard let found = node else { return nil }
      if frame.nodes[found].op == "LoopCond" { return found }
      guard frame.nodes[found].op == "Identity" else { return nil }
      node = source(frame, found, 0)
    }
    return nil
  }

  /// A variable, without its `Switch`, of a `Merge` that takes what comes around.
  private static func variable(_ frame: TFFrame, _ merge: Int) -> Variable? {
    guard frame.nodes[merge].op.hasSuffix("Merge"), frame.nodes[merge].inputs.count == 2, let a = source(frame, merge, 0), let b = source(frame, merge, 1)
    else { return nil }
    let (enter, back) = frame.nodes[a].op.hasSuffix("NextIteration") ? (b, a) : (a, b)
    guard frame.nodes[back].op.hasSuffix("NextIteration"), frame.nodes[enter].op.hasSuffix("Enter"), let next = frame.nodes[back].inputs.first else { return nil }
    return Variable(enter: enter, merge: merge, next: next)
  }

  private init(_ condition: Int, _ frame: TFFrame) throws {
    guard let predicate = frame.nodes[condition].inputs.first else { throw KilnError(.unsupportedModel, "its loop has no condition") }
    self.predicate = predicate
    self.frame = frame
    var byMerge: [Int: Int] = [:]
    var byGate: [Int: Int] = [:]
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Switch") && node.inputs.count == 2 {
      guard TFLoopFrame.decider(frame, index) == condition, let merge = TFLoopFrame.source(frame, index, 0), let found = TFLoopFrame.variable(frame, merge)
      else { continue }
      if byMerge[merge] == nil {
        byMerge[merge] = variables.count
        variables.append(found)
      }
      variables[byMerge[merge] ?? 0].gate = index
      byGate[index] = byMerge[merge]
    }
    guard let name = variables.first.flatMap({ frame.nodes[$0.enter].attributes["frame_name"]?.text }) else {
      throw KilnError(.unsupportedModel, "its loop has no variables")
    }
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Exit") {
      if let gate = TFLoopFrame.source(frame, index, 0), let place = byGate[gate] { variables[place].exit = index }
    }
    // What the loop reads of what is around it.
    var stack = ([predicate] + variables.map(\.next)).compactMap { frame.node(named: $0.node) }
    var seen: Set<Int> = []
    while let top = stack.popLast() {
      guard seen.insert(top).inserted, byMerge[top] == nil, byGate[top] == nil else { continue }
      let node = frame.nodes[top]
      if node.op.hasSuffix("Enter"), node.attributes["frame_name"]?.text == name {
        constants.append(top)
        continue
      }
      if let more = TFLoopFrame.variable(frame, top), frame.nodes[more.enter].attributes["frame_name"]?.text == name {
        byMerge[top] = variables.count
        variables.append(more)
        stack += frame.node(named: more.next.node).map { [$0] } ?? []
        continue
      }
      stack += node.inputs.compactMap { frame.node(named: $0.node) }
    }
    constants.sort()
  }

  /// The nodes before the loop.
  func needs(_ converter: TFConverter, _ frame: TFFrame) throws -> [TFKey] {
    try converter.keys(frame, (variables.map(\.enter) + constants).compactMap { frame.nodes[$0].inputs.first })
  }

  /// Adds the loop; the results of `key`, the others are entered too.
  func convert(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame) throws -> [TFValue]? {
    func before(_ enter: Int) throws -> TFValue? { try frame.nodes[enter].inputs.first.flatMap { try converter.value(frame, $0) } }
    let operands = try variables.map { try before($0.enter) }
    let initial = operands.compactMap { $0 }
    guard initial.count == operands.count else { return nil }
    var outside: [TFOutput: TFValue] = [:]
    for enter in constants {
      guard let value = try before(enter) else { return nil }
      outside[output(enter, 0)] = value
    }
    func part(_ wanted: [TFReference]) -> TFLoop.Part {
      { [variables] builder, values, diagnostics in
        let child = try TFConverter(continuing: converter, builder: builder, diagnostics: diagnostics)
        child.bound.merge(outside) { _, new in new }
        for (variable, value) in zip(variables, values) {
          child.bound[self.output(variable.merge, 0)] = value
          if let gate = variable.gate { child.bound[self.output(gate, 1)] = value }
        }
        return try child.values(wanted.map { (frame, $0) })
      }
    }
    let path = frame.path(key.node)
    let scope = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? path
    let loop = TFLoop(
      name: scope, initial: initial, constant: unchanged, resultNames: variables.map { $0.exit.map { frame.path($0) } }, condition: part([predicate]),
      body: part(variables.map(\.next)))
    guard let after = try loop.build(converter.builder, converter.diagnostics) else { return nil }
    var own: [TFValue]?
    for (variable, value) in zip(variables, after) {
      guard let exit = variable.exit else { continue }
      if exit == key.node { own = [value] } else { converter.finish(TFKey(frame: frame.id, node: exit), [value]) }
    }
    return own
  }

  private func output(_ node: Int, _ index: Int) -> TFOutput { TFOutput(key: TFKey(frame: frame.id, node: node), index: index) }

  /// The variables whose next value is their own.
  private var unchanged: Set<Int> {
    Set(
      variables.indices.filter { index in
        guard let gate = variables[index].gate else { return false }
        var reference = variables[index].next
        for _ in 0..<100 {
          guard let node = frame.node(named: reference.node) else { return false }
          if node == gate { return reference.index == 1 || reference.argument == "output_true" }
          guard frame.nodes[node].op == "Identity", let next = frame.nodes[node].inputs.first else { return false }
          reference = next
        }
        return false
      })
  }
}

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

  let name: String
  private var variables: [Variable] = []
  /// `Enter` nodes of what never changes.
  private var constants: [Int] = []
  private var predicate: TFReference?

  /// The loop that an `Exit` leads out of.
  static func find(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame) throws -> TFLoopFrame {
    func source(_ node: Int, _ index: Int = 0) -> Int? {
      frame.nodes[node].inputs.indices.contains(index) ? frame.node(named: frame.nodes[node].inputs[index].node) : nil
    }
    guard key.frame == 0, case .none = frame.arguments, let gate = source(key.node), let merge = source(gate), frame.nodes[merge].op.hasSuffix("Merge"),
      let enter = frame.nodes[merge].inputs.compactMap({ frame.node(named: $0.node) }).first(where: { frame.nodes[$0].op.hasSuffix("Enter") }),
      let name = frame.nodes[enter].attributes["frame_name"]?.text
    else { throw KilnError(.unsupportedModel, "its loop has an unknown form") }
    if let known = converter.loops[name] { return known }
    let loop = try TFLoopFrame(name, frame)
    converter.loops[name] = loop
    return loop
  }

  private init(_ name: String, _ frame: TFFrame) throws {
    self.name = name
    var enters: [String: Int] = [:]
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Enter") && node.attributes["frame_name"]?.text == name {
      if case .bool(true)? = node.attributes["is_constant"] { constants.append(index) } else { enters[node.name] = index }
    }
    var merges: [String: Int] = [:]
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Merge") && node.inputs.count == 2 {
      guard let enter = enters[node.inputs[0].node], let back = frame.node(named: node.inputs[1].node),
        frame.nodes[back].op.hasSuffix("NextIteration"), let next = frame.nodes[back].inputs.first
      else { continue }
      merges[node.name] = variables.count
      variables.append(Variable(enter: enter, merge: index, next: next))
    }
    var gates: [String: Int] = [:]
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Switch") && node.inputs.count == 2 {
      guard let place = merges[node.inputs[0].node], let condition = frame.node(named: node.inputs[1].node),
        frame.nodes[condition].op == "LoopCond", let predicate = frame.nodes[condition].inputs.first
      else { continue }
      variables[place].gate = index
      gates[node.name] = place
      self.predicate = predicate
    }
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Exit") {
      if let input = node.inputs.first, let place = gates[input.node] { variables[place].exit = index }
    }
    guard predicate != nil, !variables.isEmpty else { throw KilnError(.unsupportedModel, "its loop has no condition") }
    // An `Enter` without a `Merge` is one of a value that does not change.
    constants += enters.values.filter { enter in !variables.contains { $0.enter == enter } }
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
    guard initial.count == operands.count, let predicate else { return nil }
    var outside: [TFOutput: TFValue] = [:]
    for enter in constants {
      guard let value = try before(enter) else { return nil }
      outside[TFOutput(key: TFKey(frame: 0, node: enter), index: 0)] = value
    }
    func part(_ place: @escaping (Variable) -> (Int, Int)?, _ wanted: [TFReference]) -> TFLoop.Part {
      { [variables] builder, values, diagnostics in
        let child = try TFConverter(inside: converter, frame: frame, builder: builder, diagnostics: diagnostics)
        child.bound = converter.bound.merging(outside) { _, new in new }
        for (variable, value) in zip(variables, values) {
          if let (node, index) = place(variable) { child.bound[TFOutput(key: TFKey(frame: 0, node: node), index: index)] = value }
        }
        return try child.values(wanted.map { (frame, $0) })
      }
    }
    let path = frame.path(key.node)
    let scope = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? name
    let loop = TFLoop(
      name: scope, initial: initial, condition: part({ ($0.merge, 0) }, [predicate]),
      body: part({ variable in variable.gate.map { ($0, 1) } }, variables.map(\.next)))
    guard let after = try loop.build(converter.builder, converter.diagnostics) else { return nil }
    var own: [TFValue]?
    for (variable, value) in zip(variables, after) {
      guard let exit = variable.exit else { continue }
      if exit == key.node { own = [value] } else { converter.finish(TFKey(frame: 0, node: exit), [value]) }
    }
    return own
  }
}

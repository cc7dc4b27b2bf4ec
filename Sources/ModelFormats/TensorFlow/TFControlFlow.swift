import GraphModule
import TensorModule

/// Conditions and loops, whose operands decide what has to be converted.
enum TFControlFlow {
  /// The nodes that a control flow node waits for; nil for other nodes.
  static func needs(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ node: TFNode) throws -> [TFKey]? {
    switch node.op {
    case "Merge", "RefMerge":
      guard let merge = try converter.conditions.merge(converter, key) else { return nil }
      let waiting = try converter.keys(frame, [merge.predicate]).filter { converter.results[$0] == nil }
      if !waiting.isEmpty { return waiting }
      if let side = try known(converter, frame, merge.predicate) {
        return try converter.keys(frame, [merge.input(side)])
      }
      return try converter.keys(frame, [merge.input(0), merge.input(1)])
    case "If", "StatelessIf", "Case", "StatelessCase":
      guard let selector = node.inputs.first else { throw KilnError(.badInput, "node \(KilnError.quoted(node.name)) has no condition") }
      let waiting = try converter.keys(frame, [selector]).filter { converter.results[$0] == nil }
      if !waiting.isEmpty { return waiting }
      return try known(converter, frame, selector) == nil ? nil : []
    default: return nil
    }
  }

  /// The number that a scalar condition is known to be.
  private static func known(_ converter: TFConverter, _ frame: TFFrame, _ reference: TFReference) throws -> Int? {
    guard let value = try converter.value(frame, reference), let elements = value.known?.fixed, elements.count == 1 else { return nil }
    return elements[0]
  }

  /// The results of a control flow node; nil for other nodes.
  static func convert(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ node: TFNode) throws -> [TFValue]? {
    switch node.op {
    case "Merge", "RefMerge":
      guard let merge = try converter.conditions.merge(converter, key) else {
        throw KilnError(.unsupportedModel, "its inputs are not the two sides of one condition")
      }
      if let side = try known(converter, frame, merge.predicate) {
        converter.redirect(TFOutput(key: key, index: 0), to: frame, merge.input(side))
        return []
      }
      guard let predicate = try converter.value(frame, merge.predicate), let no = try converter.value(frame, merge.input(0)),
        let yes = try converter.value(frame, merge.input(1))
      else { return [] }
      let call = TFCall(converter, frame, node, frame.path(key.node), [predicate, no, yes])
      return try call.named(call.values([try call.select(try call.x(0), try call.x(2), try call.x(1))]))
    case "If", "StatelessIf", "Case", "StatelessCase":
      return try branch(converter, key, frame, node)
    default: return nil
    }
  }

  private static func branch(
    _ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ node: TFNode
  ) throws -> [TFValue]? {
    guard let selector = node.inputs.first else { throw KilnError(.badInput, "has no condition") }
    var names: [String] = []
    if node.op.hasSuffix("If") {
      guard case .function(let then)? = node.attributes["then_branch"], case .function(let otherwise)? = node.attributes["else_branch"] else {
        throw KilnError(.badInput, "names no branches")
      }
      names = [otherwise, then]
    } else if case .list(let items)? = node.attributes["branches"] {
      names = items.compactMap { if case .function(let name) = $0 { name } else { nil } }
    }
    let functions = names.compactMap { converter.model.graph.functions[$0] }
    guard functions.count == names.count, !functions.isEmpty else { throw KilnError(.badInput, "calls a function that the file does not have") }
    guard let number = try known(converter, frame, selector) else {
      throw KilnError(.unsupportedModel, "a condition that depends on the model's inputs is not supported")
    }
    let picked = node.op.hasSuffix("If") ? (number != 0 ? 1 : 0) : functions.indices.contains(number) ? number : functions.count - 1
    let child = try converter.call(functions[picked], frame, key.node, offset: 1)
    for index in functions[picked].outputs.indices {
      let (frame, reference) = try converter.result(index, of: child)
      converter.redirect(TFOutput(key: key, index: index), to: frame, reference)
    }
    return []
  }
}

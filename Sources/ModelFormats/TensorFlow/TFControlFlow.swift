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
      if try known(converter, frame, selector) != nil { return [] }
      return try branches(converter, key, frame, node).flatMap { child in
        try converter.keys(child, try results(converter, child))
      }
    case "Exit", "RefExit": return try TFLoopFrame.find(converter, key, frame).needs(converter, frame)
    default: return nil
    }
  }

  /// The number that a scalar condition is known to be.
  private static func known(_ converter: TFConverter, _ frame: TFFrame, _ reference: TFReference) throws -> Int? {
    guard let value = try converter.value(frame, reference), let elements = value.known?.fixed, elements.count == 1 else { return nil }
    return elements[0]
  }

  /// What `convert` takes care of.
  static let ops: Set<String> = [
    "Merge", "RefMerge", "If", "StatelessIf", "Case", "StatelessCase", "Exit", "RefExit", "While", "StatelessWhile",
  ]

  /// The results of a control flow node; nil for other nodes, and where a problem stands in the way.
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
      else { return nil }
      let call = TFCall(converter, frame, node, frame.path(key.node), [predicate, no, yes])
      return try call.named(call.values([try call.select(try call.x(0), try call.x(2), try call.x(1))]))
    case "If", "StatelessIf", "Case", "StatelessCase":
      return try branch(converter, key, frame, node)
    case "Exit", "RefExit": return try TFLoopFrame.find(converter, key, frame).convert(converter, key, frame)
    case "While", "StatelessWhile": return try TFLoop.convert(converter, frame, node, frame.path(key.node))
    default: return nil
    }
  }

  /// The frames of all branches: each is converted, and each output picked.
  private static func branches(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ node: TFNode) throws -> [TFFrame] {
    try functions(converter, node).enumerated().map { place, function in
      try converter.call(function, frame, key.node, offset: 1, place: place)
    }
  }

  private static func results(_ converter: TFConverter, _ child: TFFrame) throws -> [TFReference] {
    try (0..<(child.function?.outputs.count ?? 0)).map { try converter.result($0, of: child).1 }
  }

  /// The functions that a condition picks from: for false and true, or by number.
  private static func functions(_ converter: TFConverter, _ node: TFNode) throws -> [TFFunction] {
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
    return functions
  }

  private static func branch(
    _ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ node: TFNode
  ) throws -> [TFValue]? {
    guard let selector = node.inputs.first else { throw KilnError(.badInput, "has no condition") }
    let isIf = node.op.hasSuffix("If")
    let children = try branches(converter, key, frame, node)
    if let number = try known(converter, frame, selector) {
      let picked = isIf ? (number != 0 ? 1 : 0) : children.indices.contains(number) ? number : children.count - 1
      for (index, reference) in try results(converter, children[picked]).enumerated() {
        converter.redirect(TFOutput(key: key, index: index), to: children[picked], reference)
      }
      return []
    }
    guard let condition = try converter.value(frame, selector) else { return nil }
    var picked: [ValueID] = []
    let call = TFCall(converter, frame, node, frame.path(key.node), [condition])
    for index in try results(converter, children[0]).indices {
      let values = try children.map { try converter.value($0, try converter.result(index, of: $0).1) }.compactMap { $0 }
      guard values.count == children.count else { return nil }
      var ids = try values.map { try call.builder.id($0) }
      let types = ids.map(call.type)
      guard types.allSatisfy({ $0 == types[0] }) else {
        throw KilnError(.unsupportedModel, "branches that give \(types.map(\.message).joined(separator: " and ")) are not supported")
      }
      let last = ids.removeLast()
      var result = last
      var selector = try call.x(0)
      if isIf, call.type(selector).dtype != .bool { selector = try call.cast(selector, .bool) }
      for (number, id) in ids.enumerated().reversed() {
        if isIf {
          result = try call.select(selector, last, id)
        } else {
          let same = try call.binary(.equal, selector, try call.scalar(Double(number), call.type(selector).dtype))
          result = try call.select(same, id, result)
        }
      }
      picked.append(result)
    }
    return try call.named(call.values(picked))
  }
}

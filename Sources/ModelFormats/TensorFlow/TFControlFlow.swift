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
      return try condition(converter, key, frame, merge).needs(converter, frame)
    case "If", "StatelessIf", "Case", "StatelessCase":
      guard let selector = node.inputs.first else { throw KilnError(.badInput, "node \(KilnError.quoted(node.name)) has no condition") }
      let waiting = try converter.keys(frame, [selector]).filter { converter.results[$0] == nil }
      if !waiting.isEmpty { return waiting }
      if try known(converter, frame, selector) != nil { return [] }
      return try converter.keys(frame, node.inputs)
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
      guard let predicate = try converter.value(frame, merge.predicate) else { return nil }
      return try condition(converter, key, frame, merge).convert(converter, key, frame, predicate)
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
    return try branch(converter, key, frame, node, children.compactMap(\.function), isIf: isIf)
  }

  private static func branch(
    _ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ node: TFNode, _ functions: [TFFunction], isIf: Bool
  ) throws -> [TFValue]? {
    let operands = try node.inputs.map { try converter.value(frame, $0) }
    let values = operands.compactMap { $0 }
    guard values.count == operands.count, let condition = values.first else { return nil }
    let name = frame.path(key.node)
    let arguments = Array(values.dropFirst())
    let count = functions.first?.outputs.count ?? 0
    guard functions.allSatisfy({ $0.inputs.count == arguments.count && $0.outputs.count == count }) else {
      throw KilnError(.badInput, "its branches do not take its \(arguments.count) values and give \(count)")
    }
    let sides = functions.enumerated().map { side, function -> TFBranch.Part in
      { builder, diagnostics in
        let inner = try TFFrame(
          id: 0, function, prefix: "\(name)/branch_\(side)/", arguments: .values(arguments), attributes: node.attributes, depth: frame.depth + 1)
        let child = try TFConverter(inside: converter, frame: inner, builder: builder, diagnostics: diagnostics)
        return try child.values(try function.outputs.indices.map { try child.result($0, of: inner) })
      }
    }
    let selector = isIf ? try truth(condition, converter.builder, name) : condition
    let found = TFDiagnostics()
    let branch = TFBranch(name: name, selector: selector, sides: sides, resultNames: (0..<count).map { $0 == 0 ? name : "\(name):\($0)" })
    let results = try branch.build(converter.builder, found)
    converter.diagnostics.merge(found)
    return results
  }

  /// A condition as `If` takes it: numbers that are not 0 and texts and lists that are not empty are true.
  private static func truth(_ value: TFValue, _ builder: TFBuilder, _ name: String) throws -> TFValue {
    let id = try builder.id(value)
    let type = builder.graph.type(of: id)
    if type.dtype == .bool, type.rank == 0 { return value }
    let result: ValueID
    if type.rank > 0 {
      let count = try builder.scalar(of: type.elementCount)
      result = try builder.graph.addOne(Elementwise(.notEqual), [count, try builder.scalar(0, .int64)], name: "\(name)/condition")
    } else if type.dtype == .string {
      let empty = builder.graph.addConstant("\(name)/empty", Tensor(strings: [""], shape: []))
      result = try builder.graph.addOne(Elementwise(.notEqual), [id, empty], name: "\(name)/condition")
    } else {
      result = try builder.graph.addOne(Elementwise(.notEqual), [id, try builder.scalar(0, type.dtype)], name: "\(name)/condition")
    }
    return .value(result, builder, name: "\(name)/condition")
  }

  private static func condition(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ merge: TFConditions.Merge) throws -> TFCondition {
    if let known = converter.branches[key] { return known }
    let found = try TFCondition(converter, key, frame, merge)
    converter.branches[key] = found
    return found
  }
}

import GraphModule
import TensorModule

/// A loop of TensorFlow: its variables, and what converts its condition and its body.
struct TFLoop {
  /// What converts the condition or the body, given the variables inside and the builder of its graph.
  typealias Part = (TFBuilder, [TFValue], TFDiagnostics) throws -> [TFValue?]

  var name: String
  var initial: [TFValue]
  /// The variables that the body gives back as they are, as far as the nodes tell.
  var constant: Set<Int> = []
  /// The names that the results have in the graph.
  var resultNames: [String?]
  var condition: Part
  var body: Part

  /// The results of `While`.
  static func convert(_ converter: TFConverter, _ frame: TFFrame, _ node: TFNode, _ name: String) throws -> [TFValue]? {
    guard case .function(let conditionName)? = node.attributes["cond"], case .function(let bodyName)? = node.attributes["body"],
      let condition = converter.model.graph.functions[conditionName], let body = converter.model.graph.functions[bodyName]
    else { throw KilnError(.badInput, "calls a function that the file does not have") }
    let operands = try node.inputs.map { try converter.value(frame, $0) }
    let initial = operands.compactMap { $0 }
    guard initial.count == operands.count else { return nil }
    guard body.outputs.count == initial.count, body.inputs.count == initial.count, condition.inputs.count == initial.count, condition.outputs.count == 1 else {
      throw KilnError(.badInput, "its functions do not take its \(initial.count) variables")
    }
    func part(_ function: TFFunction, _ suffix: String) -> Part {
      { builder, values, diagnostics in
        let inner = try TFFrame(
          id: 0, function, prefix: "\(name)/\(suffix)/", arguments: .values(values), attributes: node.attributes, depth: frame.depth + 1)
        let child = try TFConverter(inside: converter, frame: inner, builder: builder, diagnostics: diagnostics)
        return try child.values(try function.outputs.indices.map { try child.result($0, of: inner) })
      }
    }
    let loop = TFLoop(
      name: name, initial: initial, constant: unchanged(body),
      resultNames: initial.indices.map { $0 == 0 ? name : "\(name):\($0)" }, condition: part(condition, "cond"), body: part(body, "body"))
    return try loop.build(converter.builder, converter.diagnostics)
  }

  /// The outputs of a body that are its own arguments of the same number.
  private static func unchanged(_ body: TFFunction) -> Set<Int> {
    let nodes = Dictionary(body.nodes.map { ($0.name, $0) }) { first, _ in first }
    return Set(
      body.outputs.indices.filter { index in
        guard var reference = body.results[body.outputs[index].name] else { return false }
        for _ in 0..<100 {
          if reference.node == body.inputs[index].name { return true }
          guard let node = nodes[reference.node], node.op == "Identity", let next = node.inputs.first else { return false }
          reference = next
        }
        return false
      })
  }

  // MARK: Building

  /// How many iterations are written out, and how many nodes they may add.
  static let maximumTrips = 2048
  static let maximumNodes = 100_000
  /// How many nodes a loop that is better written out may come to.
  static let smallNodes = 40

  /// The variables after the last iteration.
  ///
  /// A loop becomes one node, unless it is tiny, or its variables change their shapes and the number of iterations is known.
  func build(_ builder: TFBuilder, _ diagnostics: TFDiagnostics) throws -> [TFValue]? {
    var problem: KilnError?
    let found = TFDiagnostics()
    do {
      let draft = try TFLoopDraft(self, builder, found)
      if let trips = draft?.trips?.fixed {
        if trips == 0 { return initial }
        if let draft, trips == 1 || trips * draft.body.graph.nodes.count <= TFLoop.smallNodes,
          let written = try writtenOut(builder)
        {
          diagnostics.merge(found)
          return written
        }
      }
      if let draft {
        let results = try draft.emit()
        diagnostics.merge(found)
        return results
      }
    } catch let error as KilnError {
      problem = error
    }
    // What a variable's shape depends on may be known when each iteration is looked at.
    if let written = try writtenOut(builder) { return written }
    diagnostics.merge(found)
    if let problem { throw problem }
    return nil
  }

  /// Converts one iteration after another; nil where the number of iterations is not known or something cannot be converted.
  private func writtenOut(_ builder: TFBuilder) throws -> [TFValue]? {
    var values = initial
    let before = builder.graph.nodes.count
    for _ in 0...TFLoop.maximumTrips {
      let diagnostics = TFDiagnostics()
      guard let test = try? condition(builder, values, diagnostics).first ?? nil, let goesOn = test.known?.fixed?.first else { return nil }
      if goesOn == 0 { return values }
      guard let results = try? body(builder, values, diagnostics) else { return nil }
      values = results.compactMap { $0 }
      guard values.count == results.count, diagnostics.isEmpty else { return nil }
      guard builder.graph.nodes.count - before <= TFLoop.maximumNodes else { return nil }
    }
    return nil
  }
}

import GraphModule
import TensorModule

/// Loops whose number of iterations is known when the model is imported, written out.
struct TFLoop {
  /// What converts the condition or the body, given the variables inside and the builder of its graph.
  typealias Part = (TFBuilder, [TFValue], TFDiagnostics) throws -> [TFValue?]

  var name: String
  var initial: [TFValue]
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
    let loop = TFLoop(name: name, initial: initial, condition: part(condition, "cond"), body: part(body, "body"))
    return try loop.build(converter.builder, converter.diagnostics)
  }

  // MARK: Building

  /// How many iterations are written out, and how many nodes they may add.
  static let maximumTrips = 2048
  static let maximumNodes = 100_000

  /// Converts one iteration after another; gives the variables after the last.
  func build(_ builder: TFBuilder, _ diagnostics: TFDiagnostics) throws -> [TFValue]? {
    var values = initial
    let before = builder.graph.nodes.count
    for _ in 0...TFLoop.maximumTrips {
      guard let test = try condition(builder, values, diagnostics).first ?? nil else { return nil }
      guard let goesOn = test.known?.fixed?.first else {
        throw KilnError(.unsupportedModel, "a loop whose number of iterations depends on the model's data is not supported")
      }
      if goesOn == 0 { return values }
      let results = try body(builder, values, diagnostics)
      values = results.compactMap { $0 }
      guard values.count == results.count else { return nil }
      guard builder.graph.nodes.count - before <= TFLoop.maximumNodes else { break }
    }
    throw KilnError(.unsupportedModel, "a loop of more than \(TFLoop.maximumTrips) iterations or \(TFLoop.maximumNodes) nodes is not supported")
  }
}

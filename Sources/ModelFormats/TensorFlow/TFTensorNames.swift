import GraphModule
import TensorModule

/// Finds tensors by the names that TensorFlow has for them: of the graph, with the calls around (`call/dense/MatMul`), and of functions by
/// the name inside them where only one call has it.
enum TFTensorNames {
  /// A name without the `:0` that may be left out.
  static func plain(_ name: String) -> String { name.hasSuffix(":0") ? String(name.dropLast(2)) : name }

  static func unknown(_ name: String, _ model: TFModel) -> KilnError {
    KilnError(
      .usage, "the graph has no node \(KilnError.quoted(name))",
      hint: Nearest.name(to: name, among: model.graph.nodes.map(\.name)).map { "did you mean \(KilnError.quoted($0))?" })
  }

  /// - Throws: `KilnError` (`usage`) when there is none, or several.
  static func find(_ name: String, in converter: TFConverter) throws -> (TFFrame, TFReference) {
    let reference = try TFReference(name)
    if converter.root.node(named: reference.node) != nil { return (converter.root, reference) }
    var found: [TFFrame] = []
    var open: [(frame: TFFrame, isUsed: Bool)] = [(converter.root, false)]
    var unused: [TFFrame] = []
    let used = try needed(converter)
    while let (frame, isUsed) = open.popLast() {
      for (position, node) in frame.nodes.enumerated() {
        guard let function = try? converter.function(of: node), let child = try? converter.call(function, frame, position, offset: 0) else { continue }
        let isUsed = isUsed || (frame === converter.root && used.contains(position))
        open.append((child, isUsed))
        guard reference.node.hasPrefix(child.prefix) else {
          if child.node(named: reference.node) != nil { if isUsed { found.append(child) } else { unused.append(child) } }
          continue
        }
        var inner = reference
        inner.node = String(reference.node.dropFirst(child.prefix.count))
        if child.node(named: inner.node) != nil { return (child, inner) }
      }
    }
    if found.isEmpty { found = unused }
    guard let only = found.first else { throw unknown(reference.node, converter.model) }
    guard found.count == 1 else {
      let names = found.prefix(4).map { KilnError.quoted($0.prefix + reference.node) }.joined(separator: ", ")
      throw KilnError(.usage, "\(found.count) calls of functions have a node \(KilnError.quoted(reference.node))", hint: "they are \(names)")
    }
    return (only, reference)
  }

  /// The graph's own nodes that the signature's outputs need.
  private static func needed(_ converter: TFConverter) throws -> Set<Int> {
    var seen: Set<Int> = []
    var stack = converter.model.outputs?.map(\.tensor.node) ?? []
    while let name = stack.popLast() {
      guard let position = converter.root.node(named: name), seen.insert(position).inserted else { continue }
      stack += converter.root.nodes[position].inputs.map(\.node)
    }
    return seen
  }

  /// What an interior tensor is, from the inputs that the model has by itself; nil when they do not tell.
  static func type(_ name: String, _ model: TFModel, _ options: ImportOptions) -> TensorType? {
    var options = options
    options.inputs = []
    options.outputs = [name]
    options.inputShapes = [:]
    let builder = TFBuilder(name: "shapes")
    guard let converter = try? TFConverter(model, builder: builder, diagnostics: TFDiagnostics()),
      let plan = try? TFEndpoints(model, options, converter, .together), (try? plan.addInputs()) != nil,
      let value = (try? converter.values(plan.outputs.map { ($0.frame, $0.reference) }))?.first ?? nil, case .tensor = value.kind
    else { return nil }
    return value.type
  }
}

import GraphModule
import TensorModule

/// The meanings that a caller gives to layers which Kiln does not read.
final class LayerReplacements {
  private let expressions: [(name: String, expression: LayerExpression)]
  private var used: Set<String> = []
  private var seen: [String] = []

  /// - Throws: `KilnError` (`usage`) when an expression is wrong or a name comes twice.
  init(_ given: [(name: String, expression: String)]) throws {
    expressions = try given.map { name, text in
      do { return (name, try LayerExpression(text)) } catch let error as KilnError {
        throw KilnError(error.code, "--replace-layer \(KilnError.quoted(name)): \(error.message)")
      }
    }
    for (index, row) in expressions.enumerated() where expressions[..<index].contains(where: { $0.name == row.name }) {
      throw KilnError(.usage, "--replace-layer names \(KilnError.quoted(row.name)) twice")
    }
  }

  /// The expression of a layer, by its path or its own name.
  func expression(path: String, name: String) -> LayerExpression? {
    seen.append(path)
    let found = expressions.first { $0.name == path } ?? expressions.first { $0.name == name }
    if let found { used.insert(found.name) }
    return found?.expression
  }

  /// The expression of an activation: `LAYER.activation`, the layer by its path or its own name; `FUNCTION()` for every activation of
  /// that name; or a layer of class Activation by itself.
  ///
  /// - Parameter isKnown: whether Kiln has a meaning of its own; `FUNCTION()` then means nothing.
  func activation(_ function: String, isKnown: Bool, of config: LayerConfig, _ key: String) -> LayerExpression? {
    let own = config.path.split(separator: "/").last.map(String.init) ?? config.path
    var names = ["\(config.path).\(key)", "\(own).\(key)"]
    if config.className == "Activation" {
      seen.append(config.path)
      names += [config.path, own]
    }
    if !isKnown {
      seen += [names[0], "\(function)()"]
      names.append("\(function)()")
    }
    for name in names {
      guard let found = expressions.first(where: { $0.name == name }) else { continue }
      used.insert(name)
      return found.expression
    }
    return nil
  }

  /// Throws when an expression is for no layer of the model.
  func finish() throws {
    guard let unused = expressions.first(where: { !used.contains($0.name) }) else { return }
    throw KilnError(
      .usage, "--replace-layer: the model has no layer \(KilnError.quoted(unused.name))",
      hint: Nearest.name(to: unused.name, among: seen).map { "did you mean \(KilnError.quoted($0))?" })
  }
}

/// A layer whose meaning is an expression of the caller's.
struct ReplacedLayer: KerasLayerReader {
  let expression: LayerExpression
  let constants: [(key: String, value: JSON)]
  let outputShape: [Int?]?

  init(_ config: LayerConfig, _ expression: LayerExpression) {
    self.expression = expression
    if config.className == "Lambda" {
      constants = config.json("arguments")?.objectValue?.entries.map { ($0.key, $0.value) } ?? []
      let shape = config.json("output_shape")?.arrayValue
      outputShape = shape.flatMap { $0.allSatisfy { $0.intValue != nil || $0.isNull } ? $0.map(\.intValue) : nil }
      if config.json("mask") != nil { config.unsupported("a Lambda with a mask function") }
      _ = config.everything()
    } else {
      constants = config.everything()
      outputShape = nil
    }
  }

  // Keras gives the result of a Lambda no mask, but that of its own mask function.
  var masking: MaskRule { .drops }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    do {
      let results = try ExpressionEvaluator(call, expression, constants: constants).results()
      if results.count == 1, let outputShape, !outputShape.isEmpty { try check(call, results[0].value, outputShape) }
      return results
    } catch let error as KilnError {
      throw KilnError(error.code, "--replace-layer: \(error.message)", hint: error.hint)
    }
  }

  /// The shape that the file gives for the layer, without the batch axis (Keras 1 and 2 may write it with).
  private func check(_ call: LayerCall, _ value: ValueID, _ wanted: [Int?]) throws {
    let dims = call.type(value).dims
    func fits(_ dims: ArraySlice<Dim>) -> Bool {
      dims.count == wanted.count && zip(dims, wanted).allSatisfy { $0.fixed == nil || $1 == nil || $0.fixed == $1 }
    }
    guard !fits(dims.dropFirst()), !fits(dims[...]) else { return }
    let shape = wanted.map { $0.map(String.init) ?? "?" }.joined(separator: ",")
    call.builder.diagnostics.warn(
      call.layer.path, "the replacement gives \(call.type(value).message); the file says the output shape [\(shape)]")
  }
}

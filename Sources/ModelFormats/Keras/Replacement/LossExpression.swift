import GraphModule
import TensorModule

/// A loss that a caller gives as an expression of `y_true` and `y_pred`, in the language of `Docs/replace-layer.md`.
enum LossExpression {
  /// Under which key of the metadata a graph for training has it, by the output's name.
  static func key(_ output: String) -> String { "custom_loss \(output)" }

  /// The expression as a graph of the inputs `y_true` and `y_pred`, both of the output's type in float32.
  ///
  /// - Throws: `KilnError` (`usage`) that says where the text goes wrong.
  static func graph(_ text: String, output: TensorType, _ dialect: KerasDialect) throws -> Graph {
    do {
      let expression = try LayerExpression(text)
      let diagnostics = ImportDiagnostics()
      let builder = KerasGraphBuilder(name: "loss", dialect: dialect, backend: "tensorflow", diagnostics: diagnostics)
      let type = TensorType(.float32, output.dims)
      let operands = try ["y_true", "y_pred"].map { KerasTensor(try builder.graph.addInput($0, type)) }
      let config = LayerConfig(className: "Lambda", path: "loss", values: JSONObject(), dialect: dialect, diagnostics: diagnostics)
      let layer = KerasLayer(
        name: "loss", className: "Lambda", path: "loss", config: config, reader: ReplacedLayer(config, expression), isTrainable: false, dtype: .float32,
        calls: [])
      let call = LayerCall(builder: builder, layer: layer, arguments: [.list(operands.map { .leaf($0) })], keywords: [])
      let results = try ExpressionEvaluator(call, expression, constants: [], isLoss: true).results()
      if let error = diagnostics.error { throw error }
      guard results.count == 1, let value = results.first?.value, builder.graph.type(of: value).dtype.isFloat else {
        throw KilnError(.usage, "the result must be one tensor of floats")
      }
      builder.graph.outputs = [Graph.Output(name: "loss", value: value)]
      let graph = builder.graph.compacted()
      guard graph.inputs.count == 2, graph.constants.values.allSatisfy({ $0.count <= TextForm.inlineLimit }) else {
        throw KilnError(.usage, "holds a list of more than \(TextForm.inlineLimit) numbers")
      }
      return graph
    } catch let error as KilnError { throw KilnError(error.code, "--loss: \(error.message)", hint: error.hint) }
  }
}

import GraphModule
import GraphOptimizer
import ModelFile
import ModelFormats
import TensorModule

extension ModelExport {
  /// Writes the model of a `.kiln` file as ONNX.
  ///
  /// - Parameter validate: looks at the complete file under its temporary name.
  static func exportONNX(
    _ kiln: String, to target: String, externalData: Bool, overwriting: Bool, validate: (String, StoredModel) throws -> Void
  ) throws -> [String] {
    let model = try KilnFile.load(path: kiln)
    var options = ONNXWriter.Options()
    options.usesExternalData = externalData
    return try ONNXWriter.write(try withBiases(model.graph), to: target, options: options, overwriting: overwriting) { try validate($0, model) }
  }

  /// The ops of ONNX that the model of a `.kiln` file becomes, in order.
  package static func onnxOps(_ kiln: String) throws -> [String] { try ONNXWriter.ops(try withBiases(try KilnFile.load(path: kiln).graph)) }

  /// The graph with biases where ONNX's own ops take them, and otherwise as the importer left it.
  private static func withBiases(_ graph: Graph) throws -> Graph {
    var options = OptimizerOptions(phases: [.fuse])
    options.disabledRules = [BuiltIn.elementwiseChain.rawValue]
    return try Optimizer.run(graph, options, rules: RuleCatalog.rules.filter { $0.name == "bias-into-epilogue" }).graph
  }
}

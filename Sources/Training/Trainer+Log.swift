import GraphModule
import TensorModule

extension Trainer {
  /// The weights and statistics that training moves, under their names.
  package func movedVariables() throws -> [(name: String, tensor: Tensor)] {
    try model.variables.indices.filter(engine.moves).map { (model.variables[$0].value, try engine.value($0)) }
  }

  /// The gradients of the last step, under the names of their variables.
  package func lastGradients() throws -> [(name: String, tensor: Tensor)] {
    try engine.settleGradients()
    return try engine.trained.enumerated().map { place, index in (model.variables[index].value, try engine.gradients.tensor(place)) }
  }

  /// The graph of the model, for people.
  package var graph: Graph { model.graph }
}

extension Trainer {
  /// A text that differs between models whose weights or graphs differ, taken before training begins.
  package func fingerprint() throws -> String {
    var parts: [UInt8] = []
    for index in model.variables.indices {
      let tensor = try engine.value(index)
      parts += Array("\(model.variables[index].value)\(tensor.shape.shapeText)".utf8) + Array(XXH64.text(tensor.bytes).utf8)
    }
    for node in model.graph.nodes { parts += Array("\(node.scope)/\(node.op.opName);".utf8) }
    return parts.withUnsafeBytes { XXH64.text($0) }
  }
}

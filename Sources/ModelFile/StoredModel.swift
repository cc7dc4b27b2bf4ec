import GraphModule
import TensorModule

/// What a `.kiln` file holds: the portable graph with its weights, and vectors to check it by.
package struct StoredModel: Sendable {
  package var graph: Graph
  package var checks: [CheckVector]
  /// What to store for a trainer; a model that was loaded does not have it (`KilnFile.training`).
  package var training: TrainingState?
  /// Of a model that was loaded: what its file says of its training state, as JSON.
  package var trainingText: String?

  /// What to store for a writer; a model that was loaded does not have it (`KilnFile.layers`).
  package var layers: SourceLayers?

  package init(graph: Graph, checks: [CheckVector] = [], training: TrainingState? = nil, layers: SourceLayers? = nil) {
    self.layers = layers
    self.graph = graph
    self.checks = checks
    self.training = training
  }
}

/// Inputs and the outputs that the model must give for them.
package struct CheckVector: Sendable {
  /// Where the expected outputs come from: the framework that wrote the model, or Kiln's reference backend.
  package enum Origin: String, Sendable {
    case framework
    case reference
  }

  package var origin: Origin
  package var tolerance: Tolerance
  package var inputs: [(name: String, tensor: Tensor)]
  package var outputs: [(name: String, tensor: Tensor)]

  package init(
    origin: Origin, tolerance: Tolerance, inputs: [(name: String, tensor: Tensor)],
    outputs: [(name: String, tensor: Tensor)]
  ) {
    self.origin = origin
    self.tolerance = tolerance
    self.inputs = inputs
    self.outputs = outputs
  }
}

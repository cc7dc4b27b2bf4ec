import TensorModule

/// What training left beside a model: its configuration as the source has it, and the optimizer's variables.
package struct ImportedTraining: Sendable {
  package var configuration: JSON
  package var variables: [(name: String, tensor: Tensor)]
}

import GraphModule
import InferenceRuntime
import TensorModule

/// The graph of one training or validation step, for given shapes: the model with its variables as inputs, the loss, and in
/// training the derivatives.
package struct StepGraph {
  package var graph: Graph
  /// What the graph's inputs are, in their order.
  package var inputs: [Input]
  /// What its outputs are, in their order.
  package var outputs: [Output]

  package enum Input: Hashable {
    case data(Int)
    case target(Int)
    case sampleWeight(Int)
    /// The number of the step, for noise.
    case counter
    case variable(Int)
    /// What a stateful layer kept from the batch before.
    case state(Int)
  }

  package enum Output: Hashable {
    case loss
    /// The loss of one output, without its weight.
    case outputLoss(Int)
    case prediction(Int)
    /// Keras's mask of an output, for metrics.
    case mask(Int)
    case gradient(Int)
    /// The sum of squares or absolute values of what a table's gradient is the sum of: one for each row that was picked.
    case rows(Int)
    /// The statistic of this batch that moves a variable.
    case statistic(variable: Int)
    /// What a stateful layer keeps for the next batch.
    case state(Int)
  }
}

/// What a step's graph is made for.
package struct StepShapes: Hashable, Sendable {
  package var data: [Shape]
  /// Nil for an output without a loss.
  package var targets: [Shape?]
  package var weights: [Shape?]

  package init(data: [Shape], targets: [Shape?], weights: [Shape?]) {
    self.data = data
    self.targets = targets
    self.weights = weights
  }
}

/// What training is told about the model's parts; the same for all steps.
package struct StepOptions: Sendable {
  /// One for each output of the model; nil for those that are not trained.
  package var losses: [LossConfiguration?]
  package var lossWeights: [Double]
  /// The variables that are trained, by place in the model's list.
  package var trained: Set<Int>
  /// Layers whose statistics move: batch norms that are not frozen.
  package var movingLayers: Set<String>
  package var seed: Int
  /// Whether predictions are outputs, for metrics.
  package var givesPredictions: Bool
  /// What is made of the rows of tables' gradients.
  package var rows = RowTreatment()
  /// Whether activations are computed again for the derivative instead of kept.
  package var recomputes = false
  package var precision = TrainingPrecision.float32

  package init(
    losses: [LossConfiguration?], lossWeights: [Double], trained: Set<Int>, movingLayers: Set<String>, seed: Int, givesPredictions: Bool
  ) {
    self.losses = losses
    self.lossWeights = lossWeights
    self.trained = trained
    self.movingLayers = movingLayers
    self.seed = seed
    self.givesPredictions = givesPredictions
  }
}

/// How a table's gradient is made of rows, one for each that was picked.
package struct RowTreatment: Sendable {
  package enum Sum: Sendable { case squares, absolutes }

  /// What is summed up besides the rows themselves.
  package var sum: Sum?
  /// What each number of a row is clipped to before it is added.
  package var limit: Double?

  package init() {}
}

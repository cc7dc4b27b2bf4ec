import InferenceRuntime
import TensorModule

/// How far a model with narrow weights is from the same model in float32.
public struct WeightError: Sendable {
  /// The largest absolute difference of an output value.
  public let largest: Double
  /// The root mean square of the differences over that of the float32 outputs.
  public let relative: Double
}

extension Model {
  /// Compares the outputs for `inputs` with those of float32 weights; nil when the weights are float32.
  public func weightError(_ inputs: [Tensor]) throws -> WeightError? {
    guard plans.options.weights != .float32 else { return nil }
    let fitting = try zip(inputs, self.inputs).map { try InputConversion.fit($0, $1) } + initialState.tensors
    var options = plans.options
    (options.weights, options.expectedRuns) = (.float32, 1)
    let wanted = try PlanCache(plans.graph, options: options, pool: plans.pool).run(fitting)
    var (largest, squares, scale) = (0.0, 0.0, 0.0)
    for (got, wanted) in zip(try plans.run(fitting), wanted) where wanted.dtype.isFloat {
      for (a, b) in zip(got.doubles, wanted.doubles) {
        largest = max(largest, (a - b).magnitude)
        squares += (a - b) * (a - b)
        scale += b * b
      }
    }
    return WeightError(largest: largest, relative: scale > 0 ? (squares / scale).squareRoot() : 0)
  }

  /// Says how often each shape of inputs will be predicted from now on; nil, as at first, is many times. For a few times,
  /// nothing is prepared that takes longer than it saves.
  public func expect(predictions: Int?) { plans.expect(runs: predictions) }
}

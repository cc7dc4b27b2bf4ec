import CKernels
import InferenceRuntime
import TensorModule

/// What an optimizer keeps of the variables that it trains, in memory beside them: one block of floats for each kind of state,
/// in which each variable has the place that it has among the weights.
final class OptimizerState {
  let configuration: OptimizerConfiguration
  let layout: ParameterLayout
  /// Steps done.
  var iteration = 0
  /// Updates done: with accumulated gradients not every step is one. Formulas and schedules count these.
  var updates: Int { iteration / max(1, configuration.accumulationSteps ?? 1) }
  /// The rate of the last step.
  var learningRate: Float
  let slots: [ParameterMemoryBlock]
  let averages: ParameterMemoryBlock?
  let accumulated: ParameterMemoryBlock?
  /// Nadam's product of momentum schedules.
  var product: Float = 1
  /// Adafactor's means of rows and columns, by variable.
  var rows: [[Float]] = []
  var columns: [[Float]] = []

  init(_ configuration: OptimizerConfiguration, _ layout: ParameterLayout) throws {
    self.configuration = configuration
    self.layout = layout
    learningRate = Float(configuration.learningRate)
    let initial = Self.initialValues(configuration)
    slots = try initial.map { try ParameterMemoryBlock(layout, filledWith: $0) }
    averages = configuration.usesAverage ? try ParameterMemoryBlock(layout) : nil
    accumulated = configuration.accumulationSteps != nil ? try ParameterMemoryBlock(layout) : nil
    if configuration.kind == .adafactor {
      for shape in layout.shapes {
        guard shape.count >= 2 else {
          rows.append([0])
          columns.append([0])
          continue
        }
        rows.append([Float](repeating: 0, count: shape.dropLast().reduce(1, *)))
        columns.append([Float](repeating: 0, count: (shape.dropLast(2) + shape.suffix(1)).reduce(1, *)))
      }
    }
  }

  /// Every block of state under a name of its own.
  var blocks: [(name: String, block: ParameterMemoryBlock)] {
    slots.enumerated().map { ("slot \($0)", $1) } + (averages.map { [("average", $0)] } ?? []) + (accumulated.map { [("accumulated", $0)] } ?? [])
  }

  /// What each state begins with.
  private static func initialValues(_ configuration: OptimizerConfiguration) -> [Float] {
    let start = configuration.option("initial_accumulator_value")
    switch configuration.kind {
    case .sgd: return configuration.option("momentum") != 0 ? [0] : []
    case .adam, .adamW: return configuration.option("amsgrad") != 0 ? [0, 0, 0] : [0, 0]
    case .rmsProp:
      // Velocity, momentum, mean gradient; those that are not used take no memory in Keras, and none that matters here.
      return [0, 0, 0]
    case .adagrad: return [start]
    case .adadelta, .adamax, .nadam, .lamb: return [0, 0]
    case .ftrl: return [start, 0]
    case .lion: return [0]
    case .adafactor: return [0]
    }
  }
}

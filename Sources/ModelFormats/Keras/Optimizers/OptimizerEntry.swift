import TensorModule

/// One variable that an optimizer keeps: a number of its own, or a kind of state of one trained variable.
struct OptimizerEntry: Hashable {
  enum Kind: Hashable {
    case iteration, learningRate
    /// Nadam's product of momentum schedules.
    case momentumProduct
    case average, accumulatedGradient
    case momentum, velocity, largestVelocity, averageGradient
    case accumulator, linear
    case squaredDelta
    case rowMeans, columnMeans
    /// What a file keeps and no formula reads.
    case unused

    /// What names of files call it, in any generation.
    var tokens: [String] {
      switch self {
      case .iteration: ["iteration", "iter", "iterations"]
      case .learningRate: ["learning_rate"]
      case .momentumProduct: ["momentum_cache", "m_schedule", "variable"]
      case .average: ["average"]
      case .accumulatedGradient: ["gradient_accumulator"]
      case .momentum: ["momentum", "m"]
      case .velocity: ["velocity", "v", "rms", "norm", "u"]
      case .largestVelocity: ["velocity_hat", "vhat"]
      case .averageGradient: ["average_gradient", "mg"]
      case .accumulator: ["accumulator", "accumulated_grad", "accum_grad"]
      case .squaredDelta: ["accumulated_delta_var", "accum_var"]
      case .linear: ["linear"]
      case .rowMeans: ["r"]
      case .columnMeans: ["c"]
      case .unused: []
      }
    }
  }

  var kind: Kind
  /// Among the trained variables; nil for a number of the optimizer's own.
  var variable: Int?

  init(_ kind: Kind, _ variable: Int? = nil) { (self.kind, self.variable) = (kind, variable) }

  /// The shape that it has for variables of these shapes; nil: any.
  func shape(_ shapes: [Shape]) -> Shape? {
    guard let variable else { return [] }
    let own = shapes[variable]
    switch kind {
    case .rowMeans: return own.count < 2 ? [] : own.dropLast()
    case .columnMeans: return own.count < 2 ? [] : own.dropLast(2) + own.suffix(1)
    case .unused: return nil
    default: return own
    }
  }
}

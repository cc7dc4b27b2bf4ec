import TensorModule

/// The order in which the Kerases keep an optimizer's variables.
struct OptimizerOrder {
  typealias Kind = OptimizerEntry.Kind

  let className: String
  let variableCount: Int
  /// The order in which an old Keras hands the trained variables to its optimizer.
  var variables: [Int]
  private let averages: Bool
  private let accumulates: Bool
  /// The kinds of state; those of a group stand together for each variable in Keras 3.
  private let groups: [[Kind]]
  private let product: Bool
  /// Whether the learning rate is a schedule's, of which Keras keeps no variable.
  let hasSchedule: Bool

  /// - Parameter optimizer: as Keras 3 describes it.
  /// - Returns: nil for an optimizer that is not known.
  init?(_ optimizer: JSON, variableCount: Int) {
    guard let className = optimizer["class_name"]?.stringValue ?? optimizer.stringValue.map({ KerasTraining.optimizerClass($0) }) else { return nil }
    let config = optimizer["config"]
    func number(_ key: String) -> Double { config?[key]?.doubleValue ?? 0 }
    func flag(_ key: String) -> Bool { config?[key]?.boolValue ?? false }
    switch className {
    case "SGD": groups = number("momentum") != 0 ? [[.momentum]] : []
    case "Adam", "AdamW": groups = [[.momentum, .velocity]] + (flag("amsgrad") ? [[.largestVelocity]] : [])
    case "RMSprop":
      groups = [[.velocity]] + (number("momentum") > 0 ? [[.momentum]] : []) + (flag("centered") ? [[.averageGradient]] : [])
    case "Adagrad": groups = [[.accumulator]]
    case "Adadelta": groups = [[.accumulator, .squaredDelta]]
    case "Adamax", "Nadam", "Lamb": groups = [[.momentum, .velocity]]
    case "Ftrl": groups = [[.accumulator, .linear]]
    case "Lion": groups = [[.momentum]]
    case "Adafactor": groups = [[.rowMeans, .columnMeans, .velocity]]
    default: return nil
    }
    self.className = className
    self.variableCount = variableCount
    variables = Array(0..<variableCount)
    averages = flag("use_ema")
    accumulates = (config?["gradient_accumulation_steps"]?.intValue ?? 0) > 0
    product = className == "Nadam"
    hasSchedule = config?["learning_rate"]?.objectValue != nil
  }

  private func together(_ kinds: [Kind]) -> [OptimizerEntry] { variables.flatMap { index in kinds.map { OptimizerEntry($0, index) } } }
  private func apart(_ kinds: [Kind]) -> [OptimizerEntry] { kinds.flatMap { together([$0]) } }
  private var wrapper: [OptimizerEntry] { (averages ? together([.average]) : []) + (accumulates ? together([.accumulatedGradient]) : []) }

  /// The order in which a document and the trainer have them: Keras 3.15's, the learning rate always in the second place.
  var document: [OptimizerEntry] {
    [OptimizerEntry(.iteration), OptimizerEntry(.learningRate)] + wrapper + groups.flatMap(together) + (product ? [OptimizerEntry(.momentumProduct)] : [])
  }

  /// How many variables Keras 3 makes of no weight: its counter, and the learning rate.
  private var numbers: [OptimizerEntry] { [OptimizerEntry(.iteration)] + (hasSchedule ? [] : [OptimizerEntry(.learningRate)]) }

  /// The order of Keras 3 now.
  var keras3: [OptimizerEntry] { document.filter { !hasSchedule || $0.kind != .learningRate } }

  /// The order of Keras 3 before 3.10: Nadam's product before the other states, averages and gathered gradients of a variable together.
  var keras30: [OptimizerEntry] {
    let both = (averages ? [Kind.average] : []) + (accumulates ? [Kind.accumulatedGradient] : [])
    return numbers + together(both) + (product ? [OptimizerEntry(.momentumProduct)] : []) + groups.flatMap(together)
  }

  /// The order of tf.keras 2.11 and later and of tf_keras, which keeps no learning rate, momenta of SGD without momentum too, and
  /// means of Adafactor for matrices alone.
  func tfKeras(_ shapes: [Shape]) -> [OptimizerEntry] {
    let own = className == "SGD" ? [[Kind.momentum]] : groups
    return [OptimizerEntry(.iteration)] + wrapper + own.flatMap(together).filter { entry in
      ![.rowMeans, .columnMeans].contains(entry.kind) || entry.variable.map { shapes[$0].count >= 2 } ?? true
    }
  }

  /// The orders of the optimizers of Keras 2 before 2.11, and of `optimizers.legacy`, kind by kind.
  var legacy: [[OptimizerEntry]] {
    let iteration = [OptimizerEntry(.iteration)]
    let states = className == "Ftrl" ? groups.flatMap(together) : apart(groups.flatMap { $0 })
    // Of Keras without TensorFlow: momenta of SGD always, no counter where no formula has one.
    let always = className == "SGD" ? apart([.momentum]) : states
    let scalars = className == "Nadam" ? [OptimizerEntry(.momentumProduct)] : []
    var found = [iteration + scalars + states, iteration + always, states]
    // Adam keeps a number where AMSGrad keeps the largest velocity.
    if className == "Adam" { found.append(iteration + apart([.momentum, .velocity]) + together([.unused])) }
    return found.reduce(into: []) { list, next in if !list.contains(next) { list.append(next) } }
  }
}

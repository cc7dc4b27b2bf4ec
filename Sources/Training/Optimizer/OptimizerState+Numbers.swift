import CKernels

extension OptimizerState {
  /// The numbers of the next step for an `UpdateGraph`. Nadam's product moves; all else does with `endStep`.
  func numbers(rate: Double) -> [UpdateGraph.Number: Float] {
    learningRate = Float(rate)
    var numbers: [UpdateGraph.Number: Float] = [
      .averageMomentum: nextAverageMomentum, .takesAverages: nextStepTakesAverages ? 1 : 0, .decay: Float(configuration.weightDecay ?? 0) * learningRate,
    ]
    guard nextStepIsUpdate else { return numbers }
    let p = parameters()
    (numbers[.rate], numbers[.c], numbers[.d], numbers[.e]) = (p.rate, p.c, configuration.kind == .ftrl ? 2 * p.b : p.d, p.e)
    if configuration.kind == .adafactor { (numbers[.beta], numbers[.relativeRate]) = adafactorNumbers() }
    return numbers
  }

  /// Counts a step that was taken elsewhere.
  func endStep() { iteration += 1 }

  /// Adafactor's decay of means, and its rate before the size of a variable.
  func adafactorNumbers() -> (beta: Float, rate: Float) {
    let step = Float(updates + 1)
    let root = 1 / step.squareRoot()
    let rate = configuration.option("relative_step") != 0 ? min(learningRate, root) : learningRate
    return (1 - Float(Scalar.pow(Double(step), configuration.options["beta_2_decay"] ?? -0.8)), min(rate, root))
  }
}

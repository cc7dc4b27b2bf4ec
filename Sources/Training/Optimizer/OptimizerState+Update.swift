import CKernels
import InferenceRuntime
import TensorModule

extension OptimizerState {
  /// Takes a step: moves the weights by the gradients, as Keras's `apply` does.
  ///
  /// - Parameters:
  ///   - gradients: are used up.
  ///   - rows: for each variable what its rows' squares or absolute values sum up to; nil: it is no table. Empty: there are none.
  ///   - rate: the learning rate of this step.
  func step(
    _ weights: ParameterMemoryBlock, _ gradients: ParameterMemoryBlock, rows: [UnsafeMutablePointer<Float>?] = [], rate: Double,
    pool: ThreadPool
  ) {
    learningRate = Float(rate)
    let count = Int64(layout.count)
    let isUpdate = nextStepIsUpdate
    if let steps = configuration.accumulationSteps, steps > 0, let accumulated {
      if isUpdate {
        let share = 1 / Float(steps)
        kiln_blend(count, gradients.floats, accumulated.floats, share, share)
        accumulated.floats.update(repeating: 0, count: layout.count)
      } else {
        kiln_add_scaled(count, accumulated.floats, gradients.floats, 1)
      }
    }
    if isUpdate { update(weights, gradients, rows.contains { $0 != nil } ? rows : [], pool) }
    if let averages {
      kiln_blend(count, averages.floats, weights.floats, nextAverageMomentum, 1 - nextAverageMomentum)
      if nextStepTakesAverages {
        weights.floats.update(from: averages.floats, count: layout.count)
      }
    }
    iteration += 1
  }

  /// Whether the next step moves the weights, and does not only gather gradients.
  var nextStepIsUpdate: Bool { configuration.accumulationSteps.map { $0 <= 0 || (iteration + 1) % $0 == 0 } ?? true }

  var nextAverageMomentum: Float { updates == 0 ? 0 : Float(configuration.averageMomentum) }

  /// Whether the averages become the weights behind the next step.
  var nextStepTakesAverages: Bool { configuration.averageOverwriteFrequency.map { (updates + 1) % $0 == 0 } ?? false }

  private func update(
    _ weights: ParameterMemoryBlock, _ gradients: ParameterMemoryBlock, _ rows: [UnsafeMutablePointer<Float>?], _ pool: ThreadPool
  ) {
    let scales = clipScales(gradients, rows)
    // Clipped by the length of all gradients a table is no longer rows; clipped by its own length it is.
    let isByOwn = (configuration.clipNorm ?? 0) > 0
    let rows = scales == nil || isByOwn && configuration.kind != .adamax ? rows : []
    let limit = scales == nil ? Float(configuration.clipValue ?? 0) : 0
    if configuration.kind == .adafactor {
      for index in layout.shapes.indices {
        let own = rows.isEmpty ? nil : rows[index]
        adafactor(index, weights, gradients, scale: scales?[index] ?? 1, limit: own == nil ? limit : 0, own)
      }
      return
    }
    var params = parameters()
    params.limit = limit
    if !rows.isEmpty || configuration.clipNorm != nil {
      for index in layout.shapes.indices {
        var own = params
        own.scale = scales?[index] ?? 1
        let squares = rows.isEmpty ? nil : rows[index]
        // The rows are clipped already.
        if squares != nil { own.limit = 0 }
        run(&own, weights, gradients, layout.offsets[index]..<layout.offsets[index] + layout.size(index), squares)
      }
    } else {
      if let first = scales?.first { params.scale = first }
      let shares = max(1, min(pool.count, layout.count / 16384))
      let fixed = params
      // Multiples of 16, so that no two threads write one line of the cache.
      pool.run((0..<shares).map { share in
        let bounds = [share, share + 1].map { self.layout.count / 16 * $0 / shares * 16 }
        nonisolated(unsafe) let own = (self, weights, gradients)
        return {
          var copy = fixed
          own.0.run(&copy, own.1, own.2, bounds[0]..<bounds[1])
        }
      })
    }
    if configuration.kind == .lamb { lamb(weights, gradients) }
  }

  private func run(
    _ params: inout kiln_update_params, _ weights: ParameterMemoryBlock, _ gradients: ParameterMemoryBlock, _ range: Range<Int>,
    _ squares: UnsafeMutablePointer<Float>? = nil
  ) {
    func slot(_ index: Int) -> UnsafeMutablePointer<Float>? { slots.indices.contains(index) ? slots[index].floats + range.lowerBound : nil }
    kiln_update(
      &params, Int64(range.count), weights.floats + range.lowerBound, gradients.floats + range.lowerBound, squares, slot(0), slot(1),
      slot(2))
  }

  /// The factor of each variable's gradient; nil when nothing is clipped by its length.
  private func clipScales(_ gradients: ParameterMemoryBlock, _ rows: [UnsafeMutablePointer<Float>?]) -> [Float]? {
    func squares(_ index: Int) -> Double {
      // A table is as long as its rows.
      if !rows.isEmpty, let own = rows[index] { return (0..<layout.size(index)).reduce(0) { $0 + Double(own[$1]) } }
      return kiln_sum_of_squares(Int64(layout.size(index)), gradients[index])
    }
    func scale(_ length: Double, _ most: Double) -> Float { length > most ? Float(most / length) : 1 }
    if let most = configuration.clipNorm, most > 0 { return layout.shapes.indices.map { scale(squares($0).squareRoot(), most) } }
    if let most = configuration.globalClipNorm, most > 0 {
      let length = layout.shapes.indices.reduce(0) { $0 + squares($1) }.squareRoot()
      return layout.shapes.indices.map { _ in scale(length, most) }
    }
    return nil
  }

  /// The numbers of this step, computed in Float as Keras does.
  func parameters() -> kiln_update_params {
    var p = kiln_update_params()
    let step = Float(updates + 1)
    p.scale = 1
    p.rate = learningRate
    p.decay = Float(configuration.weightDecay ?? 0) * learningRate
    p.epsilon = configuration.option("epsilon")
    let (beta1, beta2) = (configuration.option("beta_1"), configuration.option("beta_2"))
    (p.a, p.b) = (beta1, beta2)
    func power(_ base: Float, _ exponent: Float) -> Float { Float(Scalar.pow(Double(base), Double(exponent))) }
    func rule(_ rule: kiln_update_rule) { p.rule = Int32(rule.rawValue) }
    switch configuration.kind {
    case .sgd:
      p.a = configuration.option("momentum")
      rule(p.a == 0 ? KILN_SGD : configuration.option("nesterov") != 0 ? KILN_NESTEROV : KILN_MOMENTUM)
    case .adam, .adamW:
      p.rate = learningRate * (1 - power(beta2, step)).squareRoot() / (1 - power(beta1, step))
      rule(configuration.option("amsgrad") != 0 ? KILN_AMSGRAD : KILN_ADAM)
    case .rmsProp:
      p.a = configuration.option("rho")
      p.momentum = configuration.option("momentum")
      p.centered = configuration.option("centered") != 0 ? 1 : 0
      rule(KILN_RMSPROP)
    case .adagrad: rule(KILN_ADAGRAD)
    case .adadelta:
      p.a = configuration.option("rho")
      rule(KILN_ADADELTA)
    case .adamax:
      p.c = 1 - power(beta1, step)
      rule(KILN_ADAMAX)
    case .nadam:
      let now = beta1 * (1 - 0.5 * power(0.96, step))
      let next = beta1 * (1 - 0.5 * power(0.96, step + 1))
      product *= now
      p.c = next / (1 - product * next)
      p.d = (1 - now) / (1 - product)
      p.e = 1 - power(beta2, step)
      rule(KILN_NADAM)
    case .ftrl:
      p.a = -configuration.option("learning_rate_power")
      p.b = configuration.option("l2_regularization_strength") + configuration.option("beta") / (2 * learningRate)
      p.c = configuration.option("l1_regularization_strength")
      p.d = 2 * configuration.option("l2_shrinkage_regularization_strength")
      rule(KILN_FTRL)
    case .lion: rule(KILN_LION)
    case .lamb:
      p.c = 1 - power(beta1, step)
      p.e = 1 - power(beta2, step)
      rule(KILN_LAMB)
    case .adafactor: break
    }
    return p
  }

  /// Each variable moves by its update times |w| / |update|.
  private func lamb(_ weights: ParameterMemoryBlock, _ updates: ParameterMemoryBlock) {
    for index in layout.shapes.indices {
      let count = Int64(layout.size(index))
      let length = kiln_sum_of_squares(count, weights[index]).squareRoot()
      let size = kiln_sum_of_squares(count, updates[index]).squareRoot()
      let ratio = length > 0 && size > 0 ? Float(length / size) : 1
      kiln_add_scaled(count, weights[index], updates[index], -ratio * learningRate)
    }
  }

  private func adafactor(
    _ index: Int, _ weights: ParameterMemoryBlock, _ gradients: ParameterMemoryBlock, scale: Float, limit: Float,
    _ rowSquares: UnsafeMutablePointer<Float>?
  ) {
    let (w, g, v) = (weights[index], gradients[index], slots[0][index])
    let (count, shape) = (layout.size(index), layout.shapes[index])
    if count == 0 { return }
    let decay = Float(configuration.weightDecay ?? 0) * learningRate
    for place in 0..<count {
      g[place] *= scale
      if limit > 0 { g[place] = min(max(g[place], -limit), limit) }
      w[place] -= w[place] * decay
    }
    func rms(_ x: UnsafeMutablePointer<Float>) -> Float { Float((kiln_sum_of_squares(Int64(count), x) / Double(count)).squareRoot()) }
    func squared(_ place: Int) -> Float { rowSquares?[place] ?? g[place] * g[place] }
    let (beta, rate) = adafactorNumbers()
    let alpha = max(configuration.option("epsilon_2"), rms(w)) * rate
    let epsilon = configuration.option("epsilon_1")
    if shape.count >= 2 {
      let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
      for matrix in 0..<count / (height * width) {
        let first = matrix * height * width
        var columnSums = [Float](repeating: 0, count: width)
        for row in 0..<height {
          var sum: Float = 0
          for column in 0..<width {
            let square = squared(first + row * width + column) + epsilon
            sum += square
            columnSums[column] += square
          }
          let at = matrix * height + row
          rows[index][at] = beta * rows[index][at] + (1 - beta) * sum / Float(width)
        }
        for column in 0..<width {
          let at = matrix * width + column
          columns[index][at] = beta * columns[index][at] + (1 - beta) * columnSums[column] / Float(height)
        }
        let mean = rows[index][matrix * height..<(matrix + 1) * height].reduce(0, +) / Float(height)
        for row in 0..<height {
          let factor = rows[index][matrix * height + row] / mean
          for column in 0..<width { v[first + row * width + column] = factor * columns[index][matrix * width + column] }
        }
      }
    } else {
      for place in 0..<count { v[place] = beta * v[place] + (1 - beta) * (squared(place) + epsilon) }
    }
    // The squares of the update, before the gradient becomes it.
    var squares = 0.0
    for place in 0..<count {
      squares += Double(squared(place) / v[place])
      g[place] /= v[place].squareRoot()
    }
    let size = Float((squares / Double(count)).squareRoot())
    let divisor = max(1, size / configuration.option("clip_threshold"))
    kiln_add_scaled(Int64(count), w, g, -alpha / divisor)
  }
}

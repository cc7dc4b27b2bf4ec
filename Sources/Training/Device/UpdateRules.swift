import GraphModule
import TensorModule

/// The formulas of `kiln_update`, as graphs.
extension UpdateGraphBuilder {
  /// The weights after a step.
  ///
  /// - Parameters:
  ///   - v: the weights, decay taken off.
  ///   - x, xx: the gradient and its squares; `isGiven` when these are those of rows (of adamax: the absolute values).
  mutating func rule(_ piece: Piece, _ v: GraphTerm, _ x: GraphTerm, _ xx: GraphTerm, isGiven: Bool) throws -> GraphTerm {
    let options = configuration
    let (a, b, epsilon) = (options.option("beta_1"), options.option("beta_2"), options.option("epsilon"))
    let rate = try number(.rate)
    func moment(_ index: Int, _ value: GraphTerm, _ share: Float) throws -> GraphTerm {
      let old = try slot(index, piece)
      return keep(index, piece, try old + (value - old) * (1 - share))
    }
    switch options.kind {
    case .sgd:
      let momentum = options.option("momentum")
      if momentum == 0 { return try v - x * rate }
      let velocity = keep(0, piece, try slot(0, piece) * momentum - x * rate)
      return options.option("nesterov") != 0 ? try v + (velocity * momentum - x * rate) : try v + velocity
    case .adam, .adamW:
      let (first, second) = (try moment(0, x, a), try moment(1, xx, b))
      let size = options.option("amsgrad") != 0 ? keep(2, piece, try slot(2, piece).binary(.max, second)) : second
      return try v - first * rate / (size.root() + epsilon)
    case .rmsProp:
      let rho = options.option("rho")
      let velocity = keep(0, piece, try slot(0, piece) * rho + xx * (1 - rho))
      var spread = velocity
      if options.option("centered") != 0 {
        let mean = keep(2, piece, try slot(2, piece) * rho + x * (1 - rho))
        spread = try velocity - mean * mean
      }
      var step = try x * rate / (spread + epsilon).root()
      if options.option("momentum") > 0 { step = keep(1, piece, try slot(1, piece) * options.option("momentum") + step) }
      return try v - step
    case .adagrad:
      let sum = keep(0, piece, try slot(0, piece) + xx)
      return try v - x * rate / (sum + epsilon).root()
    case .adadelta:
      let rho = options.option("rho")
      let old = try slot(1, piece)
      let squares = keep(0, piece, try slot(0, piece) * rho + xx * (1 - rho))
      let step = try (old + epsilon).root() * x / (squares + epsilon).root()
      _ = keep(1, piece, try old * rho + (old + epsilon) / (squares + epsilon) * xx * (1 - rho))
      return try v - step * rate
    case .adamax:
      let first = try moment(0, x, a)
      let size = isGiven ? xx : try x.unary(.abs)
      let largest = keep(1, piece, try (slot(1, piece) * b).binary(.max, size))
      return try v - first * rate / (number(.c) * (largest + epsilon))
    case .nadam:
      let (first, second) = (try moment(0, x, a), try moment(1, xx, b))
      return try v - (first * number(.c) + x * number(.d)) * rate / ((second / number(.e)).root() + epsilon)
    case .ftrl: return try ftrl(piece, v, x, xx, rate)
    case .lion:
      let old = try slot(0, piece)
      let direction = try old * a + x * (1 - a)
      _ = keep(0, piece, try old * b + x * (1 - b))
      return try v - direction.unary(.sign) * rate
    case .lamb:
      let (first, second) = (try moment(0, x, a), try moment(1, xx, b))
      let direction = try (first / number(.c)) / ((second / number(.e)).root() + epsilon)
      let (length, size) = (try v.length(), try direction.length())
      let isUsual = try (length > 0).binary(.and, size > 0)
      return try v - direction * (isUsual.select(length / size, length.constant(1)) * rate)
    case .adafactor: return v
    }
  }

  private mutating func ftrl(_ piece: Piece, _ v: GraphTerm, _ x: GraphTerm, _ xx: GraphTerm, _ rate: GraphTerm) throws -> GraphTerm {
    let power = -configuration.option("learning_rate_power")
    let (l1, shrinkage) = (configuration.option("l1_regularization_strength"), 2 * configuration.option("l2_shrinkage_regularization_strength"))
    func raised(_ term: GraphTerm) throws -> GraphTerm { power == 0.5 ? try term.root() : try term.binary(.pow, power) }
    let old = try slot(0, piece)
    let sum = keep(0, piece, try old + xx)
    let gradient = shrinkage == 0 ? x : try x + v * shrinkage
    let linear = keep(1, piece, try slot(1, piece) + (gradient - (raised(sum) - raised(old)) / rate * v))
    let quadratic = try raised(sum) / rate + number(.d)
    return try (linear.unary(.clip, Double(-l1), Double(l1)) - linear) / quadratic
  }

  /// Adafactor's step of one variable.
  mutating func adafactor(_ piece: Piece, _ weights: GraphTerm, _ g: GraphTerm, _ rows: GraphTerm?) throws -> GraphTerm {
    let index = piece.variables.lowerBound
    let (shape, count) = (form.layout.shapes[index], Float(piece.range.count))
    let beta = try number(.beta)
    let plain = try rows ?? g.squared()
    let squares = try plain + configuration.option("epsilon_1")
    let size = try (weights.squared().reduced(.sum) / count).root()
    let alpha = try size.binary(.max, configuration.option("epsilon_2")) * number(.relativeRate)
    var v: GraphTerm
    if shape.count >= 2 {
      let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
      let matrices = piece.range.count / (height * width)
      let all = try squares.reshaped([matrices, height, width])
      let (rowShape, columnShape) = ([matrices, height, 1], [matrices, 1, width])
      let rowMeans = try input(.rowMeans(index), [matrices * height]).reshaped(rowShape)
      let columnMeans = try input(.columnMeans(index), [matrices * width]).reshaped(columnShape)
      let newRows = try rowMeans * beta + all.reduced(.mean, axes: [2], keepDims: true) * (1 - beta)
      let newColumns = try columnMeans * beta + all.reduced(.mean, axes: [1], keepDims: true) * (1 - beta)
      give(.rowMeans(index), try newRows.reshaped([matrices * height]))
      give(.columnMeans(index), try newColumns.reshaped([matrices * width]))
      v = try (newRows / newRows.reduced(.mean, axes: [1], keepDims: true) * newColumns).reshaped([piece.range.count])
    } else {
      v = try slot(0, piece) * beta + squares * (1 - beta)
    }
    v = keep(0, piece, v)
    let length = try ((plain / v).reduced(.sum) / count).root()
    let divisor = try (length / configuration.option("clip_threshold")).binary(.max, 1)
    return try weights - g / v.root() * (alpha / divisor)
  }
}

extension Constraint {
  /// The variable under the constraint.
  func apply(_ w: GraphTerm) throws -> GraphTerm {
    if isNonNegative { return try w.binary(.max, 0) }
    let length = try w.squared().reduced(.sum, axes: axes.sorted(), keepDims: true).root()
    let divisor = try length + 1e-7
    guard let bounds else { return try w / divisor }
    let wanted = try length.unary(.clip, Double(bounds.low), Double(bounds.high)) * bounds.rate
    return try w * ((bounds.rate == 1 ? wanted : wanted + length * (1 - bounds.rate)) / divisor)
  }
}

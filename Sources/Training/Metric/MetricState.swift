import TensorModule

/// A metric over the samples seen so far, as Keras computes it.
struct MetricState {
  let configuration: MetricConfiguration
  private var total = 0.0
  private var weight = 0.0
  /// True and false positives above each threshold, and all positives and negatives.
  private var truePositives: [Double] = []
  private var falsePositives: [Double] = []
  private var positives = 0.0
  private var negatives = 0.0
  private let thresholds: [Double]

  init(_ configuration: MetricConfiguration) {
    self.configuration = configuration
    switch configuration.kind {
    case .auc:
      let count = max(2, Int(configuration.options["num_thresholds"] ?? 200))
      thresholds = [-1e-7] + (1..<count - 1).map { Double($0) / Double(count - 1) } + [1 + 1e-7]
    case .precision, .recall, .truePositives, .falsePositives, .trueNegatives, .falseNegatives:
      thresholds = [configuration.options["threshold"] ?? 0.5]
    default: thresholds = []
    }
    reset()
  }

  /// What was counted so far, for a checkpoint.
  var counts: [Double] { [total, weight, positives, negatives] + truePositives + falsePositives }

  /// Goes on from what a checkpoint kept.
  ///
  /// - Throws: `KilnError` (`badInput`) when it belongs to another metric.
  mutating func restore(_ counts: [Double]) throws {
    guard counts.count == 4 + 2 * thresholds.count else { throw KilnError(.badInput, "the checkpoint has other metrics") }
    (total, weight, positives, negatives) = (counts[0], counts[1], counts[2], counts[3])
    truePositives = Array(counts[4..<4 + thresholds.count])
    falsePositives = Array(counts[(4 + thresholds.count)...])
  }

  mutating func reset() {
    (total, weight, positives, negatives) = (0, 0, 0, 0)
    truePositives = thresholds.map { _ in 0 }
    falsePositives = thresholds.map { _ in 0 }
  }

  /// Adds a batch.
  ///
  /// - Parameters:
  ///   - target, prediction: of float32 (targets also int32).
  ///   - weights: one for each sample, or for each row of predictions; nil: 1.
  mutating func update(target: Tensor, prediction: Tensor, weights: [Double]?) {
    let p = prediction.address.assumingMemoryBound(to: Float.self)
    let columns = max(1, prediction.shape.count > 1 ? prediction.shape[prediction.shape.count - 1] : 1)
    let rows = prediction.count / columns
    let isSparse = target.count == rows && columns > 1
    let t: (Int) -> Double =
      target.dtype == .int32
      ? { [a = target.address.assumingMemoryBound(to: Int32.self)] in Double(a[$0]) }
      : { [a = target.address.assumingMemoryBound(to: Float.self)] in Double(a[$0]) }
    guard target.count == prediction.count || isSparse else { return }
    func rowWeight(_ row: Int) -> Double { weights.map { $0[row * $0.count / max(rows, 1)] } ?? 1 }
    let kind = resolved(columns, isSparse)
    if !thresholds.isEmpty {
      for index in 0..<target.count { count(t(index) != 0, Double(p[index]), rowWeight(index / columns)) }
      return
    }
    for row in 0..<rows {
      let value = rowValue(kind, p + row * columns, columns) { t(isSparse ? row : row * columns + $0) }
      let w = rowWeight(row)
      total += value * w
      weight += w
    }
  }

  /// What `accuracy` means for these shapes.
  private func resolved(_ columns: Int, _ isSparse: Bool) -> MetricConfiguration.Kind {
    guard configuration.kind == .accuracy else { return configuration.kind }
    return columns == 1 ? .binaryAccuracy : isSparse ? .sparseCategoricalAccuracy : .categoricalAccuracy
  }

  private mutating func count(_ isPositive: Bool, _ score: Double, _ weight: Double) {
    if isPositive { positives += weight } else { negatives += weight }
    for (index, threshold) in thresholds.enumerated() where score > threshold {
      if isPositive { truePositives[index] += weight } else { falsePositives[index] += weight }
    }
  }

  /// The value of one row of predictions.
  private func rowValue(_ kind: MetricConfiguration.Kind, _ p: UnsafePointer<Float>, _ n: Int, _ t: (Int) -> Double) -> Double {
    func mean(_ value: (Int) -> Double) -> Double { (0..<n).reduce(0) { $0 + value($1) } / Double(n) }
    func largest(_ value: (Int) -> Double) -> Int { (0..<n).reduce(0) { value($1) > value($0) ? $1 : $0 } }
    func rank(_ wanted: Int) -> Int { (0..<n).reduce(0) { p[$1] > p[wanted] ? $0 + 1 : $0 } }
    let epsilon = 1e-7
    switch kind {
    case .accuracy, .binaryAccuracy:
      let threshold = configuration.options["threshold"] ?? 0.5
      return mean { (Double(p[$0]) > threshold ? 1 : 0) == t($0) ? 1 : 0 }
    case .categoricalAccuracy: return largest { Double(p[$0]) } == largest(t) ? 1 : 0
    case .sparseCategoricalAccuracy: return Double(largest { Double(p[$0]) }) == t(0) ? 1 : 0
    case .topKCategoricalAccuracy: return rank(largest(t)) < Int(configuration.options["k"] ?? 5) ? 1 : 0
    case .sparseTopKCategoricalAccuracy:
      let wanted = Int(t(0))
      return (0..<n).contains(wanted) && rank(wanted) < Int(configuration.options["k"] ?? 5) ? 1 : 0
    case .meanSquaredError, .rootMeanSquaredError: return mean { (t($0) - Double(p[$0])) * (t($0) - Double(p[$0])) }
    case .meanAbsoluteError: return mean { abs(t($0) - Double(p[$0])) }
    case .meanAbsolutePercentageError: return 100 * mean { abs(t($0) - Double(p[$0])) / max(abs(t($0)), epsilon) }
    case .meanSquaredLogarithmicError:
      func log(_ x: Double) -> Double { Scalar.log(max(x, epsilon) + 1) }
      return mean { (log(Double(p[$0])) - log(t($0))) * (log(Double(p[$0])) - log(t($0))) }
    case .cosineSimilarity:
      func length(_ value: (Int) -> Double) -> Double { max((0..<n).reduce(0) { $0 + value($1) * value($1) }, 1e-12).squareRoot() }
      return (0..<n).reduce(0) { $0 + t($1) * Double(p[$1]) } / (length(t) * length { Double(p[$0]) })
    case .binaryCrossentropy:
      return mean { index in
        let share = min(max(probability(Double(p[index])), epsilon), 1 - epsilon)
        return -(t(index) * Scalar.log(share) + (1 - t(index)) * Scalar.log(1 - share))
      }
    case .categoricalCrossentropy: return -(0..<n).reduce(0) { $0 + t($1) * logShare(p, n, $1) }
    case .sparseCategoricalCrossentropy:
      let wanted = Int(t(0))
      return (0..<n).contains(wanted) ? -logShare(p, n, wanted) : .nan
    case .precision, .recall, .truePositives, .falsePositives, .trueNegatives, .falseNegatives, .auc: return 0
    }
  }

  private var takesLogits: Bool { configuration.options["from_logits"] == 1 }

  private func probability(_ x: Double) -> Double { takesLogits ? 1 / (1 + Scalar.exp(-x)) : x }

  private func logShare(_ p: UnsafePointer<Float>, _ n: Int, _ index: Int) -> Double {
    if takesLogits {
      let highest = Double((0..<n).reduce(p[0]) { max($0, p[$1]) })
      let sum = (0..<n).reduce(0) { $0 + Scalar.exp(Double(p[$1]) - highest) }
      return Double(p[index]) - highest - Scalar.log(sum)
    }
    let sum = (0..<n).reduce(0) { $0 + Double(p[$1]) }
    return Scalar.log(min(max(Double(p[index]) / sum, 1e-7), 1 - 1e-7))
  }

  var value: Double {
    func ratio(_ a: Double, _ b: Double) -> Double { b == 0 ? 0 : a / b }
    switch configuration.kind {
    case .precision: return ratio(truePositives[0], truePositives[0] + falsePositives[0])
    case .recall: return ratio(truePositives[0], positives)
    case .truePositives: return truePositives[0]
    case .falsePositives: return falsePositives[0]
    case .trueNegatives: return negatives - falsePositives[0]
    case .falseNegatives: return positives - truePositives[0]
    case .auc:
      let recall = truePositives.map { ratio($0, positives) }
      let fallout = falsePositives.map { ratio($0, negatives) }
      var area = 0.0
      for index in 0..<thresholds.count - 1 {
        area += (fallout[index] - fallout[index + 1]) * (recall[index] + recall[index + 1]) / 2
      }
      return area
    case .rootMeanSquaredError: return ratio(total, weight).squareRoot()
    default: return ratio(total, weight)
    }
  }
}

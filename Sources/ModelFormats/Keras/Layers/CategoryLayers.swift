import GraphModule
import TensorModule

extension LayerConfig {
  /// The dtype that the configuration declares, when it is one of numbers.
  var declaredDtype: DType? {
    guard let found = ConfigRewrite.policyName(json("dtype")).flatMap({ DType(name: $0) }), found != .string, found != .bool else {
      return nil
    }
    return found
  }
}

/// Keras `Discretization`: how many boundaries are not above x.
struct Discretization: KerasLayerReader {
  /// Those of the configuration; nil where Keras 2 keeps a summary of the data instead.
  private let boundaries: [Double]?
  private let mode: CategoryMode
  private let binCount: Int
  /// tf.keras before 2.5 counts a value to the bin below when it is on a boundary.
  private let closesRight: Bool

  /// Columns of a summary that are read.
  private static let maximumSummary = 1 << 20

  init(_ config: LayerConfig) {
    mode = .read(config, .int, among: [.int, .oneHot, .multiHot, .count])
    binCount = config.int("num_bins", 1, in: 1...1 << 20)
    config.ignore("epsilon")
    // tf.keras before 2.5 calls them bins.
    closesRight = !config.has("bin_boundaries") && config.has("bins")
    let key = closesRight ? "bins" : "bin_boundaries"
    let value = config.json(key)
    let items = (value?["config"]?["value"] ?? value)?.arrayValue
    var numbers = (items ?? []).compactMap(\.doubleValue)
    let isComplete = numbers.count == items?.count
    // It also adds an infinite boundary, which no value is above.
    while closesRight, numbers.last == .infinity { numbers.removeLast() }
    let isSummarized = value == nil && config.json("num_bins") != nil && !config.dialect.isKeras3
    boundaries = isSummarized ? nil : numbers
    if isSummarized { return }
    if items == nil {
      config.unsupported("a layer without bin_boundaries in its configuration", nearest: "bin_boundaries")
    } else if !isComplete || numbers.count > 1 << 20 {
      config.malformed("\(key) must be numbers")
    } else if zip(numbers, numbers.dropFirst()).contains(where: { $0 > $1 }) {
      config.malformed("\(key) must ascend")
    }
  }

  var weights: [WeightSlot] { boundaries == nil ? [WeightSlot("summary", trainable: false)] : [] }

  /// The boundaries that an adapted layer of Keras 2 makes of its summary [2, n] of values and their weights: the values
  /// at equal parts of the summed weights, interpolated as NumPy does.
  private func summarized(_ call: LayerCall) throws -> [Double] {
    let shape = call.layer.stored["summary"]?.shape ?? []
    guard shape.count == 2, shape[0] == 2, shape[1] <= Discretization.maximumSummary else {
      throw KilnError(.badInput, "weight 'summary' must be [2, n], found \(shape.shapeText)")
    }
    let rows = try call.weightTensor("summary", shape).floats
    let (values, weights) = (rows[..<shape[1]].map(Double.init), rows[shape[1]...])
    let step = 1 / Double(binCount)
    if Double(values.count) * step < 1 { return Array(values.dropLast()) }
    var sum: Float = 0
    let sums = weights.map { weight in
      sum += weight
      return sum
    }
    let parts = sums.map { Double($0 / sum) }
    let count = Int((1 / step).rounded(.up))
    return (0..<max(count - 1, 0)).map { index in
      Double(Float(Discretization.interpolated(step + Double(index) * step, parts, values)))
    }
  }

  /// y at x on the lines between points whose x ascend; the first or last y beyond them.
  private static func interpolated(_ x: Double, _ xs: [Double], _ ys: [Double]) -> Double {
    guard let place = xs.firstIndex(where: { $0 > x }) else { return ys.last ?? 0 }
    guard place > 0 else { return ys.first ?? 0 }
    let (left, right) = (xs[place - 1], xs[place])
    return (ys[place] - ys[place - 1]) / (right - left) * (x - left) + ys[place - 1]
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let boundaries = try boundaries ?? summarized(call)
    let x = try call.floatInput()
    let limits = call.constant(try Tensor(converting: boundaries, to: call.type(x).dtype, shape: [boundaries.count]), "boundaries")
    // NaN is below no boundary, and above none.
    let wide = try call.expand(x, axis: -1)
    let above = try closesRight ? call.binary(.greater, wide, limits) : call.unary(.not, try call.binary(.less, wide, limits))
    let dtype: DType = mode == .int && !call.dialect.isKeras3 && !closesRight ? .int64 : .int32
    let bins = try call.add(Reduce(.sum, axes: [call.type(above).rank - 1]), [try call.cast(above, to: dtype)], "bins")
    return [KerasTensor(try mode.encode(call, bins, depth: boundaries.count + 1, dtype: mode == .int ? dtype : call.dtype))]
  }
}

/// Keras `CategoryEncoding`.
struct CategoryEncoding: KerasLayerReader {
  let depth: Int
  let mode: CategoryMode

  init(_ config: LayerConfig) {
    let key = config.has("num_tokens") ? "num_tokens" : "max_tokens"
    depth = config.int(key, in: 1...1 << 24)
    mode = .read(config, .multiHot, among: [.multiHot, .oneHot, .count])
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let x = call.tensors.first?.value else { throw KilnError(.badInput, "is called without a tensor") }
    let dtype = call.type(x).dtype
    guard dtype != .string else { throw KilnError(.badInput, "takes numbers, found \(call.type(x).message)") }
    var categories = dtype == .int64 || dtype == .int32 ? x : try call.cast(x, to: .int32)
    // Before 2.5 a bare category is a sample.
    if !call.dialect.isKeras3, call.dialect.isBefore(2, 5), call.type(x).rank == 1 { categories = try call.expand(categories, axis: -1) }
    let weights = call.keyword("count_weights")?.leaves.first?.value
    if weights != nil, mode != .count { throw KilnError(.badInput, "count_weights need output_mode 'count'") }
    return [KerasTensor(try mode.encode(call, try checked(call, categories), depth: depth, dtype: call.dtype, weights: weights))]
  }

  /// Keras 2 ends a prediction with a category outside 0 to num_tokens - 1 (before 2.5: num_tokens), Keras 3 one with a
  /// negative category where it counts; others are left out.
  private func checked(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    let range: ClosedRange<Int>
    if !call.dialect.isKeras3 {
      range = 0...(call.dialect.isBefore(2, 5) ? depth : depth - 1)
    } else if mode != .oneHot, call.type(x).rank <= 2 {
      range = 0...Int.max
    } else {
      return x
    }
    return try call.add(CheckRange(range), [x], "categories")
  }
}

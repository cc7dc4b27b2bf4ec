import GraphModule
import TensorModule

/// Arithmetic on weights: in Double, each result rounded once. Large results are computed when they are asked for, a piece at a time.
package enum Weights {
  /// Bytes from which a result is deferred.
  private static let large = 256 << 10

  /// The weights with index i of an axis multiplied by `factors[i]`.
  package static func scaled(_ weights: Tensor, axis: Int, by factors: [Double]) throws -> Tensor {
    let inner = weights.shape[(axis + 1)...].reduce(1, *)
    let length = weights.shape[axis]
    guard factors.count == length else { throw KilnError(.badInput, "\(factors.count) factors for an axis of \(length)") }
    if inner == 1 {
      return try inRuns(weights, of: length) { place, run in
        run.multiply(by: factors, from: place % length)
      }
    }
    return try inRuns(weights, of: inner) { place, run in run.multiply(by: factors[place / inner % length]) }
  }

  /// The convolution kernel `[spatial..., in / groups, out]` with input channel c multiplied by `factors[c]`.
  package static func scaledInputs(_ weights: Tensor, groups: Int, by factors: [Double]) throws -> Tensor {
    let rank = weights.shape.count
    let (inner, out) = (weights.shape[rank - 2], weights.shape[rank - 1])
    let perGroup = out / max(groups, 1)
    guard factors.count == inner * groups, perGroup > 0 else { throw KilnError(.badInput, "the factors do not fit the kernel") }
    return try inRuns(weights, of: perGroup) { place, run in
      run.multiply(by: factors[place % out / perGroup * inner + place / out % inner])
    }
  }

  /// For each output o of the kernel: Σ over taps and inputs of offsets[c] · w[…, c, o].
  package static func weightedSums(_ weights: Tensor, groups: Int, _ offsets: [Double]) throws -> [Double] {
    let rank = weights.shape.count
    let (inner, out) = (weights.shape[rank - 2], weights.shape[rank - 1])
    let perGroup = out / max(groups, 1)
    guard offsets.count == inner * groups, perGroup > 0 else { throw KilnError(.badInput, "the offsets do not fit the kernel") }
    var sums = [Double](repeating: 0, count: out)
    func add(_ index: Int, _ value: Double) {
      let (o, i) = (index % out, index / out % inner)
      sums[o] += value * offsets[(o / perGroup) * inner + i]
    }
    guard weights.dtype == .float32 else {
      for (index, value) in weights.doubles.enumerated() { add(index, value) }
      return sums
    }
    var first = 0
    try weights.forEachPiece { piece in
      let count = piece.count / 4
      for index in 0..<count { add(first + index, Double(piece.loadUnaligned(fromByteOffset: 4 * index, as: Float.self))) }
      first += count
    }
    return sums
  }

  /// Elements that lie one after the other.
  private enum Run {
    case floats(UnsafeMutableBufferPointer<Float>)
    case doubles(UnsafeMutableBufferPointer<Double>)

    func multiply(by factor: Double) {
      switch self {
      case .floats(let run): for index in run.indices { run[index] = Float(Double(run[index]) * factor) }
      case .doubles(let run): for index in run.indices { run[index] *= factor }
      }
    }

    /// Multiplies by as many factors as there are elements.
    func multiply(by factors: [Double], from first: Int) {
      factors.withUnsafeBufferPointer { factors in
        let factors = UnsafeBufferPointer(rebasing: factors[first...])
        switch self {
        case .floats(let run): for index in run.indices { run[index] = Float(Double(run[index]) * factors[index]) }
        case .doubles(let run): for index in run.indices { run[index] *= factors[index] }
        }
      }
    }
  }

  /// The tensor after `body` has changed it in runs of elements of which none crosses a multiple of `length`.
  private static func inRuns(_ weights: Tensor, of length: Int, _ body: @escaping @Sendable (Int, Run) -> Void) throws -> Tensor {
    guard weights.dtype == .float32 else {
      var values = weights.doubles
      values.withUnsafeMutableBufferPointer { values in
        forEachRun(0..<values.count, length) { body($0.lowerBound, .doubles(UnsafeMutableBufferPointer(rebasing: values[$0]))) }
      }
      return try Tensor(converting: values, to: weights.dtype, shape: weights.shape)
    }
    let fill: @Sendable (Range<Int>, UnsafeMutableRawBufferPointer) -> Void = { elements, memory in
      weights.copy(elements, to: memory)
      weights.releaseMapping(elements)
      memory.withMemoryRebound(to: Float.self) { values in
        forEachRun(elements, length) { run in
          let (start, end) = (run.lowerBound - elements.lowerBound, run.upperBound - elements.lowerBound)
          body(run.lowerBound, .floats(UnsafeMutableBufferPointer(rebasing: values[start..<end])))
        }
      }
    }
    if weights.byteCount >= large { return try Tensor(dtype: .float32, shape: weights.shape, deferring: fill) }
    return try Tensor(dtype: .float32, shape: weights.shape, zeroed: false) { fill(0..<weights.count, $0) }
  }

  private static func forEachRun(_ elements: Range<Int>, _ length: Int, _ body: (Range<Int>) -> Void) {
    var place = elements.lowerBound
    while place < elements.upperBound {
      let end = min((place / length + 1) * length, elements.upperBound)
      body(place..<end)
      place = end
    }
  }
}

import GraphModule
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension ONNXOpCatalog {
  static let signals = Family(
    "Signals",
    [
      Row("HannWindow", since: 17) { [try window($0, [0.5, -0.5])] },
      Row("HammingWindow", since: 17) { [try window($0, [25.0 / 46, -21.0 / 46])] },
      Row("BlackmanWindow", since: 17) { [try window($0, [0.42, -0.5, 0.08])] },
      Row("MelWeightMatrix", since: 17) { [try mel($0)] },
      Row("DFT", since: 17) { [try transformed($0)] },
      Row("STFT", since: 17) { [try frames($0)] },
    ])

  /// Σ wᵢ · cos(2πi · n / N).
  private static func window(_ call: ONNXCall, _ weights: [Double]) throws -> ValueID {
    let dtype = try call.dtype(try call.element("output_datatype", ONNXDataType(.float32)))
    let isPeriodic = try call.bool("periodic", true)
    if let size = try call.input(0).evaluated?.integers.first {
      guard (0...1 << 22).contains(size) else { throw call.wrong("its size \(size) is out of range") }
      let step = 2 * Double.pi / Double(max(isPeriodic ? size : size - 1, 1))
      let values = (0..<Int(size)).map { n in weights.indices.reduce(0) { $0 + weights[$1] * cos(step * Double(n * $1)) } }
      return try call.numbers(values, [Int(size)], dtype, "window")
    }
    let size = try call.reshape(try call.cast(try call.x(0), .int64), [])
    let line = try call.add(DynamicRange(call.dataDims(0, rank: 1)[0]), [try call.scalar(0, .int64), size, try call.scalar(1, .int64)], "range")
    let count = try call.unary(.clip, isPeriodic ? size : try call.unary(.affine, size, [1, -1]), [1, 0x1p40])
    let angle = try call.binary(.div, try call.unary(.affine, try call.cast(line, .float64), [2 * Double.pi, 0]), try call.cast(count, .float64))
    var sum: ValueID?
    for (index, weight) in weights.enumerated() {
      let wave = try call.unary(.cos, try call.unary(.affine, angle, [Double(index), 0]))
      let term = try call.unary(.affine, wave, [weight, 0])
      sum = try sum.map { try call.binary(.add, $0, term) } ?? term
    }
    guard let sum else { throw call.wrong("has no weights") }
    return try call.cast(sum, dtype)
  }

  private static func mel(_ call: ONNXCall) throws -> ValueID {
    let (bins, length, rate) = (try call.integer(0, "a number of bins"), try call.integer(1, "a length"), try call.integer(2, "a rate"))
    let (low, high) = (try call.number(3, "an edge"), try call.number(4, "an edge"))
    guard (1...1 << 12).contains(bins), (1...1 << 16).contains(length), rate >= 1, low >= 0, high > low, high < 0x1p30, bins * length <= 1 << 22 else { throw call.wrong("its numbers are out of range") }
    let rows = length / 2 + 1
    func mels(_ hertz: Double) -> Double { 2595 * log10(1 + hertz / 700) }
    let step = (mels(high) - mels(low)) / Double(bins + 2)
    let edges = (0..<bins + 2).map { index -> Int in
      let hertz = 700 * (pow(10, (Double(index) * step + mels(low)) / 2595) - 1)
      return Int((Double(length + 1) * hertz / Double(rate)).rounded(.down))
    }
    var matrix = [Double](repeating: 0, count: rows * bins)
    for bin in 0..<bins {
      let (left, centre, right) = (edges[bin], edges[bin + 1], edges[bin + 2])
      for row in 0..<rows {
        if row == centre { matrix[row * bins + bin] = 1 } else if row >= left, row < centre {
          matrix[row * bins + bin] = Double(row - left) / Double(centre - left)
        } else if row > centre, row < right {
          matrix[row * bins + bin] = Double(right - row) / Double(right - centre)
        }
      }
    }
    return try call.numbers(matrix, [rows, bins], try call.dtype(try call.element("output_datatype", ONNXDataType(.float32))), "mel")
  }

  /// x [..., n, 1 or 2] along an axis, by products with matrices of sines: [..., k, 2].
  private static func transformed(_ call: ONNXCall) throws -> ValueID {
    var x = try call.x(0)
    let type = call.type(x), rank = type.rank
    let given = call.version >= 20 ? (call.has(2) ? try call.integer(2, "an axis") : -2) : try call.int("axis", 1)
    let axis = try call.axis(given, rank)
    guard rank >= 2, axis < rank - 1, let parts = type.dims[rank - 1].fixed, parts == 1 || parts == 2 else { throw call.wrong("takes [..., 1 or 2], found \(type.message)") }
    let (inverse, half) = (try call.bool("inverse"), try call.bool("onesided"))
    let own = try call.fixed(type.dims[axis])
    let order = (0..<rank - 1).filter { $0 != axis } + [axis, rank - 1]
    var back = [Int](repeating: 0, count: rank)
    for (place, axis) in order.enumerated() { back[axis] = place }
    x = try call.transpose(x, order)
    // A one-sided inverse takes half of the spectrum and gives real numbers.
    let isRealInverse = inverse && half
    let length = call.has(1) ? try call.integer(1, "a length") : isRealInverse ? 2 * (own - 1) : own
    guard (1...1 << 12).contains(length), own >= 1 else { throw call.unsupported("a transform of \(length)") }
    let taken = isRealInverse ? length / 2 + 1 : length
    if own > taken { x = try call.slice(x, axis: rank - 2, 0, taken) } else if own < taken {
      var high = [Int](repeating: 0, count: rank)
      high[rank - 2] = taken - own
      x = try call.add(Pad(low: [Int](repeating: 0, count: rank), high: high), [x], "pad")
    }
    let lead = Array(call.type(x).dims.dropLast(2)), dtype = type.dtype
    func part(_ index: Int) throws -> ValueID {
      try call.reshape(try call.slice(x, axis: rank - 1, index, index + 1), [lead.reduce(1, *), Dim(taken)])
    }
    let results = half && !inverse ? length / 2 + 1 : length
    func matrix(_ function: (Double) -> Double, weigh: Bool = false) throws -> ValueID {
      var values: [Double] = []
      values.reserveCapacity(taken * results)
      for n in 0..<taken {
        // Of half a spectrum the inner frequencies stand for two.
        let weight = isRealInverse && n > 0 && !(length % 2 == 0 && n == length / 2) ? 2.0 : 1
        for k in 0..<results { values.append(weight * function(2 * Double.pi * Double(n * k % length) / Double(length)) / (inverse ? Double(length) : 1)) }
      }
      return try call.numbers(values, [taken, results], dtype, "matrix")
    }
    let sign = inverse ? 1.0 : -1
    let (cosines, sines) = (try matrix { cos($0) }, try matrix { sign * sin($0) })
    func product(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.add(MatMul(), [a, b], "matmul") }
    let real = try part(0)
    var (re, im) = (try product(real, cosines), try product(real, sines))
    if parts == 2 {
      let imaginary = try part(1)
      re = try call.binary(.sub, re, try product(imaginary, sines))
      im = try call.binary(.add, im, try product(imaginary, cosines))
    }
    func shaped(_ value: ValueID) throws -> ValueID { try call.reshape(value, lead + [Dim(results), 1]) }
    let spectrum = isRealInverse ? try shaped(re) : try call.concat([try shaped(re), try shaped(im)], axis: rank - 1)
    return try call.transpose(spectrum, back)
  }

  /// Transforms of windows of a signal [batch, time, 1 or 2]: [batch, frames, k, 2].
  private static func frames(_ call: ONNXCall) throws -> ValueID {
    var x = try call.x(0)
    if call.type(x).rank == 2 { x = try call.expand(x, 2) }
    let type = call.type(x)
    guard type.rank == 3, let parts = type.dims[2].fixed, parts == 1 || parts == 2 else { throw call.wrong("takes [batch, time, 1 or 2], found \(type.message)") }
    let length = try call.fixed(type.dims[1]), step = try call.integer(1, "a step")
    let size = call.has(3) ? try call.integer(3, "a length") : call.has(2) ? try call.fixed(try call.input(2).type.elementCount) : length
    guard step >= 1, (1...1 << 12).contains(size), size <= length else { throw call.wrong("frames of \(size) do not fit \(type.message)") }
    let count = (length - size) / step + 1
    guard count <= 1 << 20, count * size <= 1 << 24 else { throw call.unsupported("\(count) frames of \(size)") }
    let places = (0..<count).flatMap { frame in (0..<size).map { Double(frame * step + $0) } }
    // [batch, frames, size, parts].
    var cut = try call.add(Gather(axis: 1), [x, try call.numbers(places, [count, size], .int32, "places")], "gather")
    if call.has(2) { cut = try call.binary(.mul, cut, try call.reshape(try call.x(2), [Dim(size), 1])) }
    let isHalf = try call.bool("onesided", true) && parts == 1
    let results = isHalf ? size / 2 + 1 : size
    func matrix(_ function: (Double) -> Double) throws -> ValueID {
      let values = (0..<size).flatMap { n in (0..<results).map { function(2 * Double.pi * Double(n * $0 % size) / Double(size)) } }
      return try call.numbers(values, [size, results], type.dtype, "matrix")
    }
    let (cosines, sines) = (try matrix { cos($0) }, try matrix { -sin($0) })
    func part(_ index: Int) throws -> ValueID { try call.drop(try call.slice(cut, axis: 3, index, index + 1), 3) }
    func product(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.product(a, b) }
    let real = try part(0)
    var (re, im) = (try product(real, cosines), try product(real, sines))
    if parts == 2 {
      let imaginary = try part(1)
      re = try call.binary(.sub, re, try product(imaginary, sines))
      im = try call.binary(.add, im, try product(imaginary, cosines))
    }
    return try call.concat([try call.expand(re, 3), try call.expand(im, 3)], axis: 3)
  }
}

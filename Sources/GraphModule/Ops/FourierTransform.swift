import TensorModule

/// The discrete Fourier transform along the last axis, complex numbers as two tensors.
package struct FourierTransform: OpDefinition {
  package static let name = "fft"
  package static let summary =
    "the discrete Fourier transform along the last axis of the complex numbers (real, imaginary), as (real, imaginary); inverse divides by the length"

  package var inverse: Bool

  package init(inverse: Bool) { self.inverse = inverse }

  package var attributes: Attributes { [("inverse", .bool(inverse))] }

  package init(from reader: inout AttributeReader) throws { inverse = try reader.bool("inverse") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    try Expect.float(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...maximumRank, Self.name, "the operand")
    try Expect.that(
      inputs[0].dtype == inputs[1].dtype && inputs[0].rank == inputs[1].rank, Self.name,
      "the parts must be alike, found \(inputs[0].message) and \(inputs[1].message)")
    for (a, b) in zip(inputs[0].dims, inputs[1].dims) { try Expect.equal(a, b, Self.name, "the dims of both parts") }
    let dims = inputs[0].dims
    try Expect.that((dims[dims.count - 1].fixed ?? 0) <= 1 << 24, Self.name, "\(inputs[0].message) is too long")
    return [TensorType(inputs[0].dtype, dims), TensorType(inputs[0].dtype, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = inputs[0].shape
    let length = shape[shape.count - 1]
    guard length > 0 else { return inputs }
    var (real, imaginary) = (inputs[0].numbers, inputs[1].numbers)
    let plan = ComplexTransform(length: length)
    for start in stride(from: 0, to: real.count, by: length) {
      // The inverse is the transform with both parts swapped, before and after.
      var row = inverse
        ? (Array(imaginary[start..<start + length]), Array(real[start..<start + length]))
        : (Array(real[start..<start + length]), Array(imaginary[start..<start + length]))
      plan.apply(&row.0, &row.1)
      for index in 0..<length {
        real[start + index] = inverse ? row.1[index] / Double(length) : row.0[index]
        imaginary[start + index] = inverse ? row.0[index] / Double(length) : row.1[index]
      }
    }
    return [
      ReferenceTensor(outputs[0].dtype, shape, .floats(real)), ReferenceTensor(outputs[1].dtype, shape, .floats(imaginary)),
    ]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    guard let count = inputs[0].elementCount.fixed, let length = inputs[0].dims.last?.fixed, length > 0 else { return 0 }
    let (product, overflow) = count.multipliedReportingOverflow(by: 5 * (Int.bitWidth - length.leadingZeroBitCount))
    return overflow ? .max : product
  }

  package static var examples: [OpExample] {
    func both(_ dims: [Dim], _ dtype: DType = .float32) -> [TensorType] { [TensorType(dtype, dims), TensorType(dtype, dims)] }
    return [true, false].flatMap { inverse in
      [[8], [2, 3, 7], [1, 1], [3, 12], [0, 4], [2, 0], [33], [2, 257], [1000]].map { OpExample(FourierTransform(inverse: inverse), both($0)) }
        + [OpExample(FourierTransform(inverse: inverse), both([3, 20], .float64))]
    }
  }
}

/// A Fourier transform of one length: by halves where it is a power of two, else by Bluestein's convolution.
struct ComplexTransform {
  let length: Int
  /// cos and −sin of 2πk / length.
  private let roots: (cos: [Double], sin: [Double])

  init(length: Int) {
    self.length = length
    roots = ComplexTransform.roots(length)
  }

  private static func roots(_ length: Int) -> (cos: [Double], sin: [Double]) {
    let roots = FourierTables.roots(length)
    return (roots.map(\.0), roots.map(\.1))
  }

  func apply(_ real: inout [Double], _ imaginary: inout [Double]) {
    guard length > 1 else { return }
    if length & (length - 1) == 0 { return byHalves(&real, &imaginary) }
    // x[k]·w^(k²/2) convolved with w^(−k²/2), w the length-th root of one.
    var size = 1
    while size < 2 * length - 1 { size *= 2 }
    let chirp = FourierTables.chirp(length)
    var a = ([Double](repeating: 0, count: size), [Double](repeating: 0, count: size))
    var b = FourierTables.chirpFilter(chirp, size)
    for index in 0..<length {
      let (c, s) = chirp[index]
      a.0[index] = real[index] * c + imaginary[index] * s
      a.1[index] = imaginary[index] * c - real[index] * s
    }
    let plan = ComplexTransform(length: size)
    plan.byHalves(&a.0, &a.1)
    plan.byHalves(&b.0, &b.1)
    for index in 0..<size {
      let product = (a.0[index] * b.0[index] - a.1[index] * b.1[index], a.0[index] * b.1[index] + a.1[index] * b.0[index])
      // Swapped parts: the next transform is the inverse one.
      (a.0[index], a.1[index]) = (product.1, product.0)
    }
    plan.byHalves(&a.0, &a.1)
    for index in 0..<length {
      let (c, s) = chirp[index]
      let (x, y) = (a.1[index] / Double(size), a.0[index] / Double(size))
      real[index] = x * c + y * s
      imaginary[index] = y * c - x * s
    }
  }

  fileprivate func byHalves(_ real: inout [Double], _ imaginary: inout [Double]) {
    var j = 0
    for i in 1..<length {
      var bit = length >> 1
      while j & bit != 0 {
        j ^= bit
        bit >>= 1
      }
      j |= bit
      if i < j {
        real.swapAt(i, j)
        imaginary.swapAt(i, j)
      }
    }
    var width = 2
    while width <= length {
      let (half, step) = (width / 2, length / width)
      for start in stride(from: 0, to: length, by: width) {
        for k in 0..<half {
          let (c, s) = (roots.cos[k * step], roots.sin[k * step])
          let (p, q) = (start + k, start + k + half)
          let (x, y) = (real[q] * c - imaginary[q] * s, real[q] * s + imaginary[q] * c)
          (real[q], imaginary[q]) = (real[p] - x, imaginary[p] - y)
          (real[p], imaginary[p]) = (real[p] + x, imaginary[p] + y)
        }
      }
      width *= 2
    }
  }
}

/// Complex numbers that Fourier transforms multiply by.
package enum FourierTables {
  /// e^(−2πi k / length).
  package static func roots(_ length: Int) -> [(Double, Double)] {
    (0..<max(length, 1)).map { index in
      let angle = -2 * Double.pi * Double(index) / Double(length)
      return (C.cos(angle), C.sin(angle))
    }
  }

  /// e^(πi k² / length).
  package static func chirp(_ length: Int) -> [(Double, Double)] {
    (0..<length).map { index in
      // k² modulo 2n keeps the angle small.
      let angle = Double.pi * Double(index.multipliedFullWidth(by: index).low % UInt(2 * length)) / Double(length)
      return (C.cos(angle), C.sin(angle))
    }
  }

  /// The chirp as a circular filter of a length that is a power of two, for negative places too.
  static func chirpFilter(_ chirp: [(Double, Double)], _ size: Int) -> ([Double], [Double]) {
    var filter = ([Double](repeating: 0, count: size), [Double](repeating: 0, count: size))
    for (index, (c, s)) in chirp.enumerated() {
      (filter.0[index], filter.1[index]) = (c, s)
      if index > 0 { (filter.0[size - index], filter.1[size - index]) = (c, s) }
    }
    return filter
  }

  /// The transform of the chirp's filter.
  package static func filter(_ length: Int, _ size: Int) -> [(Double, Double)] {
    var filter = chirpFilter(chirp(length), size)
    ComplexTransform(length: size).byHalves(&filter.0, &filter.1)
    return zip(filter.0, filter.1).map { ($0, $1) }
  }
}

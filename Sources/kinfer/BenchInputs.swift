import Kiln

/// Inputs for timing.
struct BenchInputs {
  private let inputs: [TensorDescription]

  init(_ inputs: [TensorDescription]) { self.inputs = inputs }

  /// One tensor for each input, `batch` samples long: repeated from `samples`, else drawn from a fixed seed.
  ///
  /// - Throws: `KilnError` (`usage`) when an axis other than the first has no known length and no samples are given.
  func tensors(batch: Int, from samples: Samples?) throws -> [Tensor] {
    if let samples {
      guard inputs.allSatisfy(\.isBatched) else { return try samples.all() }
      guard samples.count > 0 else { throw KilnError(.badInput, "--input holds no samples") }
      let rows = try (0..<batch).map { try samples.batch($0 % samples.count..<$0 % samples.count + 1) }
      return try inputs.indices.map { index in try Tensor.joined(rows.map { $0[index] }) }
    }
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    return try inputs.map { input in
      let inner = input.dims.dropFirst()
      guard inner.allSatisfy({ $0 != nil }) else {
        throw KilnError(.usage, "input \(KilnError.quoted(input.name)) takes \(input.typeText): give --input for its lengths")
      }
      let shape = (input.dims.first.map { [$0 ?? batch] } ?? []) + inner.compactMap { $0 }
      if input.dtype == .string { return Tensor(strings: Array(repeating: "", count: shape.elementCount), shape: shape) }
      if let owner = input.lengthsOf.flatMap({ name in inputs.first { $0.name == name } }), owner.dims.count > 1, let time = owner.dims[1] {
        return try Tensor([Int32](repeating: Int32(clamping: time), count: shape.elementCount), shape: shape)
      }
      let values = (0..<shape.elementCount).map { _ in
        input.dtype.isFloat ? BenchInputs.normal(&state) : Double(BenchInputs.next(&state) % 10)
      }
      return try Tensor(converting: values, to: input.dtype, shape: shape)
    }
  }

  /// splitmix64.
  private static func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// A sum of twelve uniform numbers less six: near enough to normal.
  private static func normal(_ state: inout UInt64) -> Double {
    (0..<12).reduce(-6.0) { sum, _ in sum + Double(next(&state) >> 11) * 0x1p-53 }
  }
}

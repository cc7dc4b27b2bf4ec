import TensorModule

/// What packed and scaled integers stand for, computed as Keras computes it, in float32.
enum QuantizedWeights {
  /// The values of an integer tensor as floats.
  static func floats(_ tensor: Tensor) throws -> [Float] {
    switch tensor.dtype {
    case .int8: tensor.bytes.map { Float(Int8(bitPattern: $0)) }
    case .uint8: tensor.bytes.map { Float($0) }
    case .float32:
      (0..<tensor.count).map { tensor.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    default: tensor.doubles.map { Float($0) }
    }
  }

  /// Two 4-bit integers to a byte along the last axis, the low half first: [rows, ⌈columns / 2⌉] becomes [rows, columns].
  static func unpackedColumns(_ tensor: Tensor, rows: Int, columns: Int, signed: Bool) -> [Float] {
    let packed = (columns + 1) / 2
    let bytes = tensor.bytes
    return [Float](unsafeUninitializedCapacity: rows * columns) { out, count in
      for row in 0..<rows {
        for column in 0..<columns {
          out[row * columns + column] = half(bytes[row * packed + column / 2], high: column % 2 == 1, signed)
        }
      }
      count = rows * columns
    }
  }

  /// The same along the first axis: [⌈rows / 2⌉, columns] becomes [rows, columns].
  ///
  /// - Parameter start: the first byte.
  static func unpackedRows(_ tensor: Tensor, from start: Int = 0, rows: Int, columns: Int, signed: Bool) -> [Float] {
    let bytes = UnsafeRawBufferPointer(rebasing: tensor.bytes[start...])
    return [Float](unsafeUninitializedCapacity: rows * columns) { out, count in
      for row in 0..<rows {
        for column in 0..<columns {
          out[row * columns + column] = half(bytes[row / 2 * columns + column], high: row % 2 == 1, signed)
        }
      }
      count = rows * columns
    }
  }

  private static func half(_ byte: UInt8, high: Bool, _ signed: Bool) -> Float {
    let value = Int(high ? byte >> 4 : byte & 15)
    return Float(signed && value > 7 ? value - 16 : value)
  }

  /// The group of each row, from `g_idx`.
  ///
  /// - Throws: `KilnError` (`badInput`) when one is not the number of a group.
  static func groups(_ tensor: Tensor, count: Int) throws -> [Int] {
    try floats(tensor).map { value in
      guard let group = Int(exactly: value), (0..<count).contains(group) else {
        throw KilnError(.badInput, "g_idx holds \(value), which is none of \(count) groups")
      }
      return group
    }
  }

  /// (value − zero[group, column]) · scale[group, column] for values [rows, columns].
  static func ungrouped(_ values: [Float], columns: Int, scale: [Float], zero: [Float], groups: [Int]) -> [Float] {
    var out = values
    for (row, group) in groups.enumerated() {
      for column in 0..<columns {
        let place = group * columns + column
        out[row * columns + column] = (values[row * columns + column] - zero[place]) * scale[place]
      }
    }
    return out
  }

  /// The matrix [columns, rows] of values [rows, columns].
  static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: rows * columns) { out, count in
      for row in 0..<rows {
        for column in 0..<columns { out[column * rows + row] = values[row * columns + column] }
      }
      count = rows * columns
    }
  }

  /// The nearest number of float8 e4m3fn, ties to even: sign, 4 bits of exponent, 3 of mantissa, at most 448.
  static func float8(_ value: Float) -> Float {
    guard value.isFinite, value != 0 else { return value.isInfinite ? (value < 0 ? -448 : 448) : value }
    let magnitude = min(value.magnitude, 448)
    let step = Float(sign: .plus, exponent: max(magnitude.exponent, -6) - 3, significand: 1)
    let rounded = (magnitude / step).rounded(.toNearestOrEven) * step
    return value < 0 ? -rounded : rounded
  }
}

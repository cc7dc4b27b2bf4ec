import TensorModule

/// A float type of 4 or 8 bits (ONNX's float8 and float4 types), by the values of its codes.
struct SmallFloat: Sendable {
  let bits: Int
  private let exponentBits: Int
  private let mantissaBits: Int
  private let bias: Int
  private let kind: Kind

  private enum Kind {
    /// The largest exponent is for infinity and NaN.
    case ieee
    /// NaN is the code of all ones.
    case finite
    /// NaN is the code of negative zero.
    case unsignedZero
    /// No NaN, no infinity.
    case plain
    /// Powers of two alone, without a sign; NaN is 255.
    case scale
  }

  /// - Parameter number: ONNX's number of the type.
  init?(_ number: Int) {
    switch number {
    case 17: (bits, exponentBits, mantissaBits, bias, kind) = (8, 4, 3, 7, .finite)
    case 18: (bits, exponentBits, mantissaBits, bias, kind) = (8, 4, 3, 8, .unsignedZero)
    case 19: (bits, exponentBits, mantissaBits, bias, kind) = (8, 5, 2, 15, .ieee)
    case 20: (bits, exponentBits, mantissaBits, bias, kind) = (8, 5, 2, 16, .unsignedZero)
    case 23: (bits, exponentBits, mantissaBits, bias, kind) = (4, 2, 1, 1, .plain)
    case 24: (bits, exponentBits, mantissaBits, bias, kind) = (8, 8, 0, 127, .scale)
    default: return nil
    }
  }

  var isScale: Bool { if case .scale = kind { true } else { false } }
  var hasInfinity: Bool { if case .ieee = kind { true } else { false } }
  var hasNaN: Bool { if case .plain = kind { false } else { true } }

  /// The number of a code; NaN where it stands for none.
  func value(_ code: Int) -> Float {
    if case .scale = kind { return code == 255 ? .nan : power(code - bias) }
    let sign: Float = code >> (bits - 1) & 1 == 1 ? -1 : 1
    let magnitude = code & ((1 << (bits - 1)) - 1)
    if case .unsignedZero = kind, sign < 0, magnitude == 0 { return .nan }
    return sign * positive(magnitude)
  }

  private func positive(_ magnitude: Int) -> Float {
    let exponent = magnitude >> mantissaBits
    let mantissa = magnitude & ((1 << mantissaBits) - 1)
    switch kind {
    case .ieee where exponent == (1 << exponentBits) - 1: return mantissa == 0 ? .infinity : .nan
    case .finite where magnitude == (1 << (bits - 1)) - 1: return .nan
    default: break
    }
    let fraction = Float(mantissa) / Float(1 << mantissaBits)
    return exponent == 0 ? fraction * power(1 - bias) : (1 + fraction) * power(exponent - bias)
  }

  private func power(_ exponent: Int) -> Float { Float(sign: .plus, exponent: exponent, significand: 1) }

  /// The finite values without sign, rising: the value at a place has that code.
  var magnitudes: [Float] {
    let count = isScale ? 255 : 1 << (bits - 1)
    return (0..<count).map { isScale ? value($0) : positive($0) }.filter { $0.isFinite }
  }
}

import GraphModule
import TensorModule

extension TFOpCatalog {
  static let quantization = Family(
    "Quantization",
    [
      "FakeQuantWithMinMaxArgs": { call in
        let x = try call.x(0)
        return [try fake(call, x, [try call.float("min", -6)], [try call.float("max", 6)])]
      },
      "FakeQuantWithMinMaxVars": { call in
        [try fake(call, try call.x(0), try call.constant(1, "a range").doubles, try call.constant(2, "a range").doubles)]
      },
      "FakeQuantWithMinMaxVarsPerChannel": { call in
        [try fake(call, try call.x(0), try call.constant(1, "a range").doubles, try call.constant(2, "a range").doubles)]
      },
      "Dequantize": { [try dequantized($0)] },
    ])

  /// Numbers rounded to the steps of a range that is nudged so that zero is one of them.
  private static func fake(_ call: TFCall, _ x: ValueID, _ lows: [Double], _ highs: [Double]) throws -> ValueID {
    let bits = try call.int("num_bits", 8)
    guard (2...16).contains(bits), lows.count == highs.count, !lows.isEmpty else { throw call.wrong("its range or bits are out of range") }
    let first: Float = try call.bool("narrow_range") ? 1 : 0, last = Float((1 << bits) - 1)
    var (low, high, scale): ([Double], [Double], [Double]) = ([], [], [])
    for (min, max) in zip(lows.map { Float($0) }, highs.map { Float($0) }) {
      let step = (max - min) / (last - first)
      let zero = first - min / step
      let nudged = zero < first ? first : zero > last ? last : zero.rounded(.toNearestOrAwayFromZero)
      low.append(Double((first - nudged) * step))
      high.append(Double((last - nudged) * step))
      scale.append(Double(step))
    }
    let shape: Shape = lows.count == 1 && call.op != "FakeQuantWithMinMaxVarsPerChannel" ? [] : [lows.count]
    func numbers(_ values: [Double], _ name: String) throws -> ValueID { try call.numbers(values, shape, .float32, name) }
    let (bottom, step) = (try numbers(low, "low"), try numbers(scale, "scale"))
    let clipped = try call.binary(.min, try call.binary(.max, x, bottom), try numbers(high, "high"))
    let inverse = try numbers(scale.map { Double(1 / Float($0)) }, "inverse")
    let steps = try call.binary(.mul, try call.binary(.sub, clipped, bottom), inverse)
    let rounded = try call.unary(.floor, try call.binary(.add, steps, try call.scalar(0.5, .float32)))
    return try call.binary(.add, try call.binary(.mul, rounded, step), bottom)
  }

  /// Quantized integers as floats.
  private static func dequantized(_ call: TFCall) throws -> ValueID {
    guard let type = try call.dataType("T"), let range = try call.input(0).type.dtype.integerRange else { throw call.unsupported("this dtype") }
    let x = try call.cast(try call.x(0), .float32)
    let low = Float(try call.number(1, "a range")), high = Float(try call.number(2, "a range"))
    guard try call.int("axis", -1) == -1 else { throw call.unsupported("a range for each channel") }
    let signed = type.number == 11 || type.number == 13 || type.number == 15
    switch try call.text("mode", "MIN_COMBINED") {
    case "MIN_COMBINED":
      let count = Float(range.upperBound) - Float(range.lowerBound)
      let step = (high - low) / count
      let half: Float = signed ? (count + 1) / 2 : 0
      let shifted = try call.binary(.add, x, try call.scalar(Double(half), .float32))
      return try call.binary(.add, try call.binary(.mul, shifted, try call.scalar(Double(step), .float32)), try call.scalar(Double(low), .float32))
    case "MIN_FIRST":
      guard low != high else { return try call.broadcast(try call.scalar(Double(low), .float32), call.type(x).dims) }
      let bits = (type.number == 13 ? 32 : type.number == 15 || type.number == 16 ? 16 : 8)
      let steps = Double(sign: .plus, exponent: bits, significand: 1)
      let adjust = steps / (steps - 1)
      let width = (Double(high) - Double(low)) * adjust / steps
      let scale = Float(width)
      let rounded = (low / scale).rounded(.toNearestOrAwayFromZero) * scale
      let shift = Double(rounded) - Double(range.lowerBound) * Double(scale)
      return try call.binary(.add, try call.binary(.mul, x, try call.scalar(Double(scale), .float32)), try call.scalar(shift, .float32))
    case "SCALED":
      let narrow = try call.bool("narrow_range")
      let least = Float(range.lowerBound) + (narrow && signed ? 1 : 0)
      let scale = signed ? Swift.max(low / least, high / Float(range.upperBound)) : high / Float(range.upperBound)
      return try call.binary(.mul, x, try call.scalar(Double(scale), .float32))
    case let mode: throw call.unsupported("mode \(KilnError.quoted(mode))")
    }
  }
}

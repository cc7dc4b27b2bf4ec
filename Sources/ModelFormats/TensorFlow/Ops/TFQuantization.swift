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
      "QuantizeV2": { try quantized($0) },
      "QuantizeAndDequantizeV2": { [try roundTrip($0, bits: try $0.int("num_bits", 8), given: try $0.bool("range_given"))] },
      "QuantizeAndDequantizeV3": { [try roundTrip($0, bits: try $0.integer(3, "a number of bits"), given: try $0.bool("range_given", true))] },
      "QuantizeAndDequantizeV4": { [try roundTrip($0, bits: try $0.int("num_bits", 8), given: try $0.bool("range_given"))] },
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

  /// Rounding with halves away from zero.
  private static func rounded(_ call: TFCall, _ x: ValueID) throws -> ValueID {
    let dtype = call.type(x).dtype
    let half = try call.binary(.mul, try call.unary(.sign, x), try call.scalar(0.5, dtype))
    return try call.unary(.trunc, try call.binary(.add, x, half))
  }

  /// Floats as quantized integers of a known range: the integers, the range's ends.
  private static func quantized(_ call: TFCall) throws -> [ValueID] {
    guard let type = try call.dataType("T"), let dtype = type.dtype, let range = dtype.integerRange else { throw call.unsupported("this dtype") }
    let x = try call.x(0)
    guard try call.int("axis", -1) == -1 else { throw call.unsupported("a range for each channel") }
    let (least, most) = (Float(range.lowerBound), Float(range.upperBound))
    let (givenLow, givenHigh) = (Float(try call.number(1, "a range")), Float(try call.number(2, "a range")))
    var low = Swift.min(0, givenLow)
    var high = Swift.max(Swift.max(givenLow, givenHigh), low + Swift.max(1, Swift.max(givenLow.magnitude, givenHigh.magnitude)) * Float(try call.float("ensure_minimum_range", 0.01)))
    high = Swift.max(0, high)
    func number(_ value: Float) throws -> ValueID { try call.scalar(Double(value), .float32) }
    let signed = range.lowerBound < 0
    var result: ValueID
    switch try call.text("mode", "MIN_COMBINED") {
    case "MIN_COMBINED":
      let scale = (most - least) / (high - low)
      let clipped = try call.unary(.clip, x, [Double(low), Double(high)])
      var scaled = try call.binary(.mul, try call.binary(.sub, clipped, try number(low)), try number(scale))
      if signed { scaled = try call.binary(.sub, scaled, try number((most - least + 1) / 2)) }
      result = try rounded(call, scaled)
    case "MIN_FIRST":
      let scale = (most - least) / (high - low)
      let shift = (low * scale).rounded(.toNearestOrAwayFromZero) - least
      let scaled = try rounded(call, try call.binary(.mul, x, try number(scale)))
      result = try call.unary(.clip, try call.binary(.sub, scaled, try number(shift)), [Double(least), Double(most)])
    case "SCALED":
      let bottom = try call.bool("narrow_range") && signed ? least + 1 : least
      let fromLow = bottom * low > 0 ? bottom / low : Float.greatestFiniteMagnitude
      let fromHigh = most * high > 0 ? most / high : Float.greatestFiniteMagnitude
      let scale = Swift.min(fromLow, fromHigh)
      (low, high) = (bottom / scale, most / scale)
      let clipped = try call.unary(.clip, x, [Double(low), Double(high)])
      let scaled = try call.binary(.mul, clipped, try number(scale))
      result = try call.text("round_mode", "HALF_AWAY_FROM_ZERO") == "HALF_TO_EVEN" ? try call.unary(.round, scaled) : try rounded(call, scaled)
    case let mode: throw call.unsupported("mode \(KilnError.quoted(mode))")
    }
    return [try call.cast(result, dtype), try number(low), try number(high)]
  }

  /// Floats rounded to the steps of a range, given or that of the values.
  private static func roundTrip(_ call: TFCall, bits: Int, given: Bool) throws -> ValueID {
    let x = try call.x(0), dtype = call.type(x).dtype
    guard (1...32).contains(bits), try call.int("axis", -1) == -1 else { throw call.unsupported("\(bits) bits, or a range for each channel") }
    let signed = try call.bool("signed_input", true)
    let half = Double(sign: .plus, exponent: bits - 1, significand: 1)
    let least = signed ? (try call.bool("narrow_range") ? 1 - half : -half) : 0, most = signed ? half - 1 : 2 * half - 1
    let all = Array(0..<call.type(x).rank)
    let low = given ? try call.x(1) : try call.reduce(.min, x, all), high = given ? try call.x(2) : try call.reduce(.max, x, all)
    let (bottom, top) = (try call.scalar(least, dtype), try call.scalar(most, dtype))
    let zero = try call.scalar(0, dtype), largest = try call.scalar(Double(Float.greatestFiniteMagnitude), dtype)
    func side(_ quantum: ValueID, _ edge: ValueID) throws -> ValueID {
      let fits = try call.binary(.greater, try call.binary(.mul, quantum, edge), zero)
      return try call.select(fits, try call.binary(.div, quantum, edge), largest)
    }
    let (fromLow, fromHigh) = (try side(bottom, low), try side(top, high))
    let lower = try call.binary(.less, fromLow, fromHigh)
    let scale = try call.select(lower, fromLow, fromHigh)
    let inverse = least == 0 ? try call.binary(.div, high, top) : try call.select(lower, try call.binary(.div, low, bottom), try call.binary(.div, high, top))
    var value = x
    if given {
      let (first, last) = (try call.binary(.mul, bottom, inverse), try call.binary(.mul, top, inverse))
      value = try call.binary(.min, try call.binary(.max, x, first), last)
    }
    let scaled = try call.binary(.mul, value, scale)
    let whole =
      try call.text("round_mode", "HALF_TO_EVEN") == "HALF_UP"
      ? try call.unary(.floor, try call.binary(.add, scaled, try call.scalar(0.5, dtype))) : try call.unary(.round, scaled)
    return try call.binary(.mul, whole, inverse)
  }
}

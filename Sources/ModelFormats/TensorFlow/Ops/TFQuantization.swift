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
      "QuantizeAndDequantize": { call in
        // The first version has its range as attributes.
        let given = try call.bool("range_given")
        let ends = try ["input_min", "input_max"].map { TFValue.value(try call.scalar(try call.float($0, 0), .float32), call.builder, name: $0) }
        return [try roundTrip(call.with(inputs: [try call.input(0)] + ends), bits: try call.int("num_bits", 8), given: given)]
      },
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
      if min == 0, max == 0 {
        // An empty range stands for 0 alone.
        low.append(0)
        high.append(0)
        scale.append(0)
        continue
      }
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
    let inverse = try numbers(scale.map { $0 == 0 ? 0 : Double(1 / Float($0)) }, "inverse")
    let steps = try call.binary(.mul, try call.binary(.sub, clipped, bottom), inverse)
    let rounded = try call.unary(.floor, try call.binary(.add, steps, try call.scalar(0.5, .float32)))
    return try call.binary(.add, try call.binary(.mul, rounded, step), bottom)
  }

  /// Quantized integers as floats.
  private static func dequantized(_ call: TFCall) throws -> ValueID {
    let type = try call.quantizedType("T")
    let integers = try call.x(0), axis = try call.int("axis", -1)
    let x = try TFQuantized(integers, try rangeEnd(call, 1, axis, call.type(integers)), try rangeEnd(call, 2, axis, call.type(integers)), type)
    let signed = x.range.lowerBound < 0
    let result: ValueID
    switch try call.text("mode", "MIN_COMBINED") {
    case "MIN_COMBINED":
      let count = Float(x.range.upperBound) - Float(x.range.lowerBound)
      let step = try call.binary(.div, try call.binary(.sub, x.high, x.low), try call.scalar(Double(count), .float32))
      let shifted = try call.unary(.affine, try call.cast(x.value, .float32), [1, signed ? Double((count + 1) / 2) : 0])
      result = try call.binary(.add, try call.binary(.mul, shifted, step), x.low)
    case "MIN_FIRST": result = try x.floats(call)
    case "SCALED":
      let least = Double(x.range.lowerBound) + (try call.bool("narrow_range") ? 1 : 0)
      var scale = try call.binary(.div, x.high, try call.scalar(Double(x.range.upperBound), .float32))
      if signed { scale = try call.binary(.max, try call.binary(.div, x.low, try call.scalar(least, .float32)), scale) }
      result = try call.binary(.mul, try call.cast(x.value, .float32), scale)
    case let mode: throw call.unsupported("mode \(KilnError.quoted(mode))")
    }
    return try call.cast(result, try call.dtype("dtype", .float32))
  }

  /// One end of a range, of the whole tensor or of each slice along an axis.
  private static func rangeEnd(_ call: TFCall, _ index: Int, _ axis: Int, _ type: TensorType) throws -> ValueID {
    if axis == -1 { return try call.number32(index) }
    let position = try call.axis(axis, type.rank)
    let value = try call.cast(try call.x(index), .float32)
    guard call.type(value).rank == 1 else { throw call.wrong("a range for each slice must be a vector, found \(call.type(value).message)") }
    return try call.reshape(value, type.dims.indices.map { $0 == position ? call.type(value).dims[0] : 1 })
  }

  /// Rounding with halves away from zero.
  static func rounded(_ call: TFCall, _ x: ValueID) throws -> ValueID {
    // x + ½ may round up to a whole number by itself.
    let whole = try call.unary(.trunc, x)
    let rest = try call.unary(.abs, try call.binary(.sub, x, whole))
    let away = try call.binary(.greaterEqual, rest, try call.scalar(0.5, call.type(x).dtype))
    return try call.select(away, try call.binary(.add, whole, try call.unary(.sign, x)), whole)
  }

  /// Floats as quantized integers of a range: the integers, the range's ends.
  private static func quantized(_ call: TFCall) throws -> [ValueID] {
    let type = try call.quantizedType("T")
    guard let dtype = type.dtype, let range = type.quantizedRange else { throw call.unsupported("this dtype") }
    let x = try call.x(0), axis = try call.int("axis", -1)
    let (least, most) = (Double(range.lowerBound), Double(range.upperBound))
    func number(_ value: Double) throws -> ValueID { try call.scalar(value, .float32) }
    let (givenLow, givenHigh) = (try rangeEnd(call, 1, axis, call.type(x)), try rangeEnd(call, 2, axis, call.type(x)))
    var low = try call.binary(.min, givenLow, try number(0))
    let size = try call.binary(.max, try number(1), try call.binary(.max, try call.unary(.abs, givenLow), try call.unary(.abs, givenHigh)))
    let width = try call.binary(.mul, size, try number(try call.float("ensure_minimum_range", 0.01)))
    var high = try call.binary(.max, try call.binary(.max, givenHigh, try call.binary(.add, low, width)), try number(0))
    func clipped(_ x: ValueID) throws -> ValueID { try call.binary(.max, try call.binary(.min, x, high), low) }
    let result: ValueID
    switch try call.text("mode", "MIN_COMBINED") {
    case "MIN_COMBINED":
      let scale = try call.binary(.div, try number(most - least), try call.binary(.sub, high, low))
      var scaled = try call.binary(.mul, try call.binary(.sub, try clipped(x), low), scale)
      if least < 0 { scaled = try call.binary(.sub, scaled, try number((most - least + 1) / 2)) }
      result = try converted(call, try rounded(call, scaled), dtype, type)
    case "MIN_FIRST":
      guard axis == -1 else { throw call.unsupported("mode MIN_FIRST with a range for each slice") }
      result = try TFQuantized.quantized(call, x, low, high, type)
    case "SCALED":
      let bottom = try call.bool("narrow_range") ? least + 1 : least
      func side(_ edge: Double, _ end: ValueID) throws -> ValueID {
        let inside = try call.binary(.greater, try call.unary(.affine, end, [edge, 0]), try number(0))
        return try call.select(inside, try call.binary(.div, try number(edge), end), try number(Double(Float.greatestFiniteMagnitude)))
      }
      let scale = try call.binary(.min, try side(bottom, low), try side(most, high))
      low = try call.binary(.div, try number(bottom), scale)
      high = try call.binary(.div, try number(most), scale)
      let scaled = try call.binary(.mul, try clipped(x), scale)
      let even = try call.text("round_mode", "HALF_AWAY_FROM_ZERO") == "HALF_TO_EVEN"
      result = try converted(call, even ? try call.unary(.round, scaled) : try rounded(call, scaled), dtype, type)
    case let mode: throw call.unsupported("mode \(KilnError.quoted(mode))")
    }
    if axis != -1 {
      low = try call.reshape(low, [call.type(low).elementCount])
      high = try call.reshape(high, [call.type(high).elementCount])
    }
    return [result, low, high]
  }

  /// Floats rounded to the steps of a range, given or that of the values.
  private static func roundTrip(_ call: TFCall, bits: Int, given: Bool) throws -> ValueID {
    let x = try call.x(0), dtype = call.type(x).dtype
    guard (1...32).contains(bits) else { throw call.unsupported("\(bits) bits") }
    let axis = try call.int("axis", -1), rank = call.type(x).rank
    let position = axis == -1 ? nil : try call.axis(axis, rank)
    let signed = try call.bool("signed_input", true)
    let half = Double(sign: .plus, exponent: bits - 1, significand: 1)
    let least = signed ? (try call.bool("narrow_range") ? 1 - half : -half) : 0, most = signed ? half - 1 : 2 * half - 1
    func end(_ index: Int, _ kind: Reduce.Kind) throws -> ValueID {
      guard given else { return try call.reduce(kind, x, (0..<rank).filter { $0 != position }, keepDims: position != nil) }
      return try call.cast(try rangeEnd(call, index, axis, call.type(x)), dtype)
    }
    let (low, high) = (try end(1, .min), try end(2, .max))
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
